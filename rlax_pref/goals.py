"""Which goal was a step taken for? In hindsight, any that was reached (Andrychowicz et al., 2017).

Hindsight experience replay (arXiv:1707.01495) and its descendants learn from goals drawn after
the fact. Data are rows of many trajectories one after the other; `transitions.trajectory_end` says
where each ends. Goals are rows, too: read their observation, and compare them with `reached`.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Key, Numeric


class Goals(NamedTuple):
    """Rows to be reached."""

    row: Array  # [...] int32, the goal
    ahead: Array  # [...] bool, it is on the same trajectory, at this row or later


class Reached(NamedTuple):
    """What a goal pays: -1 for each step until it is reached, and nothing follows then."""

    r_t: Array  # [...] float32, 0 where the goal is reached, else -1
    goes_on: Array  # [...] float32, 0 where the goal is reached, else 1; times gamma a discount


def geometric(key: Key, row: Array, end: Array, discount: Numeric) -> Array:
    """A row of the future, the nearer the likelier, as a discounted sum would weigh them.

        P(k steps ahead) = (1 - discount) * discount^(k - 1)     k = 1, 2, ...

    Args:
      key: random key.
      row: `[...]` int32 rows that the steps are taken in.
      end: `[...]` last rows of their trajectories; what goes further stops there.
      discount: in [0, 1).

    Returns:
      `[...]` int32 rows in `(row, end]`, or `end` itself in the last row.
    """
    chex.assert_equal_shape((row, end), custom_message="goals.geometric: end must be like row")
    # 1 - u is in (0, 1]: its logarithm is finite. At discount 0 the ratio is 0 and k is 1.
    u = 1.0 - jax.random.uniform(key, row.shape)
    ratio = jnp.where(discount > 0, jnp.log(u) / jnp.log(jnp.maximum(discount, 1e-30)), 0.0)
    ahead = 1 + jnp.floor(jnp.minimum(ratio, 2.0**24)).astype(jnp.int32)
    return jnp.minimum(row + ahead, end)


def uniform_future(key: Key, row: Array, end: Array) -> Array:
    """A later row of the trajectory, all equally likely; the "future" strategy of hindsight.

    Args:
      key: random key.
      row: `[...]` int32.
      end: `[...]` int32 last rows of their trajectories.

    Returns:
      `[...]` int32 rows in `(row, end]`, or `end` itself in the last row.
    """
    chex.assert_equal_shape((row, end), custom_message="goals.uniform_future: end must be like row")
    return jax.random.randint(key, row.shape, jnp.minimum(row + 1, end), end + 1)


def sample(
    key: Key,
    row: Array,
    end: Array,
    num_rows: Array | int,
    *,
    p_current: Numeric = 0.2,
    p_trajectory: Numeric = 0.5,
    discount: Numeric | None = None,
) -> Goals:
    """The row itself, a later one of its trajectory, or any at all.

    Args:
      key: random key.
      row: `[...]` int32 rows that the steps are taken in.
      end: `[...]` int32 last rows of their trajectories.
      num_rows: N, rows of the data, a number or `[...]`.
      p_current: how often the goal is the row itself.
      p_trajectory: how often it is later on the trajectory; in the rest of the cases, anywhere.
      discount: later rows are drawn by `geometric`; None draws them by `uniform_future`.

    Returns:
      `[...]` goals.
    """
    key_kind, key_future, key_random = jax.random.split(key, 3)
    if discount is None:
        future = uniform_future(key_future, row, end)
    else:
        future = geometric(key_future, row, end, discount)
    anywhere = jax.random.randint(key_random, row.shape, 0, num_rows)
    kind = jax.random.uniform(key_kind, row.shape)
    current, trajectory = kind < p_current, kind < p_current + p_trajectory
    goal = jnp.where(current, row, jnp.where(trajectory, future, anywhere))
    return Goals(goal.astype(jnp.int32), trajectory)


def waypoint(row: Array, goals: Goals, end: Array, num_steps: int) -> Array:
    """The row that an option of `num_steps` steps leads to, stopped by the goal or by the end.

        min(row + num_steps, goal)    where the goal is ahead, else    min(row + num_steps, end)

    A hierarchical policy takes it for its subgoal, and an option-aware value
    (Ahn et al., 2025, arXiv:2505.12737) takes the whole stretch for one step.

    Args:
      row: `[...]` int32.
      goals: `[...]`.
      end: `[...]` int32 last rows of their trajectories.
      num_steps: at least 1.

    Returns:
      `[...]` int32 rows in `[row, end]`.
    """
    return jnp.minimum(row + num_steps, jnp.where(goals.ahead, goals.row, end))


def reached(row: Array, goal: Array) -> Reached:
    """What a goal pays in a row: -1 until it is reached, and then nothing more.

    Args:
      row: `[...]` int32, where one stands: for one-step values the row that the step is taken in,
        for options the row that the option led to.
      goal: `[...]` int32.
    """
    return paid(row == goal)


def paid(success: Array) -> Reached:
    """The same, where something else than the row says whether the goal is reached, `[...]`."""
    success = success.astype(jnp.float32)
    return Reached(success - 1.0, 1.0 - success)
