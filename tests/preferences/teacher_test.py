"""Scripted teachers: what they say, and how often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import preferences, tabular
from rlax_pref.envs import grid
from rlax_pref.preferences import teacher

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)
label = jax.jit(teacher, static_argnames="noiseless")


def test_noiseless_teachers_prefer_what_is_worth_more():
    first, second = jnp.array([1.0, -1.0, 2.0, 2.0]), jnp.array([0.0, 0.0, 2.0, 2.0 + 5e-7])
    np.testing.assert_array_equal(label(KEY, first, second, noiseless=True), [1, 0, 0.5, 0.5])
    strict = label(KEY, first, second, noiseless=True, tolerance=0.0)
    np.testing.assert_array_equal(strict, [1, 0, 0.5, 0])


@pytest.mark.parametrize(("temperature", "lapse"), [(1.0, 0.0), (0.5, 0.0), (1.0, 0.4)])
def test_stochastic_teachers_choose_as_often_as_the_model_says(temperature, lapse):
    num = 20_000
    scores = jnp.array([[0.7, 0.0], [0.0, 2.0]])
    for first, second in scores:
        drawn = label(
            KEY, jnp.full(num, first), jnp.full(num, second), temperature=temperature, lapse=lapse
        )
        assert set(np.unique(drawn)) <= {0.0, 1.0}
        p = jnp.exp(preferences.bradley_terry(first, second, temperature=temperature, lapse=lapse))
        error = float(jnp.sqrt(p * (1 - p) / num))
        assert float(drawn.mean()) == pytest.approx(float(p), abs=4 * error)


def test_two_optimal_segments_tie_whatever_they_collect():
    """Regret looks at what was given away; partial return would prefer the shorter way."""
    world = grid.grid_world(np.array([[0] * 8 + [1]]), [-1.0, 10.0, 0, 0, 0, 0])
    mdp, reward = jax.jit(lambda: (world.tabular(), world.rewards()))()
    best = jax.jit(tabular.optimal)(mdp, reward, 0.999)
    right = jnp.full((2, 3), 3)
    segments = world.unroll(jnp.array([0, 6]), right)
    u = preferences.general_regret(tabular.lookup(best.advantage, segments), segments.live)
    collected = preferences.partial_return(tabular.lookup(reward, segments), segments.live)
    assert float(label(KEY, *u, noiseless=True)) == 0.5
    assert float(label(KEY, *collected, noiseless=True)) == 0.0


def test_seeds_are_a_batch_axis():
    keys = jax.random.split(KEY, 3)
    u = jax.random.normal(KEY, (2, 50))
    batch = jax.vmap(lambda key: teacher(key, *u))(keys)
    for row, key in zip(batch, keys, strict=True):
        np.testing.assert_array_equal(row, label(key, *u))
    assert np.any(batch[0] != batch[1])
