"""Data of the benchmark of pre-trained values: who seeks finds, and phases fit."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.learning import value_pretraining as benchmark
from rlax_pref.agents import dqn, pretraining
from rlax_pref.envs.maze import cell_of, distances, four_rooms


def test_who_seeks_walks_the_shortest_way():
    maze = four_rooms()
    states, obs = jax.vmap(maze.reset)(jax.random.split(jax.random.key(0), 16))
    far = distances(maze.walls)
    ahead = jax.vmap(lambda obs: benchmark.seek(maze).act((), obs, jax.random.key(0))[1])(obs)
    _, step = jax.vmap(maze.step, in_axes=(None, 0, 0))(jax.random.key(0), states, ahead)
    place, goal = cell_of(maze.place(step.last_obs[:, :2])), states.goal
    before = far[goal[:, 0], goal[:, 1], *cell_of(states.place).T]
    np.testing.assert_array_equal(far[goal[:, 0], goal[:, 1], *place.T], before - 1)


def test_encoders_of_phase_1_fit_learners_of_phase_2():
    maze = four_rooms()
    data = benchmark.stack(
        [benchmark.walks(maze, benchmark.seek(maze), 512, seed) for seed in (0, 1)]
    )
    keys = jax.random.split(jax.random.key(0), 2)
    encoder = jax.eval_shape(lambda: benchmark.encoders(maze, data, keys, 16))
    learner = jax.eval_shape(lambda encoder: benchmark.begin(maze, data, keys, encoder), encoder)
    shapes = lambda tree: jax.tree.map(lambda x: x.shape, tree)
    assert shapes(learner.params["critic"]["encoder"]) == shapes(encoder)
    assert isinstance(benchmark.settings(True), type(dqn.DEFAULT)) and jnp.all(data.r_t == -1)
    assert pretraining.settings(benchmark.VALUES)["encoder"] == (64, 64, 32)
