"""Quick keys draw what JAX's own keys draw, bit for bit, and leave no trace in a state."""

from collections import Counter
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref._threefry import _encrypt, plain, quick
from rlax_pref.agents import loop
from rlax_pref.types import Array, Key, PyTree
from tests.agents import toy

DRAWS = {
    "bits": lambda key: jax.random.bits(key, (3, 5)),
    "bytes": lambda key: jax.random.bits(key, (7,), jnp.uint8),
    "few": lambda key: [jax.random.bits(key, (n,)) for n in (1, 4, 5, 16, 17, 256, 257)],
    "one number": lambda key: jax.random.uniform(key),
    "nothing": lambda key: jax.random.bits(key, (0,)),
    "many": lambda key: jax.random.normal(key, (40, 30)),
    "split": lambda key: jax.random.key_data(jax.random.split(key, (2, 3))),
    "fold_in": lambda key: jax.random.key_data(jax.random.fold_in(key, 2**31 + 5)),
    "permutation": lambda key: jax.random.permutation(key, 20),
    "gamma": lambda key: jax.random.gamma(key, 0.5, (4,)),
    "each": lambda key: jax.vmap(jax.random.uniform)(jax.random.split(key, 4)),
    "each number": lambda key: jax.vmap(
        lambda i: jax.random.key_data(jax.random.fold_in(key, i)),
    )(jnp.arange(3)),
}
COMPILED = {
    name: jax.jit(lambda key, draw=draw: (draw(key), draw(quick(key))))
    for name, draw in DRAWS.items()
}


def test_the_cipher_has_the_numbers_published_with_it() -> None:
    # Salmon et al., 2011, Random123's known answers for threefry2x32 of 20 rounds
    x, y = _encrypt(jnp.zeros(2, jnp.uint32), jnp.zeros(1, jnp.uint32))
    assert (hex(x[0]), hex(y[0])) == ("0x6b200159", "0x99ba4efe")


def _check_same(own: PyTree, ours: PyTree) -> None:
    """Numbers made of what was drawn may be rounded in their last bit in another program."""
    for x, y in zip(*map(jax.tree.leaves, (own, ours)), strict=True):
        if jnp.issubdtype(x.dtype, jnp.floating):
            np.testing.assert_allclose(x, y, rtol=1e-6)
        else:
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("name", DRAWS)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_draws_are_the_same(name: str, seed: int) -> None:
    _check_same(*COMPILED[name](jax.random.key(np.uint32(seed))))


def test_numbers_of_64_bits_are_the_same() -> None:
    with jax.enable_x64(True):
        key = jax.random.key(5)
        own = jax.random.bits(key, (6,), jnp.uint64)
        np.testing.assert_array_equal(own, jax.random.bits(quick(key), (6,), jnp.uint64))


def test_more_numbers_than_can_be_counted_are_left_to_jax() -> None:
    """Programs say so, which are too large to be run."""

    def lines(key: Callable[[Key], Key], rows: int) -> Counter[str]:
        draw = jax.jit(lambda x: jax.random.bits(key(x), (rows, 2**16)))
        text = draw.lower(jax.random.key(0)).as_text()
        return Counter(line.split("stablehlo.")[-1].split()[0] for line in text.split("\n") if line)

    assert lines(quick, 2**17) == lines(lambda key: key, 2**17)
    assert lines(quick, 2**16) != lines(lambda key: key, 2**16)


def test_draws_of_few_numbers_are_made_alike_and_share_their_kernels() -> None:
    def draw(key: Key) -> list[Array]:
        keys = jax.random.split(quick(key), 3)
        return [jax.random.bits(key, (n,)) for key, n in zip(keys, (1, 2, 4), strict=True)]

    text = jax.jit(draw).lower(jax.random.key(0)).as_text()
    assert text.count("func.func private @_encrypt") == 1


def test_draws_are_the_same_where_there_are_several_devices(on_four_devices) -> None:
    script = """
        import jax, numpy as np
        from rlax_pref._threefry import quick
        key = jax.random.key(7)
        for draw in (lambda key: jax.random.bits(key, (3, 5)), jax.random.bits,
                     lambda key: jax.random.key_data(jax.random.split(key, 6))):
            np.testing.assert_array_equal(*jax.jit(lambda key: (draw(key), draw(quick(key))))(key))
        print("equal")
        """
    assert on_four_devices(script) == "equal\n"


def test_draws_are_the_same_outside_of_programs() -> None:
    key = jax.random.key(3)
    for draw in DRAWS.values():
        _check_same(draw(key), draw(quick(key)))


def test_only_keys_of_this_cipher_are_exchanged_and_only_where_it_counts_alike() -> None:
    tree = {"key": jax.random.key(1), "other": jax.random.key(1, impl="rbg"), "number": 2.0}
    there = quick(tree)
    assert there["other"] is tree["other"] and there["number"] == 2.0
    back = plain(there)
    assert back["key"].dtype == tree["key"].dtype
    np.testing.assert_array_equal(
        jax.random.key_data(back["key"]), jax.random.key_data(tree["key"])
    )
    with jax.threefry_partitionable(False):
        assert quick(tree)["key"] is tree["key"]


def test_a_run_is_that_of_the_agent_itself_and_its_keys_are_jaxs() -> None:
    agent, key = toy.make(), jax.random.key(4)
    expected = jax.jit(
        lambda key: jax.lax.scan(lambda s, _: agent.step(s), agent.init(key), length=7)
    )(key)
    found = jax.jit(lambda key: loop.run(agent, loop.born(agent)(key), 7))(key)
    assert jax.tree.map(lambda x: x.dtype, found[0].actor.key) == key.dtype
    for x, y in zip(*map(jax.tree.leaves, (expected, found)), strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(jax.random.key_data(x), jax.random.key_data(y))
        else:
            np.testing.assert_allclose(x, y, rtol=1e-6)
