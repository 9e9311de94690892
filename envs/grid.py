"""Grid worlds of the preference studies (Knox et al., 2022, arXiv:2206.02231; 2310.02456)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rlax_pref.tabular import TabularMDP
from rlax_pref.types import Array, Discrete, Key, Numeric, Segments, TimeStep

# What lies on a cell; the same thing on mud has a code higher by MUD.
BLANK, GOAL, HOUSE, SHEEP, COIN, ROADBLOCK, MUD = range(7)
FEATURES = ("gas", "goal", "sheep", "coin", "roadblock", "mud")

# Actions: up, down, left, right, as (row, column).
MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], np.int32)

# By cell code: does a house stand there, does the episode end there?
_IS_HOUSE = np.array([code % MUD == HOUSE for code in range(2 * MUD)])
_IS_END = np.array([code % MUD in (GOAL, SHEEP) for code in range(2 * MUD)])

# By cell code: the features of a step that enters the cell, and of one that fails to leave it.
# A step burns gas, or on mud more of it, except when it reaches a goal or a sheep.
_GROUND = np.repeat([[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]], MUD, axis=0)
_THING = np.tile(
    [
        [0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 1, 0],
    ],
    (2, 1),
)
_ON_ENTRY = np.where(_IS_END[:, None], _THING, _GROUND + _THING).astype(np.float32)
_ON_STAYING = _GROUND.astype(np.float32)

_DELIVERY = """
    0 0 5 0 0 0 0  0 0 0
    0 0 0 0 4 0 0  0 0 6
    0 0 3 0 0 0 0  6 6 6
    4 0 5 0 2 3 3  6 6 0
    6 6 0 0 0 0 0  0 0 0
    6 0 4 0 0 0 0  0 0 0
    6 2 0 3 5 2 0  0 0 0
    0 4 0 0 0 0 0 10 6 6
    0 0 5 0 0 0 0  6 6 7
    0 0 0 0 0 0 5  0 0 4
