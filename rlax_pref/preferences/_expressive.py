"""A freely weighted score of a segment (Knox et al., 2022, arXiv:2206.02231)."""

import chex

from rlax_pref.preferences._partial_return import partial_return
from rlax_pref.types import Array


def expressive(r_t: Array, live_t: Array, v_first: Array, v_last: Array, weights: Array) -> Array:
    """Reward and values, each with its own weight (Knox et al., 2022, arXiv:2206.02231).

        score = w_0 sum_t live_t * r_t + w_1 V*(s_L) - w_2 V*(s_0)

    Weights (1, 0, 0) give `partial_return`, (1, 1, 0) `expected_return`, (1, 1, 1) `regret`.

    Args:
      r_t: `[..., L]` reward of each step.
      live_t: `[..., L]` bool, whether the step began in a state that is not terminal.
      v_first: `[...]` optimal value of the first state, in units of reward.
      v_last: `[...]` optimal value of the last state; 0 where it is terminal.
      weights: `[3]`, without unit.

    Returns:
      `[...]` scores, in units of reward.
    """
    chex.assert_shape(weights, (3,), custom_message="expressive: weights must be [3]")
    chex.assert_equal_shape(
        [v_first, v_last, r_t[..., 0]],
        custom_message="expressive: v_first and v_last must be [...] for r_t [..., L]",
    )
    return weights[0] * partial_return(r_t, live_t) + weights[1] * v_last - weights[2] * v_first
