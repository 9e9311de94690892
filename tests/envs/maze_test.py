"""Mazes: what stops a step, what ends an episode, and how far it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import datasets
from rlax_pref.envs import check_env, corridor, four_rooms
from rlax_pref.envs.maze import MOVES, Maze, State, cell_of, distances, from_text, wander

UP, DOWN, LEFT, RIGHT = range(4)
KEY = jax.random.key(0)
step = jax.jit(lambda maze, place, goal, action: maze.step(KEY, State(place, goal, 0), action))


def go(maze, place, actions, goal=(9, 9)):
    """The places on the way."""
    places, goal = [jnp.array(place, jnp.float32)], jnp.array(goal, jnp.int32)
    for action in actions:
        places.append(step(maze, places[-1], goal, jnp.asarray(action))[0].place)
    return np.stack(places[1:]).tolist()


def test_walls_and_edges_stop_a_step():
    maze = Maze(from_text("... #.# ..."))
    assert go(maze, (0, 0), [UP, LEFT, DOWN, RIGHT, DOWN, DOWN, LEFT, DOWN]) == [
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 1],
        [1, 1],
        [2, 1],
        [2, 0],
        [2, 0],
    ]


def test_small_steps_stop_where_the_wall_begins():
    maze = Maze(from_text(".#. ..."), speed=0.25)
    assert go(maze, (0, 0), [RIGHT, RIGHT, UP, UP, UP]) == [
        [0, 0.25],
        [0, 0.25],
        [-0.25, 0.25],
        [-0.5, 0.25],
        [-0.5, 0.25],
    ]


def test_vectors_slide_along_walls():
    maze = Maze(from_text(".. .#"), continuous=True)
    assert go(maze, (0, 0), [(1.0, 1.0), (-3.0, 0.5)]) == [[1, 0], [0, 0.5]]


def test_the_goal_ends_an_episode_and_the_limit_cuts_it():
    maze = Maze(from_text("..."), time_limit=1)
    place, goal = jnp.zeros(2), jnp.array([0, 1])
    _, there = step(maze, place, goal, RIGHT)
    _, away = step(maze, place, goal, LEFT)
    assert (there.reward, there.discount, there.truncated) == (-1.0, 0.0, False)
    assert (away.reward, away.discount, away.truncated) == (-1.0, 1.0, True)
    _, passed = step(maze.replace(terminates=False), place, goal, RIGHT)
    assert passed.discount == 1.0 and passed.truncated


def test_starts_and_goals_are_drawn_from_their_cells():
    walls = from_text("...# ....")
    starts, goals = jnp.zeros((2, 2, 4), bool).at[0, 0, :2].set(True).at[1, :, 1].set(True)
    maze = Maze(walls, starts=starts, goals=goals)
    state, obs = jax.vmap(maze.reset)(jax.random.split(KEY, 64))
    assert {(0, 0), (0, 1)} == {tuple(x) for x in np.asarray(state.place).astype(int).tolist()}
    assert {(0, 1), (1, 1)} == {tuple(x) for x in np.asarray(state.goal).tolist()}
    assert not np.any((state.place == state.goal).all(-1))
    np.testing.assert_allclose(maze.place(obs), state.place, atol=1e-6)
    np.testing.assert_allclose(maze.place(obs[:, 2:]), state.goal, atol=1e-6)


def test_waves_tell_lanes_apart():
    """The second octave turns round within half a board; whatever is seen says where one is."""
    maze = corridor(4, 5, num_waves=2)
    seen = maze.see(jnp.array([3.0, 1.0]))
    at = np.array([0.0, -0.5])
    phase = np.pi * np.array([at[0], 2 * at[0], at[1], 2 * at[1]])
    np.testing.assert_allclose(seen, np.concatenate([at, np.sin(phase), np.cos(phase)]), atol=1e-6)
    assert maze.reset(KEY)[1].shape == (20,)


def test_a_single_lane_is_seen():
    maze = corridor(1, 3, num_waves=1)
    np.testing.assert_allclose(maze.place(maze.see(jnp.array([0.0, 1.0]))), [0.0, 1.0])
    assert np.isfinite(maze.reset(KEY)[1]).all()


def test_distances():
    """Of a walk that knows no better, and none through walls."""
    maze = four_rooms()
    far = np.asarray(jax.jit(distances)(maze.walls))
    walls = np.asarray(maze.walls)
    assert np.isinf(far[walls]).all() and np.isinf(far[:, :, walls]).all()
    seen, front, count = {(1, 1): 0}, [(1, 1)], 0
    while front:
        count += 1
        front = [(i + int(a), j + int(b)) for i, j in front for a, b in MOVES]
        front = [x for x in dict.fromkeys(front) if x not in seen and not walls[x]]
        seen |= dict.fromkeys(front, count)
    for cell, steps in seen.items():
        assert far[1, 1][cell] == steps == far[cell][1, 1]
    assert len(seen) == (~walls).sum()


@pytest.mark.parametrize(("lanes", "length"), [(1, 4), (3, 2), (4, 3)])
def test_a_corridor_is_as_long_as_it_says(lanes, length):
    maze = corridor(lanes, length)
    far = np.asarray(jax.jit(distances)(maze.walls)[0, 0])
    way = (length + 1) * lanes - 2
    assert far[np.isfinite(far)].max() == way == np.isfinite(far).sum() - 1
    assert maze.time_limit == 8 * way


@pytest.mark.parametrize("continuous", [False, True])
def test_walks_go_everywhere_and_ignore_goals(continuous):
    maze = corridor(2, 4, speed=0.5, terminates=False, continuous=continuous, time_limit=64)
    data = datasets.collect(maze, wander(maze), KEY, 512, num_envs=4)
    cells = cell_of(maze.place(jnp.asarray(data.obs_tm1)))
    assert len(np.unique(cells, axis=0)) == 9
    assert data.discount_t.all() and data.truncated_t.sum() == 8
    moved = np.abs(data.obs_t[:, :2] - data.obs_tm1[:, :2]).max(-1) > 1e-3
    assert moved.mean() > 0.95


def test_it_keeps_the_contract():
    check_env(four_rooms(num_waves=1))


def test_messages():
    with pytest.raises(ValueError, match="must have one length"):
        from_text(".. .")
    with pytest.raises(ValueError, match="two free cells"):
        from_text(".#")
    with pytest.raises(ValueError, match="num_lanes=0 must be at least 1"):
        corridor(0)
