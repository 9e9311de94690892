"""The grid family against its rules in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from rlax_pref.envs import grid
from rlax_pref.envs.grid import GridWorld, State, delivery, grid_world, random_grid
from rlax_pref.types import Discrete

pytestmark = pytest.mark.usefixtures("strict")

UP, DOWN, LEFT, RIGHT = range(4)
KEY = jax.random.key(0)
WEIGHTS = np.array([-1, 50, -50, 1, -3, -2], np.float32)

tabular = jax.jit(GridWorld.tabular)
rewards = jax.jit(GridWorld.rewards)
reset = jax.jit(GridWorld.reset)
step = jax.jit(GridWorld.step)
unroll = jax.jit(GridWorld.unroll)


WORLD_KEYS = jax.random.split(jax.random.key(7), 6000)


@pytest.fixture(scope="module")
def worlds() -> GridWorld:
    """Thousands of random members, drawn in one batch."""
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(random_grid))(WORLD_KEYS))


# The rules, in plain Python -----------------------------------------------------------------


def rule(board, row, column, action):
    """Where a move leads, and the names of what it collects."""
    height, width = board.shape

    def ground(code):
        return "mud" if code >= 6 else "gas"

    here = board[row, column]
    if here % 6 in (1, 2, 3):  # an end, or a house nobody can stand in
        return (row, column), []
    dx, dy = [(-1, 0), (1, 0), (0, -1), (0, 1)][action]
    x, y = row + dx, column + dy
    if not (0 <= x < height and 0 <= y < width) or board[x, y] in (2, 8):
        return (row, column), [ground(here)]
    there = board[x, y]
    thing = {0: [], 1: ["goal"], 3: ["sheep"], 4: ["coin"], 5: ["roadblock"]}[there % 6]
    return (x, y), thing if there % 6 in (1, 3) else [ground(there), *thing]


boards = stnp.arrays(np.int32, (3, 4), elements=st.integers(0, 11))


@settings(deadline=None, max_examples=50)
@given(boards)
def test_tables_are_the_rules(board):
    mdp = tabular(GridWorld(jnp.asarray(board), jnp.asarray(WEIGHTS)))
    open_cells = ~np.isin(board % 6, [1, 2, 3])
    for row in range(3):
        for column in range(4):
            state = row * 4 + column
            assert mdp.terminal[state] == (not open_cells[row, column])
            for action in range(4):
                (x, y), names = rule(board, row, column, action)
                expected = np.zeros(12)
                expected[x * 4 + y] = 1
                np.testing.assert_array_equal(mdp.transition[state, action], expected)
                features = [float(name in names) for name in grid.FEATURES]
                np.testing.assert_array_equal(mdp.features[state, action], features)
    if open_cells.any():
        np.testing.assert_allclose(mdp.start, open_cells.ravel() / open_cells.sum(), rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(boards, st.integers(0, 11), st.integers(0, 3))
def test_step_is_the_tables(board, cell, action):
    env = GridWorld(jnp.asarray(board), jnp.asarray(WEIGHTS))
    mdp = tabular(env)
    state, timestep = step(env, KEY, State(jnp.int32(cell), jnp.int32(0)), action)
    np.testing.assert_array_equal(timestep.obs, mdp.transition[cell, action])
    np.testing.assert_array_equal(timestep.last_obs, timestep.obs)
    assert timestep.obs[state.cell] == 1
    assert timestep.terminated == mdp.terminal[state.cell]
    np.testing.assert_allclose(timestep.reward, WEIGHTS @ mdp.features[cell, action], rtol=1e-6)
    np.testing.assert_allclose(timestep.reward, rewards(env)[cell, action], rtol=1e-6)


@pytest.mark.parametrize(
    ("code", "collected"),
    [
        (0, ["gas"]),
        (1, ["goal"]),
        (3, ["sheep"]),
        (4, ["gas", "coin"]),
        (5, ["gas", "roadblock"]),
        (6, ["mud"]),
        (7, ["goal"]),
        (9, ["sheep"]),
        (10, ["mud", "coin"]),
        (11, ["mud", "roadblock"]),
        (2, ["mud"]),  # a house: the move from mud fails
        (8, ["mud"]),
    ],
)
def test_what_entering_a_cell_collects(code, collected):
    """From a cell with mud and a coin, which a move that fails does not collect again."""
    _, features = grid.move(jnp.array([[10, code]]), jnp.int32(0), jnp.int32(RIGHT))
    np.testing.assert_array_equal(features, [float(n in collected) for n in grid.FEATURES])


@settings(deadline=None, max_examples=20)
@given(boards)
def test_houses_around_change_nothing(board):
    """A board padded with houses is the same world, cell by cell."""
    small = tabular(GridWorld(jnp.asarray(board), jnp.asarray(WEIGHTS)))
    padded = grid.pad_board(board, (5, 6))
    large = tabular(GridWorld(jnp.asarray(padded), jnp.asarray(WEIGHTS)))
    inside = (np.arange(3)[:, None] * 6 + np.arange(4)).ravel()
    np.testing.assert_array_equal(large.features[inside], small.features)
    np.testing.assert_array_equal(large.transition[inside][..., inside], small.transition)
    np.testing.assert_array_equal(large.terminal[inside], small.terminal)
    np.testing.assert_array_equal(large.start[inside], small.start)
    outside = np.setdiff1d(np.arange(30), inside)
    assert np.all(large.terminal[outside]) and not np.any(large.start[outside])


# Episodes -----------------------------------------------------------------------------------


def test_starts_are_uniform_over_the_open_cells():
    env = delivery()
    keys = jax.random.split(KEY, 9200)
    cells = np.asarray(jax.jit(jax.vmap(lambda key: env.reset(key)[0].cell))(keys))
    counts = np.bincount(cells, minlength=100)
    start = np.asarray(tabular(env).start) > 0
    assert start.sum() == 92 and counts[~start].sum() == 0
    chi_squared = ((counts[start] - 100) ** 2 / 100).sum()
    assert 50 < chi_squared < 140  # 91 degrees of freedom: mean 91, standard deviation 13.5


@pytest.mark.parametrize(
    ("cell", "action", "time", "reward", "terminated", "truncated"),
    [
        (88, RIGHT, 0, 50, True, False),  # into the goal
        (88, RIGHT, 4, 50, True, False),  # just in time: no truncation
        (12, DOWN, 0, -50, True, False),  # into a sheep
        (88, UP, 3, -2, False, False),
        (88, UP, 4, -2, False, True),  # the limit
        (22, UP, 0, 0, True, False),  # from an end nothing leads on
    ],
)
def test_how_episodes_end(cell, action, time, reward, terminated, truncated):
    env = delivery(time_limit=5)
    state, timestep = step(env, KEY, State(jnp.int32(cell), jnp.int32(time)), action)
    assert timestep.reward == reward
    assert (timestep.terminated, timestep.truncated) == (terminated, truncated)
    assert state.time == time + 1


def test_reward_table_replaces_the_reward_only():
    table = np.arange(400, dtype=np.float32).reshape(100, 4)
    env, true = delivery(reward_table=table), delivery()
    _, timestep = step(env, KEY, State(jnp.int32(67), jnp.int32(0)), DOWN)
    assert timestep.reward == table[67, DOWN]
    np.testing.assert_array_equal(tabular(env).features, tabular(true).features)
    terminal = np.asarray(tabular(env).terminal)
    np.testing.assert_array_equal(rewards(env), np.where(terminal[:, None], 0, table))
    _, over = step(env, KEY, State(jnp.int32(89), jnp.int32(0)), DOWN)
    assert over.reward == 0


def test_reward_has_gradients_by_the_weights():
    def reward(weights):
        env = GridWorld(delivery().board, weights)
        return env.step(KEY, State(jnp.int32(67), jnp.int32(0)), DOWN)[1].reward

    features = tabular(delivery()).features[67, DOWN]
    np.testing.assert_array_equal(jax.grad(reward)(jnp.asarray(WEIGHTS)), features)


def test_action_space():
    assert delivery().action_space == Discrete(4)
    assert delivery().num_states == 100


# Segments -----------------------------------------------------------------------------------


def test_unroll_by_hand():
    """Rows that were published: (6, 7) up three times earns -4; down, down, right earns -5."""
    env = delivery()
    start = env.cells_to_states(jnp.array([[6, 7], [6, 7], [8, 8]]))
    action = jnp.array([[UP, UP, UP], [DOWN, DOWN, RIGHT], [RIGHT, -1, -1]])
    segments = unroll(env, start, action)
    np.testing.assert_array_equal(
        segments.state, [[67, 57, 47, 37], [67, 77, 87, 88], [88, 89, 89, 89]]
    )
    np.testing.assert_array_equal(segments.live, [[1, 1, 1], [1, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(segments.action, action)
    reward = np.asarray(rewards(env))[segments.state[..., :-1], action] * segments.live
    np.testing.assert_array_equal(reward.sum(-1), [-4, -5, 50])


def test_actions_out_of_an_end_stay_and_are_not_live():
    segments = unroll(delivery(), jnp.int32(88), jnp.array([RIGHT, UP, LEFT]))
    np.testing.assert_array_equal(segments.state, [88, 89, 89, 89])
    np.testing.assert_array_equal(segments.live, [True, False, False])


@settings(deadline=None, max_examples=30)
@given(boards, stnp.arrays(np.int32, (2, 5), elements=st.integers(-1, 3)), st.integers(0, 11))
def test_unroll_is_a_loop_of_rules(board, actions, start):
    env = GridWorld(jnp.asarray(board), jnp.asarray(WEIGHTS))
    segments = unroll(env, jnp.array([start, start]), jnp.asarray(actions))
    for i in range(2):
        row, column = divmod(start, 4)
        for t, action in enumerate(actions[i]):
            assert segments.state[i, t] == row * 4 + column
            is_open = board[row, column] % 6 not in (1, 2, 3)
            assert segments.live[i, t] == (is_open and action >= 0)
            if action >= 0:
                (row, column), _ = rule(board, row, column, action)
        assert segments.state[i, 5] == row * 4 + column


def test_unroll_maps_over_worlds(worlds):
    """One segment each in a batch of boards is what each board does alone."""
    worlds = jax.tree.map(lambda x: x[:3], worlds)
    action = jnp.array([DOWN, RIGHT, UP, LEFT])
    batch = jax.jit(jax.vmap(GridWorld.unroll, in_axes=(0, None, None)))(worlds, 11, action)
    for i in range(3):
        one = unroll(jax.tree.map(lambda x, i=i: x[i], worlds), jnp.int32(11), action)
        for x, y in zip(jax.tree.map(lambda x, i=i: x[i], batch), one, strict=True):
            np.testing.assert_array_equal(x, y)


def test_displacements_to_actions():
    moves = jnp.array([[[-1, 0], [1, 0]], [[0, -1], [0, 1]], [[0, 0], [1, 1]], [[0, 2], [-3, 0]]])
    actions = grid.displacements_to_actions(moves)
    np.testing.assert_array_equal(actions, [[0, 1], [2, 3], [-1, -2], [-2, -2]])
    np.testing.assert_array_equal(grid.displacements_to_actions(moves.astype(jnp.int8)), actions)


# Random members -----------------------------------------------------------------------------


def sizes(worlds):
    real = worlds.board != grid.HOUSE
    return real.any(2).sum(1), real.any(1).sum(1)


def assert_uniform(values, options, share=1.0):
    """Each option comes about equally often, within five standard errors, and no other does."""
    values = np.asarray(values)
    assert set(np.unique(values)) == set(options)
    p = 1 / len(options)
    error = 5 * np.sqrt(p * (1 - p) / (len(values) * share))
    for option in options:
        assert abs((values == option).mean() - p) <= error


def test_random_sizes_and_weights(worlds):
    height, width = sizes(worlds)
    assert_uniform(height, [3, 6, 10, 15])
    assert_uniform(width, [5, 6, 10])
    np.testing.assert_array_equal((worlds.board != grid.HOUSE).sum((1, 2)), height * width)
    gas, goal, sheep, coin, roadblock, mud = worlds.weights.T
    np.testing.assert_array_equal(gas, -1)
    np.testing.assert_array_equal(coin, 1)
    assert_uniform(goal, [0, 1, 5, 10, 50])
    assert_uniform(sheep, [-5, -10, -50, -100])
    assert_uniform(roadblock, [-2, -5, -10])
    assert_uniform(mud, [-1, -2, -3])


def test_random_shares(worlds):
    """Counts are shares of the board, rounded down; the goal takes the place of at most one."""
    height, width = sizes(worlds)
    counts = {
        code: (worlds.board == code).sum((1, 2))
        for code in (grid.GOAL, grid.SHEEP, grid.ROADBLOCK, grid.COIN)
    }
    assert set(np.unique(worlds.board)) == {0, 1, 2, 3, 4, 5}
    assert np.all(counts[grid.GOAL] == 1)

    full = (height == 10) & (width == 10)  # where ten per cent are ten cells: shares can be told
    tenths = {code: (counts[code][full] + 1) // 10 for code in (3, 4, 5)}
    assert_uniform(tenths[3], [0, 1, 3])
    for sheep, allowed in ((0, [0, 1, 5, 8]), (1, [0, 1, 5, 8]), (3, [0, 1, 5])):
        assert_uniform(tenths[5][tenths[3] == sheep], allowed)
    used = tenths[3] + tenths[5]
    assert_uniform(tenths[4][used < 8], [0, 1, 2])
    assert_uniform(tenths[4][used == 8], [0, 1])
    assert_uniform(tenths[4][used == 9], [0])
    replaced = sum(10 * tenths[code] - counts[code][full] for code in (3, 4, 5))
    assert set(np.unique(replaced)) == {0, 1}
    share = (10 * (used + tenths[4])) / 100  # the goal lands on something this often
    assert abs(replaced.mean() - share.mean()) < 5 * 0.5 / np.sqrt(full.sum())

    for code in (3, 4, 5):  # a 3x5 board has room for int(.1 * 15) = 1, int(.3 * 15) = 4, ...
        tiny = counts[code][(height == 3) & (width == 5)]
        most = {3: (0, 1, 4), 5: (0, 1, 7, 12), 4: (0, 1, 3)}[code]
        assert set(np.unique(tiny)) <= {n - d for n in most for d in (0, 1) if n >= d}


def test_random_goals_are_anywhere(worlds):
    height, width = sizes(worlds)
    tiny = (height == 3) & (width == 5)
    cells = np.argwhere(worlds.board[tiny] == grid.GOAL)[:, 1:]
    assert_uniform(cells[:, 0] * 5 + cells[:, 1], range(15))
    wide = (height == 6) & (width == 10)
    sheep = np.argwhere(worlds.board[wide] == grid.SHEEP)
    rows, columns = sheep[:, 1], sheep[:, 2]
    assert_uniform(rows, range(6), share=0.5)  # sheep of one board are not independent
    assert_uniform(columns, range(10), share=0.5)


def test_random_alone_is_random_in_a_batch(worlds):
    for i, one in enumerate(map(jax.jit(random_grid), WORLD_KEYS[:3])):
        for x, y in zip(jax.tree.leaves(worlds), jax.tree.leaves(one), strict=True):
            np.testing.assert_array_equal(x[i], y)
    assert len(np.unique(worlds.board, axis=0)) > 0.95 * len(worlds.board)


# What comes from outside --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("board", "weights", "table", "message"),
    [
        (np.zeros((2, 2, 2), int), WEIGHTS, None, r"board must be \[H, W\] integers"),
        (np.zeros((2, 2)), WEIGHTS, None, "integers, not float64"),
        (np.full((2, 2), 12), WEIGHTS, None, "codes 12 to 12; they go from 0 to 11"),
        (np.array([[-1, 0]]), WEIGHTS, None, "codes -1 to 0"),
        (np.array([[1, 2, 9]]), WEIGHTS, None, "no cell to start from"),
        (np.zeros((2, 2), int), WEIGHTS[:5], None, r"weights must be \[6\] \(gas, goal"),
        (np.zeros((2, 2), int), WEIGHTS, np.zeros((4, 3)), r"reward_table must be \[4, 4\]"),
    ],
)
def test_wrong_arrays_are_named(board, weights, table, message):
    with pytest.raises(ValueError, match=message):
        grid_world(board, weights, reward_table=table)
