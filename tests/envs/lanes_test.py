"""Computing in lanes changes how numbers lie in memory, and nothing else."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.envs import _lanes
from rlax_pref.envs._lanes import in_lanes

X = jax.random.normal(jax.random.key(0), (5, 6, 3))
TURN = jnp.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


@jax.custom_jvp
def half(x):
    return x / 2


half.defjvp(lambda x, dx: (half(*x), 7 * dx[0]))  # wrong, to be told from its own derivative


def bodies(x):
    """Something of all that physics are made of: `[6, 3]` points to a pytree."""

    def move(carry, push):
        x, v = carry
        force = jnp.sin(x @ TURN) + jnp.cross(x, v) - x * jnp.vecdot(x, v)[:, None]
        force = force.at[jnp.array([0, 2, 2])].add(push)
        v = v + 0.1 * force / (1 + jnp.linalg.norm(x + 1, axis=-1, keepdims=True))
        return (jnp.concatenate([x[:1], x[1:] + 0.1 * v[1:]]), v), v[jnp.array([1, 4])].sum()

    (x, v), total = jax.lax.scan(move, (x, half(x)), jnp.arange(3.0))
    inertia = jnp.einsum("ij,kj->ik", x, v)
    return {"x": x, "inertia": inertia, "total": total, "steps": jnp.arange(3).sum()}


def loss(f):
    return lambda x: sum(jnp.square(y).sum() for y in jax.tree.leaves(f(x)))


@pytest.mark.parametrize(
    "use",
    [
        lambda f: f(X[0]),
        lambda f: jax.jit(f)(X[0]),
        lambda f: jax.jit(jax.vmap(f))(X),
        lambda f: jax.jit(jax.vmap(f, in_axes=1, out_axes=-1))(X.swapaxes(0, 1)),
        lambda f: jax.jit(jax.vmap(jax.vmap(f)))(jnp.stack([X, -X])),
        lambda f: jax.jit(jax.vmap(jax.grad(loss(f))))(X),
        lambda f: jax.jit(jax.grad(lambda x: loss(jax.vmap(f))(x)))(X),
        lambda f: jax.jit(lambda x: jax.jvp(jax.vmap(f), (x,), (x,))[1]["x"])(X),
    ],
    ids=["eager", "jit", "vmap", "other axes", "vmap twice", "grad", "grad of all", "jvp"],
)
def test_nothing_else_changes(use):
    expected, got = use(bodies), use(in_lanes(bodies))
    assert jax.tree.structure(expected) == jax.tree.structure(got)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(y, x, rtol=2e-5, atol=2e-5), expected, got)
    types = [jax.tree.map(lambda x: (x.dtype, x.weak_type), tree) for tree in (expected, got)]
    assert types[0] == types[1]


def layouts(f):
    program = jax.jit(jax.vmap(f)).lower(X).compile().as_text()
    return set(re.findall(r"f32\[5,6,3\](\{[\d,]+\})", program))


def test_the_batch_lies_innermost_on_cpus():
    """Of `{0,2,1}` the first is the axis whose numbers are neighbours."""
    if jax.default_backend() != "cpu":
        assert layouts(in_lanes(bodies)) == layouts(bodies)
    else:
        assert "{0,2,1}" in layouts(in_lanes(bodies)) - layouts(bodies)


@pytest.mark.skipif("jax.default_backend() != 'cpu'", reason="only CPUs compute in lanes")
def test_short_products_are_written_out_and_long_ones_are_not():
    def text(size):
        product = in_lanes(lambda x, y: x @ y)
        return jax.jit(product).lower(jnp.ones((2, size)), jnp.ones((size, 2))).as_text()

    assert "dot_general" not in text(_lanes.FEW)
    assert "dot_general" in text(_lanes.FEW + 1)
    assert "dot_general" in text(0)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_products_of_all_kinds(data):
    """Any axes contracted, batched and free, in any order."""
    kinds = data.draw(st.lists(st.sampled_from(["left", "right", "batch", "contract"]), max_size=5))
    sizes = [data.draw(st.integers(1, 2)) for _ in kinds]
    letters = dict(zip("abcde", kinds, strict=False))
    left = data.draw(st.permutations([k for k, kind in letters.items() if kind != "right"]))
    right = data.draw(st.permutations([k for k, kind in letters.items() if kind != "left"]))
    size = dict(zip(letters, sizes, strict=True))
    key = jax.random.key(data.draw(st.integers(0, 9)))
    x = jax.random.normal(key, [size[k] for k in left])
    y = jax.random.normal(key, [size[k] for k in right])
    pairs = {
        kind: tuple(
            tuple(names.index(k) for k in letters if letters[k] == kind) for names in (left, right)
        )
        for kind in ("contract", "batch")
    }
    dimensions = (pairs["contract"], pairs["batch"])
    expected = jax.lax.dot_general(x, y, dimensions)
    np.testing.assert_allclose(_lanes._dot(x, y, dimensions), expected, rtol=1e-5, atol=1e-6)


def test_half_precision_is_summed_as_wide_as_asked():
    x = jnp.array([1.0, 2.0**-9, 2.0**-9], jnp.bfloat16)
    product = in_lanes(lambda x: jnp.matmul(x, jnp.ones_like(x), preferred_element_type="float32"))
    assert product(x) == 1 + 2.0**-8 and product(x).dtype == jnp.float32


def test_devices_keep_their_share(on_four_devices):
    """A batch that is spread over devices is computed where it is."""
    script = """
        import jax, jax.numpy as jnp, numpy as np
        from jax.sharding import NamedSharding, PartitionSpec
        from rlax_pref.agents import runner
        from rlax_pref.envs._lanes import in_lanes

        turn = jnp.eye(3)[::-1]
        f = lambda x: jnp.concatenate([jnp.sin(x @ turn), x]) @ turn
        place = NamedSharding(runner.make_mesh(4), PartitionSpec("env"))
        x = jax.device_put(jnp.arange(48.0).reshape(8, 2, 3), place)
        program = jax.jit(jax.vmap(in_lanes(f))).lower(x).compile()
        assert "all-gather" not in program.as_text()
        assert program(x).sharding.is_equivalent_to(place, 3)
        np.testing.assert_allclose(program(x), jax.vmap(f)(x), atol=1e-5)

        spread = jax.shard_map(
            jax.vmap(in_lanes(f)), mesh=place.mesh, in_specs=place.spec, out_specs=place.spec
        )
        program = jax.jit(spread).lower(x).compile()
        assert "all-gather" not in program.as_text()
        np.testing.assert_allclose(program(x), jax.vmap(f)(x), atol=1e-5)
        """
    on_four_devices(script)
