import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from rlax_pref import recurrences

pytestmark = pytest.mark.usefixtures("strict")

METHODS = ("scan", "associative")
SHAPES = ((1, 2), (5, 2))
linear = jax.jit(recurrences.linear, static_argnames=("reverse", "method", "unroll"))


def arrays(shape, bound=2.0):
    return hnp.arrays(np.float32, shape, elements=st.floats(-bound, bound, width=32))


def definition(a, b, initial, reverse):
    """Each b, and the initial value, times the product of all a on the way to x_t."""
    if not reverse:
        return definition(a[::-1], b[::-1], initial, True)[::-1]
    a, b = a.astype(np.float64), b.astype(np.float64)
    x = np.zeros_like(b)
    for t in range(len(b)):
        for k in range(t, len(b)):
            x[t] += np.prod(a[t:k], axis=0) * b[k]
        x[t] += np.prod(a[t:], axis=0) * initial
    return x


@pytest.mark.parametrize("method", METHODS)
def test_golden(method):
    a, b = jnp.array([0.5, 2.0, 3.0]), jnp.array([1.0, 10.0, 100.0])
    np.testing.assert_array_equal(
        linear(a, b, 7.0, method=method), [1 + 0.5 * 252, 10 + 2 * 121, 100 + 3 * 7]
    )
    np.testing.assert_array_equal(
        linear(a, b, 7.0, reverse=False, method=method), [4.5, 19.0, 100 + 3 * 19]
    )


@pytest.mark.parametrize("reverse", (True, False))
@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=30)
@given(st.data())
def test_definition(method, reverse, data):
    shape = data.draw(st.sampled_from(SHAPES))
    a, b = data.draw(arrays(shape)), data.draw(arrays(shape, 100.0))
    initial = data.draw(arrays(shape[1:], 100.0))
    np.testing.assert_allclose(
        linear(a, b, initial, reverse=reverse, method=method),
        definition(a, b, initial.astype(np.float64), reverse),
        rtol=1e-4,
        atol=1e-2,
    )


@pytest.mark.parametrize("method", METHODS)
def test_gradients_reach_every_argument(method):
    keys = jax.random.split(jax.random.key(0), 3)
    a, b = jax.random.normal(keys[0], (5, 2)), jax.random.normal(keys[1], (5, 2))
    initial = jax.random.normal(keys[2], (2,))
    for reverse in (True, False):
        solve = lambda a, b, x, reverse=reverse: linear(a, b, x, reverse=reverse, method=method)
        check_grads(solve, (a, b, initial), order=1, rtol=1e-2, atol=1e-2)


def test_evaluations_agree_on_values_and_gradients():
    a = jax.random.uniform(jax.random.key(0), (12, 3))
    b = jax.random.normal(jax.random.key(1), (12, 3))
    weight = jax.random.normal(jax.random.key(2), (12, 3))

    def solve(method, unroll=1):
        loss = lambda a, b, x: (weight * linear(a, b, x, method=method, unroll=unroll)).sum()
        return jax.value_and_grad(loss, argnums=(0, 1, 2))(a, b, jnp.ones(3))

    for other in (solve("associative"), solve("scan", unroll=5), solve("auto")):
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4),
            solve("scan"),
            other,
        )


@pytest.mark.parametrize("method", METHODS)
def test_a_zero_lets_nothing_through(method):
    """What lies beyond a zero changes nothing: exactly, not nearly."""
    a, b = jnp.array([0.9, 0.0, 0.9, 0.9]), jnp.ones(4)
    by_a, by_b, by_initial = jax.jacobian(
        lambda a, b, x: linear(a, b, x, method=method)[:2], argnums=(0, 1, 2)
    )(a, b, 5.0)
    assert not np.any(by_a[:, 2:]) and not np.any(by_b[:, 2:]) and not np.any(by_initial)


@pytest.mark.parametrize("method", METHODS)
def test_axes_beyond_time_are_independent(method):
    a = jax.random.uniform(jax.random.key(0), (5, 3))
    b = jax.random.normal(jax.random.key(1), (5, 3))
    alone = jax.vmap(lambda a, b: linear(a, b, 1.0, method=method), in_axes=1, out_axes=1)
    np.testing.assert_allclose(linear(a, b, 1.0, method=method), alone(a, b), rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_scalars_stand_for_arrays(method):
    b = jax.random.normal(jax.random.key(1), (5, 3))
    np.testing.assert_array_equal(
        linear(0.9, b, 2.0, method=method),
        linear(jnp.full((5, 3), 0.9), b, jnp.full(3, 2.0), method=method),
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", (jnp.int32, jnp.bfloat16))
def test_sums_are_kept_in_float32(method, dtype):
    x = linear(1.0, jnp.ones(300, dtype), method=method)
    assert x.dtype == jnp.float32
    assert x[0] == 300  # 256 is where bfloat16 stops counting


@pytest.mark.parametrize("method", METHODS)
def test_no_time_no_steps(method):
    assert linear(0.5, jnp.zeros((0, 2)), method=method).shape == (0, 2)


def test_choose():
    assert recurrences.choose(2048, "cpu") == "scan"
    assert recurrences.choose(8, "gpu") == "scan"
    assert recurrences.choose(2048, "gpu") == "associative"
    assert recurrences.choose(2048, "some backend of the future") == "associative"


@pytest.mark.parametrize("backend", ("cpu", "gpu"))
def test_auto_follows_choose(monkeypatch, backend):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    solve = lambda a, b: recurrences.linear(a, b)  # a new function: jax remembers old traces
    program = str(jax.make_jaxpr(solve)(jnp.ones(64), jnp.ones(64)))
    assert ("scan[" in program) == (backend == "cpu")


def test_messages():
    b = jnp.ones((4, 4))
    with pytest.raises(AssertionError, match="linear: a_t must be"):
        recurrences.linear(jnp.ones(4), b)
    with pytest.raises(AssertionError, match="linear: initial must be"):
        recurrences.linear(1.0, b, jnp.ones(3))
    with pytest.raises(ValueError, match=r"method must be one of .* not 'fast'"):
        recurrences.linear(1.0, b, method="fast")