"""
_DELIVERY_WEIGHTS = (-1.0, 50.0, -50.0, 1.0, -1.0, -2.0)


class State(NamedTuple):
    """Where the agent stands."""

    cell: Array  # [] int32, row * W + column
    time: Array  # [] int32, steps since the reset


@struct.dataclass
class GridWorld:
    """Four moves on a board whose cells hold a goal, sheep, coins, roadblocks, mud and houses.

    A move enters the next cell and collects its features: `gas` (on mud: `mud` instead), plus
    `coin` or `roadblock` for what lies there. Coins never vanish. A move off the board or into a
    house fails: the agent stays, and its own cell costs gas or mud once more, but no coin or
    roadblock is collected. Entering a goal or a sheep collects only that and ends the episode;
    from there every action stays and collects nothing. The reward is linear, `features @
    weights`. An episode begins on any cell that is neither a house nor an end.

    A house blocks as the edge does, so a board padded with houses is the same world: boards of
    different sizes fit one program (see `pad_board`). States are cells in reading order,
    `row * W + column`; actions are up, down, left, right; the observation is the cell, one-hot.

    Attributes:
      board: `[H, W]` int cell codes. 0 blank, 1 goal, 2 house, 3 sheep, 4 coin, 5 roadblock; 6 to
        11 are the same on mud.
      weights: `[6]` reward of gas, goal, sheep, coin, roadblock, mud.
      reward_table: `[S, 4]` reward by state and action to train on instead, say a learned one;
        ends still earn nothing, and the features stay true.
      time_limit: steps after which an episode is truncated.
    """

    board: Array
    weights: Array
    reward_table: Array | None = None
    time_limit: Numeric = 100

    @property
    def action_space(self) -> Discrete:
        """Up, down, left, right."""
        return Discrete(len(MOVES))

    @property
    def num_states(self) -> int:
        """How many cells the board has, houses included."""
        return self.board.shape[-2] * self.board.shape[-1]

    def reset(self, key: Key) -> tuple[State, Array]:
        """Begins on a random cell that is neither a house nor an end."""
        count = jnp.cumsum(~_is_closed(jnp.ravel(self.board)))  # open cells so far
        cell = jnp.searchsorted(count, jax.random.randint(key, (), 0, count[-1]), side="right")
        cell = cell.astype(jnp.int32)
        return State(cell, jnp.int32(0)), self.observe(cell)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, TimeStep]:
        """Moves to the next cell if it can. Nothing here is random: `key` is not used."""
        cell, features = move(self.board, state.cell, action)
        if self.reward_table is None:
            reward = features @ self.weights
        else:
            over = _is_closed(code_at(self.board, state.cell))
            reward = jnp.where(over, 0.0, self.reward_table[state.cell, action])
        time = state.time + 1
        ended = _is_closed(code_at(self.board, cell))
        obs = self.observe(cell)
        return State(cell, time), TimeStep(
            obs=obs,
            reward=reward,
            discount=1.0 - ended.astype(jnp.float32),
            truncated=(time >= self.time_limit) & ~ended,
            last_obs=obs,
        )

    def observe(self, cell: Array) -> Array:
        """What the agent sees: `[...]` cells -> `[..., S]` float32, one-hot."""
        return jax.nn.one_hot(cell, self.num_states, dtype=jnp.float32)

    def tabular(self) -> TabularMDP:
        """The same world as tables, for exact solutions; houses count as terminal."""
        state, action = jnp.indices((self.num_states, len(MOVES)), dtype=jnp.int32)
        next_state, features = move(self.board, state, action)
        closed = _is_closed(jnp.ravel(self.board))
        return TabularMDP(
            transition=self.observe(next_state),
            features=features,
            terminal=closed,
            start=~closed / (~closed).sum(),
        )

    def rewards(self) -> Array:
        """`[S, 4]` what `step` pays for every state and action."""
        mdp = self.tabular()
        if self.reward_table is None:
            return mdp.features @ self.weights
        return jnp.where(mdp.terminal[:, None], 0.0, self.reward_table)

    def cells_to_states(self, cells: Array) -> Array:
        """`[..., 2]` int (row, column) -> `[...]` int32 states."""
        return (cells[..., 0] * self.board.shape[-1] + cells[..., 1]).astype(jnp.int32)

    def unroll(self, state: Array, action: Array) -> Segments:
        """Walks from a start state along attempted actions.

        Args:
          state: `[...]` int states to start from.
          action: `[..., L]` int actions 0 to 3; a negative one pads a segment that is over.

        Returns:
          Segments of L steps: a step is live if it starts on an open cell and is not padding.
        """

        def advance(state, action):
            moved, _ = move(self.board, state, jnp.maximum(action, 0))
            state = jnp.where(action < 0, state, moved)
            return state, state

        state = jnp.asarray(state, jnp.int32)
        action = jnp.asarray(action, jnp.int32)
        _, visited = jax.lax.scan(advance, state, jnp.moveaxis(action, -1, 0))
        states = jnp.moveaxis(jnp.concatenate([state[None], visited]), 0, -1)
        live = ~_is_closed(code_at(self.board, states[..., :-1])) & (action >= 0)
        return Segments(states, action, live)


def move(board: Array, state: Array, action: Array) -> tuple[Array, Array]:
    """The dynamics, all of them: `step`, `tabular` and `unroll` come from here.

    Args:
      board: `[H, W]` int cell codes.
      state: `[...]` int states.
      action: `[...]` int actions, shaped like `state`.

    Returns:
      The next states, `[...]` int32, and the features collected, `[..., 6]` float32.
    """
    height, width = board.shape
    here = code_at(board, state)
    row = state // width + jnp.asarray(MOVES[:, 0])[action]
    column = state % width + jnp.asarray(MOVES[:, 1])[action]
    on_board = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    target = jnp.where(on_board, row * width + column, state).astype(jnp.int32)
    there = code_at(board, target)
    closed = _is_closed(here)
    fails = ~on_board | jnp.asarray(_IS_HOUSE)[there]
    next_state = jnp.where(closed | fails, state, target).astype(jnp.int32)
    entered, stayed = jnp.asarray(_ON_ENTRY)[there], jnp.asarray(_ON_STAYING)[here]
    features = jnp.where(fails[..., None], stayed, entered)
    return next_state, jnp.where(closed[..., None], 0.0, features)


def code_at(board: Array, state: Array) -> Array:
    """What lies on the cells: `[...]` int states -> `[...]` int cell codes."""
    return jnp.ravel(board)[state]


def _is_closed(code: Array) -> Array:
    """Whether a cell of this code is an end or a house: nothing can happen from there."""
    return jnp.asarray(_IS_END | _IS_HOUSE)[code]


def displacements_to_actions(displacements: Array) -> Array:
    """`[..., 2]` int attempted moves (rows, columns) -> `[...]` int32 actions.

    No move at all, `[0, 0]`, is padding: -1. What is not one of the four moves gives -2.
    """
    table = np.full((3, 3), -2, np.int32)
    table[1, 1] = -1
    table[tuple(MOVES.T + 1)] = range(len(MOVES))
    rows, columns = displacements[..., 0], displacements[..., 1]
    actions = jnp.asarray(table)[jnp.clip(rows + 1, 0, 2), jnp.clip(columns + 1, 0, 2)]
    return jnp.where((jnp.abs(rows) <= 1) & (jnp.abs(columns) <= 1), actions, -2)


def grid_world(
    board: Array | np.ndarray,
    weights: Array | np.ndarray,
    *,
    reward_table: Array | np.ndarray | None = None,
    time_limit: Numeric = 100,
) -> GridWorld:
    """A `GridWorld` from arrays that come from outside, checked.

    Raises:
      ValueError: a shape or a cell code is wrong, or no cell is left to start from.
    """
    codes = np.asarray(board)
    if codes.ndim != 2 or not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"board must be [H, W] integers, not {codes.dtype} {codes.shape}")
    if codes.min() < 0 or codes.max() >= 2 * MUD:
        raise ValueError(
            f"board has cell codes {codes.min()} to {codes.max()}; they go from 0 to 11"
        )
    if (_IS_END | _IS_HOUSE)[codes].all():
        raise ValueError("board has no cell to start from: all are houses, goals or sheep")
    if np.shape(weights) != (len(FEATURES),):
        raise ValueError(f"weights must be [6] ({', '.join(FEATURES)}), not {np.shape(weights)}")
    if reward_table is not None and np.shape(reward_table) != (codes.size, len(MOVES)):
        raise ValueError(
            f"reward_table must be [{codes.size}, 4], one row a cell, not {np.shape(reward_table)}"
        )
    return GridWorld(
        board=jnp.asarray(codes, jnp.int32),
        weights=jnp.asarray(weights, jnp.float32),
        reward_table=None if reward_table is None else jnp.asarray(reward_table, jnp.float32),
        time_limit=time_limit,
    )


def pad_board(board: Array | np.ndarray, shape: tuple[int, int] = (15, 10)) -> np.ndarray:
    """`[H, W]` -> `shape`: the same world with houses below and to the right of it.

    States are numbered by the padded board's rows.
    """
    codes = np.asarray(board)
    padded = np.full(shape, HOUSE, codes.dtype)
    padded[: codes.shape[0], : codes.shape[1]] = codes
    return padded


def delivery(
    *, reward_table: Array | np.ndarray | None = None, time_limit: Numeric = 100
) -> GridWorld:
    """The delivery task (Knox et al., 2022, arXiv:2206.02231): 10x10 cells, 92 of them starts."""
    board = np.array([line.split() for line in _DELIVERY.split("\n") if line.strip()], int)
    weights = np.array(_DELIVERY_WEIGHTS, np.float32)
    return grid_world(board, weights, reward_table=reward_table, time_limit=time_limit)


def random_grid(key: Key, *, time_limit: Numeric = 100) -> GridWorld:
    """A random member of the family (Knox et al., 2023, arXiv:2310.02456).

    The height is 3, 6, 10 or 15 and the width 5, 6 or 10; a share of the cells holds sheep (0, .1
    or .3), another roadblocks (0, .1, .5 or .8), another coins (0, .1 or .2), each share drawn
    anew until less than the whole board is used up; then one goal lands anywhere. There is
    neither mud nor a house. All draws are uniform. Gas costs 1 and a coin brings 1; the other
    weights are drawn.

    Pure, so `jax.vmap(random_grid)(keys)` is a batch of worlds: every board is padded with houses
    to `[15, 10]`.
    """
    keys = jax.random.split(key, 11)
    height = jax.random.choice(keys[0], jnp.array([3, 6, 10, 15]))
    width = jax.random.choice(keys[1], jnp.array([5, 6, 10]))
    row, column = jnp.indices((15, 10))
    real = ((row < height) & (column < width)).ravel()

    # Shares in tenths, so that "less than the whole" is exact.
    sheep = jax.random.choice(keys[2], jnp.array([0, 1, 3]))
    roadblocks = _choice_below(keys[3], (0, 1, 5, 8), 10 - sheep)
    coins = _choice_below(keys[4], (0, 1, 2), 10 - sheep - roadblocks)
    shares = jnp.stack([sheep, roadblocks, coins])
    counts = shares * height * width // 10

    # The cells in a random order, those outside left out: first come the sheep, and so on.
    order = jax.random.permutation(keys[5], real.size)
    place = jnp.zeros(real.size, jnp.int32).at[order].set(jnp.cumsum(real[order]) - 1)
    things = jnp.array([SHEEP, ROADBLOCK, COIN, BLANK], jnp.int32)
    board = things[jnp.searchsorted(jnp.cumsum(counts), place, side="right")]
    goal = jax.random.categorical(keys[6], jnp.where(real, 0.0, -jnp.inf))
    board = jnp.where(real, board.at[goal].set(GOAL), HOUSE)
    return GridWorld(
        board=board.reshape(row.shape),
        weights=jnp.stack(
            [
                jnp.float32(-1.0),
                jax.random.choice(keys[7], jnp.array([0.0, 1.0, 5.0, 10.0, 50.0])),
                jax.random.choice(keys[8], jnp.array([-5.0, -10.0, -50.0, -100.0])),
                jnp.float32(1.0),
                jax.random.choice(keys[9], jnp.array([-2.0, -5.0, -10.0])),
                jax.random.choice(keys[10], jnp.array([-1.0, -2.0, -3.0])),
            ]
        ),
        time_limit=time_limit,
    )


def random_grid_from_seed(seed: int = 0, *, time_limit: Numeric = 100) -> GridWorld:
    """`random_grid` for those who name it by a number."""
    return jax.jit(random_grid)(jax.random.key(seed)).replace(time_limit=time_limit)


def _choice_below(key: Key, options: tuple[int, ...], limit: Array) -> Array:
    """One of the options below the limit, all equally likely: the law of drawing until it fits."""
    table = jnp.array(options)
    return table[jax.random.categorical(key, jnp.where(table < limit, 0.0, -jnp.inf))]
