"""What agents share that learn offline from goals drawn in hindsight.

Observations are `[2 D]`: what is seen of the state, then the same of the goal; an environment where
they are has an attribute `has_goals`. Data may be so, or
`[D]` without goals; they are rows of whole trajectories, one after the other, and goals are drawn
from the stretch of data that each environment's store holds.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import buffers, goals, statistics, transitions
from rlax_pref.types import Array, Env, Key, Transition

from .configs.goals import Hindsight as Config
from .learning import Learner


class Stored(NamedTuple):
    """A store whose trajectories are known."""

    step: Transition  # [E, capacity, ...]
    end: Array  # [E, capacity] int32, the last row of each row's trajectory
    num_rows: Array  # [E, 1] int32, those that are not padding


class Move(NamedTuple):
    """A step, or several, on the way to a goal."""

    state_tm1: Array  # [..., D]
    state_t: Array  # [..., D]
    goal: Array  # [..., D]
    paid: goals.Reached  # [...] whether it is reached


def num_state(name: str, env: Env, config: Config, told: int = 0, hint: str = "") -> int:
    """D, how many numbers of an observation are of the state.

    Args:
      name: of the agent.
      env: whose observations are halves if it has a true attribute `has_goals`.
      config: of the agent.
      told: D, if the agent was told; 0 if not.
      hint: what else helps where there are no goals.

    Raises:
      ValueError: there are no goals, or not so many numbers, or the agent is told to collect.
    """
    if config.collect:
        raise ValueError(f"{name} learns offline: collect must be False")
    obs = jax.eval_shape(env.reset, jax.random.key(0))[1]
    if told:
        if obs.ndim != 1 or not 0 < told <= obs.shape[0]:
            raise ValueError(f"num_state={told} does not fit observations of shape {obs.shape}")
        return told
    if not getattr(env, "has_goals", False):
        raise ValueError(
            f"{name} needs an environment with goals, such as four_rooms; one of your own, whose "
            f"observations are a state and a goal [2 D], says so by `has_goals = True`{hint}"
        )
    if obs.ndim != 1 or obs.shape[0] % 2:
        raise ValueError(f"{name} needs observations [2 D], a state and a goal, not {obs.shape}")
    return obs.shape[0] // 2


def see(config: Config, learner: Learner, state: Array) -> Array:
    """States, or goals, `[..., D]` as the networks see them."""
    if not config.normalize_obs:
        return state
    moments = jax.tree.map(lambda x: x[..., : state.shape[-1]] if x.ndim else x, learner.obs)
    return statistics.normalize(moments, state)


def prepare(replay: buffers.Replay) -> buffers.Replay:
    """Finds the trajectories of a store."""
    step: Transition = replay.data
    after = jnp.pad(step.valid_t[:, 1:], [(0, 0), (0, 1)])
    last = (step.discount_t == 0) | step.truncated_t | ~step.valid_t | ~after
    end = transitions.trajectory_end(last.T).T
    index = jnp.arange(1, last.shape[1] + 1, dtype=jnp.int32)
    num_rows = jnp.where(step.valid_t, index, 1).max(1, keepdims=True)
    return replay._replace(data=Stored(step, end, num_rows))


def take(x: Array, row: Array) -> Array:
    """`[E, n, ...]` what stands in these rows of each store."""
    return jax.vmap(lambda x, row: x[row])(x, row)


class Reader(NamedTuple):
    """Reads moves towards goals from a prepared store, as the networks see them."""

    config: Config
    num_state: int
    learner: Learner
    stored: Stored
    row: Array  # [E, n] int32

    @property
    def end(self) -> Array:
        """`[E, n]` the last rows of their trajectories."""
        return take(self.stored.end, self.row)

    def draw(
        self, key: Key, p_current: Array | float, p_trajectory: Array | float, *, far: bool = False
    ) -> goals.Goals:
        """Goals; those on the trajectory are the likelier the nearer, unless they may be `far`."""
        return goals.sample(
            key,
            self.row,
            self.end,
            self.stored.num_rows,
            p_current=p_current,
            p_trajectory=p_trajectory,
            discount=None if far else self.config.discount,
        )

    def state(self, row: Array) -> Array:
        """`[E, n, D]` of these rows."""
        return self._see(take(self.stored.step.obs_tm1, row))

    @property
    def next_state(self) -> Array:
        """`[E, n, D]` what one step leads to, which for the last of a trajectory is no row."""
        return self._see(take(self.stored.step.obs_t, self.row))

    def step_to(self, goal: Array) -> Move:
        """One step towards the goals in these rows; it pays in the state that it is taken in."""
        state_tm1, goal = self.state(self.row), self.state(goal)
        return Move(state_tm1, self.next_state, goal, self._paid(state_tm1, goal))

    def option_to(self, drawn: goals.Goals, num_steps: int) -> Move:
        """Several steps as one, stopped by the goal; it pays where it leads to."""
        state_t = self.state(goals.waypoint(self.row, drawn, self.end, num_steps))
        goal = self.state(drawn.row)
        return Move(self.state(self.row), state_t, goal, self._paid(state_t, goal))

    def _see(self, obs: Array) -> Array:
        return see(self.config, self.learner, obs[..., : self.num_state])

    def _paid(self, state: Array, goal: Array) -> goals.Reached:
        return goals.paid((jnp.abs(state - goal) <= self.config.tolerance).all(-1))
