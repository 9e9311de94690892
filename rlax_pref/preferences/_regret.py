"""Regret as the score of a segment (Knox et al., 2022, arXiv:2206.02231)."""

import chex

from rlax_pref.preferences._expected_return import expected_return
from rlax_pref.preferences._partial_return import partial_return
from rlax_pref.types import Array


def regret(r_t: Array, live_t: Array, v_first: Array, v_last: Array) -> Array:
    """Minus the regret, where moves are certain (Knox et al., 2022, arXiv:2206.02231).

        score = - (V*(s_0) - sum_t live_t * r_t - V*(s_L))

    What the segment gave away, with the sign that makes higher better: 0 where every step was
    optimal. Where moves are random, luck enters this form; `general_regret` leaves it out. With
    discount g < 1, this form is larger by `(1 - g) sum_{t=1..L} V*(s_t)`.

    Args:
      r_t: `[..., L]` reward of each step.
      live_t: `[..., L]` bool, whether the step began in a state that is not terminal.
      v_first: `[...]` optimal value of the first state, in units of reward.
      v_last: `[...]` optimal value of the last state; 0 where it is terminal.

    Returns:
      `[...]` scores, in units of reward.
    """
    chex.assert_equal_shape([v_first, v_last], custom_message="regret: v_first, v_last must match")
    return expected_return(r_t, live_t, v_last) - v_first


def general_regret(advantage_t: Array, live_t: Array) -> Array:
    """Minus the regret, in any process (Knox et al., 2022, arXiv:2206.02231).

        score = sum_t live_t * A*(s_t, a_t) = - sum_t live_t * (V*(s_t) - Q*(s_t, a_t))

    Args:
      advantage_t: `[..., L]` optimal advantage of each step, 0 for an optimal action.
      live_t: `[..., L]` bool, whether the step began in a state that is not terminal.

    Returns:
      `[...]` scores, in units of reward: minus the regret.
    """
    return partial_return(advantage_t, live_t)
