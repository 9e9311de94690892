"""Random segments obey the process they were drawn from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.envs import grid
from rlax_pref.preferences import sample_segments
from rlax_pref.tabular import TabularMDP

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)
tabular = jax.jit(grid.GridWorld.tabular)
unroll = jax.jit(grid.GridWorld.unroll)
sample = jax.jit(sample_segments, static_argnums=(2, 3))
BOARD = np.array([[0, 4, 0, 6], [5, 0, 3, 0], [0, 2, 0, 1]])


def test_moves_certain_are_the_worlds_own():
    world = grid.grid_world(BOARD, np.zeros(6))
    segments = sample(KEY, tabular(world), (300, 2), 3)
    assert segments.state.shape == (300, 2, 4) and segments.action.shape == (300, 2, 3)
    expected = unroll(world, segments.state[..., 0], segments.action)
    np.testing.assert_array_equal(segments.state, expected.state)
    np.testing.assert_array_equal(segments.live, expected.live)
    assert np.all(segments.live[..., 0]) and not np.all(segments.live)


def test_starts_and_actions_are_uniform():
    mdp = tabular(grid.grid_world(BOARD, np.zeros(6)))
    num = 20_000
    segments = sample(KEY, mdp, (num,), 2)
    counts = np.bincount(segments.state[:, 0], minlength=12)
    np.testing.assert_allclose(counts / num, mdp.start, atol=0.01)
    assert not np.any(counts[np.asarray(mdp.terminal)])
    np.testing.assert_allclose(np.bincount(segments.action.ravel()) / (2 * num), 0.25, atol=0.01)


def test_random_moves_come_as_often_as_they_should():
    rng = np.random.default_rng(0)
    transition = rng.dirichlet(np.ones(4), size=(4, 2)).astype(np.float32)
    transition[0, 0] = [0, 1, 0, 0]  # and what is impossible never comes
    mdp = TabularMDP(
        jnp.asarray(transition), jnp.zeros((4, 2, 1)), jnp.zeros(4, bool), jnp.full(4, 0.25)
    )
    segments = sample(KEY, mdp, (40_000,), 1)
    counts = np.zeros((4, 2, 4))
    state, action = np.asarray(segments.state), np.asarray(segments.action)
    np.add.at(counts, (state[:, 0], action[:, 0], state[:, 1]), 1)
    np.testing.assert_allclose(counts / counts.sum(-1, keepdims=True), transition, atol=0.03)
    assert counts[0, 0, 1] == counts[0, 0].sum()


def test_seeds_and_processes_are_batch_axes():
    worlds = [tabular(grid.grid_world(board, np.zeros(6))) for board in (BOARD, BOARD[::-1])]
    keys = jax.random.split(KEY, 2)
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *worlds)
    batch = jax.vmap(lambda key, mdp: sample_segments(key, mdp, (5,), 3))(keys, stacked)
    for i in range(2):
        alone = sample(keys[i], worlds[i], (5,), 3)
        np.testing.assert_array_equal(batch.state[i], alone.state)
