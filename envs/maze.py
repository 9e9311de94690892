"""Mazes in which a goal has to be reached: a long corridor, and four rooms."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rlax_pref.types import Array, Box, Discrete, Key, Numeric, Policy, TimeStep

# Actions: up, down, left, right, as (row, column).
MOVES = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)], np.float32)

_FOUR_ROOMS = """
    #############
    #.....#.....#
    #.....#.....#
    #...........#
    #.....#.....#
    #.....#.....#
    ##.####.....#
    #.....###.###
    #.....#.....#
    #.....#.....#
    #...........#
    #.....#.....#
    #############
"""


class State(NamedTuple):
    """Where one is, and where one should be."""

    place: Array  # [2] row and column; the centre of a cell is whole
    goal: Array  # [2] int32, a cell
    time: Array  # [] int32, steps since the reset


@struct.dataclass
class Maze:
    """Find the way to a goal, which every episode draws anew.

    A step leads up, down, left or right, or, where `continuous`, along a vector whose entries are
    within [-1, 1], `speed` cells far; the row moves first, and a wall stops it. Each step costs 1.
    The episode terminates in the goal's cell and is truncated at the time limit, so the value of a
    place d steps away is `-(1 - gamma^d) / (1 - gamma)`.

    The observation is `[2 D]`: what is seen of the place, then the same of the goal. That is two
    coordinates from -1 to 1 and `num_waves` octaves of their sines and cosines, by which a network
    tells close lanes apart: D = 2 + 4 `num_waves`.

    Attributes:
      walls: `[H, W]` bool; nothing leads off the board, either.
      starts: `[H, W]` bool cells in which episodes begin; by default anywhere.
      goals: `[H, W]` bool cells that may be goals; by default anywhere.
      speed: cells a step, in (0, 1]; a power of 2 keeps places on a lattice.
      time_limit: steps after which an episode is truncated.
      terminates: whether reaching the goal ends the episode; if not, one goes on as if nothing
        were there, which is how data are collected.
      continuous: whether actions are vectors.
      num_waves: how finely places are seen.
    """

    has_goals: ClassVar[bool] = True

    walls: Array
    starts: Array | None = None
    goals: Array | None = None
    speed: Numeric = 1.0  # cells a step
    time_limit: Numeric = 100  # steps
    terminates: bool = struct.field(pytree_node=False, default=True)
    continuous: bool = struct.field(pytree_node=False, default=False)
    num_waves: int = struct.field(pytree_node=False, default=0)

    @property
    def action_space(self) -> Discrete | Box:
        """Four moves, or a vector."""
        return Box(-1.0, 1.0, (2,)) if self.continuous else Discrete(len(MOVES))

    def reset(self, key: Key) -> tuple[State, Array]:
        """Begins in the middle of a cell, with a goal in another."""
        key_start, key_goal = jax.random.split(key)
        free = ~self.walls
        start = _draw(key_start, free if self.starts is None else free & self.starts)
        others = free.at[start[0], start[1]].set(False)
        goal = _draw(key_goal, others if self.goals is None else others & self.goals)
        state = State(start.astype(jnp.float32), goal, jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Array) -> tuple[State, TimeStep]:
        """Moves as far as the walls let it. Nothing here is random: `key` is not used."""
        move = jnp.clip(action, -1.0, 1.0) if self.continuous else jnp.asarray(MOVES)[action]
        place = state.place
        for axis in range(2):
            tried = place.at[axis].add(self.speed * move[axis])
            place = jnp.where(self._blocked(cell_of(tried)), place, tried)
        state = State(place, state.goal, state.time + 1)
        reached = (cell_of(place) == state.goal).all() & self.terminates
        obs = self.observe(state)
        return state, TimeStep(
            obs=obs,
            reward=jnp.float32(-1.0),
            discount=1.0 - reached.astype(jnp.float32),
            truncated=(state.time >= self.time_limit) & ~reached,
            last_obs=obs,
        )

    def observe(self, state: State) -> Array:
        """`[2 D]` what is seen of the place, and of the goal."""
        return jnp.concatenate([self.see(state.place), self.see(state.goal)])

    def see(self, place: Array) -> Array:
        """`[..., D]` what is seen of places `[..., 2]`; whole numbers are centres of cells."""
        at = 2.0 * place / self._size - 1.0
        octaves = jnp.pi * 2.0 ** jnp.arange(self.num_waves)
        phase = (at[..., None] * octaves).reshape(*at.shape[:-1], 2 * self.num_waves)
        return jnp.concatenate([at, jnp.sin(phase), jnp.cos(phase)], axis=-1)

    def place(self, obs: Array) -> Array:
        """`[..., 2]` where one is, of what is seen of it, `[..., D]` or more."""
        return (obs[..., :2] + 1.0) * self._size / 2.0

    @property
    def _corner(self) -> tuple[int, int]:
        """Row and column of the last cell."""
        num_rows, num_columns = self.walls.shape
        return num_rows - 1, num_columns - 1

    @property
    def _size(self) -> Array:
        """What places are divided by; a single row is at -1."""
        return jnp.maximum(jnp.array(self._corner, jnp.float32), 1.0)

    def _blocked(self, cell: Array) -> Array:
        corner = jnp.array(self._corner)
        outside = (cell < 0).any() | (cell > corner).any()
        row, column = jnp.clip(cell, 0, corner)
        return outside | self.walls[row, column]


def cell_of(place: Array) -> Array:
    """`[..., 2]` int32, the cell that a place is in."""
    # What was read from an observation may be off by a rounding.
    return jnp.floor(place + (0.5 + 1e-4)).astype(jnp.int32)


# Mazes --------------------------------------------------------------------------------------


def from_text(text: str) -> Array:
    """`[H, W]` bool walls, from lines in which `#` is a wall and all else is free.

    Raises:
      ValueError: lines differ in length, or there is nowhere to be.
    """
    lines = text.split()
    if len({len(line) for line in lines}) != 1:
        raise ValueError("lines of a maze must have one length")
    walls = np.array([[mark == "#" for mark in line] for line in lines])
    if walls.sum() > walls.size - 2:
        raise ValueError("a maze needs two free cells: one to begin in and one to reach")
    return jnp.asarray(walls)


def four_rooms(**settings: Numeric | bool) -> Maze:
    """Four rooms with four doors (Sutton, Precup & Singh, 1999, Artif. Intell. 112:181-211)."""
    return Maze(from_text(_FOUR_ROOMS), **settings)  # type: ignore[arg-type]


def corridor(
    num_lanes: int = 10, lane_length: int = 12, *, speed: Numeric = 0.25, **settings: Numeric | bool
) -> Maze:
    """A corridor as long as it goes, folded into lanes.

    From end to end it takes `((lane_length + 1) num_lanes - 2) / speed` steps less what the last
    cell spares: about 510 by default.

    Args:
      num_lanes: lanes, at least 1.
      lane_length: cells of a lane, at least 2.
      speed: cells a step.
      **settings: see `Maze`; the time limit is twice the way.
    """
    if num_lanes < 1 or lane_length < 2:
        raise ValueError(
            f"num_lanes={num_lanes} must be at least 1, and lane_length={lane_length} at least 2"
        )
    walls = np.zeros((2 * num_lanes - 1, lane_length), bool)
    walls[1::2] = True
    walls[1::4, -1] = False
    walls[3::4, 0] = False
    way = (lane_length + 1) * num_lanes - 2
    return Maze(jnp.asarray(walls), **{"time_limit": 2 * way / speed, "speed": speed} | settings)  # type: ignore[arg-type]


# Ways ---------------------------------------------------------------------------------------


def distances(walls: Array) -> Array:
    """Moves from any cell to any other; infinite where there is no way.

    Args:
      walls: `[H, W]` bool.

    Returns:
      `[H, W, H, W]` float32: goal first.
    """
    num = walls.size
    blocked = jnp.broadcast_to(walls, (num, *walls.shape))
    start = jnp.where(jnp.eye(num, dtype=bool).reshape(blocked.shape), 0.0, jnp.inf)
    start = jnp.where(blocked, jnp.inf, start)

    def relax(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        far, _ = carry
        near = jnp.minimum(far, _around(far).min(0) + 1.0)
        near = jnp.where(blocked, jnp.inf, near)
        return near, (near < far).any()

    far, _ = jax.lax.while_loop(lambda carry: carry[1], relax, (start, jnp.bool_(True)))
    return far.reshape(*walls.shape, *walls.shape)


def wander(maze: Maze, far: Array | None = None) -> Policy:
    """Walks to one cell after another, by the shortest way, wherever the goal is.

    `datasets.collect(maze.replace(terminates=False), wander(maze), ...)` makes data of it.

    Args:
      maze: where to walk.
      far: `distances(maze.walls)`, where they are there already.

    Returns:
      A policy that remembers the cell it walks to.
    """
    far = distances(maze.walls) if far is None else far
    free = ~maze.walls
    moves = jnp.asarray(MOVES)

    def init(key: Key) -> Array:
        return _draw(key, free)

    def act(target: Array, obs: Array, key: Key) -> tuple[Array, Array]:
        key_target, key_tie = jax.random.split(key)
        cell = cell_of(maze.place(obs))
        target = jnp.where((cell == target).all(), _draw(key_target, free), target)
        ahead = _around(far[target[0], target[1]])[:, cell[0], cell[1]]
        ahead = ahead + jax.random.uniform(key_tie, ahead.shape, maxval=0.5)
        best = jnp.argmin(ahead).astype(jnp.int32)
        return target, moves[best] if maze.continuous else best

    return Policy(init, act)


def _around(far: Array) -> Array:
    """`[4, ..., H, W]` what each move leads to, infinite off the board."""
    pad = [(0, 0)] * (far.ndim - 2) + [(1, 1), (1, 1)]
    wide = jnp.pad(far, pad, constant_values=jnp.inf)
    middle = slice(1, -1)
    return jnp.stack(
        [
            wide[..., :-2, middle],
            wide[..., 2:, middle],
            wide[..., middle, :-2],
            wide[..., middle, 2:],
        ]
    )


def _draw(key: Key, cells: Array) -> Array:
    """`[2]` int32, one of the cells of a mask `[H, W]`."""
    index = jax.random.categorical(key, jnp.where(cells, 0.0, -jnp.inf).ravel())
    return jnp.stack(jnp.divmod(index, cells.shape[1])).astype(jnp.int32)
