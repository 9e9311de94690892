"""Which pairs are drawn, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.preferences import has_absorbing, resample
from rlax_pref.types import Preferences, Segments

pytestmark = pytest.mark.usefixtures("strict")

N = 6
KEY = jax.random.key(0)
draw = jax.jit(resample, static_argnums=2)
keeps = st.lists(st.booleans(), min_size=N, max_size=N)


def pairs() -> Preferences:
    """N pairs that can be told apart by their label."""
    segments = Segments(
        jnp.arange(N * 2 * 2).reshape(N, 2, 2),
        jnp.zeros((N, 2, 1), int),
        jnp.ones((N, 2, 1), bool),
    )
    return Preferences(segments, jnp.arange(N) / 10, jnp.full(N, 2.0))


@settings(deadline=None, max_examples=30)
@given(keep=keeps, num=st.sampled_from([2, 6, 10]), seed=st.integers(0, 100))
def test_each_is_drawn_once_before_any_is_drawn_twice(keep, num, seed):
    drawn = draw(jax.random.key(seed), pairs(), num, keep=jnp.array(keep))
    index = np.rint(np.asarray(drawn.p_first) * 10).astype(int)
    np.testing.assert_array_equal(drawn.segments.state[:, 0, 0], 4 * index)
    if not any(keep):
        assert not np.any(drawn.weight)
        return
    counts = np.bincount(index, minlength=N)
    assert not np.any(counts[~np.array(keep)])
    assert counts[np.array(keep)].max() - counts[np.array(keep)].min() <= 1
    np.testing.assert_array_equal(drawn.weight, 2)


def test_by_default_all_are_eligible_and_seeds_are_a_batch_axis():
    drawn = jax.vmap(lambda key: resample(key, pairs(), N).p_first)(jax.random.split(KEY, 3))
    np.testing.assert_allclose(np.sort(drawn, axis=1), np.tile(np.arange(N) / 10, (3, 1)))
    assert np.any(drawn[0] != drawn[1])


def test_only_steps_out_of_an_end_are_absorbing():
    live = np.ones((3, 2, 2), bool)
    live[1, 0, 1] = live[2, 1] = False
    segments = Segments(jnp.zeros((3, 2, 3), int), jnp.zeros((3, 2, 2), int), jnp.asarray(live))
    np.testing.assert_array_equal(has_absorbing(segments), [False, True, True])
