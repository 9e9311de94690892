"""Change in expected return as the score of a segment (Knox et al., 2022, arXiv:2206.02231)."""

import chex

from rlax_pref.preferences._partial_return import partial_return
from rlax_pref.types import Array


def expected_return(r_t: Array, live_t: Array, v_last: Array) -> Array:
    """What a segment collects plus what can follow it (Knox et al., 2022, arXiv:2206.02231).

        score = sum_t live_t * r_t + V*(s_L)

    Between segments with one start state this orders and separates exactly as `regret` does.

    Args:
      r_t: `[..., L]` reward of each step.
      live_t: `[..., L]` bool, whether the step began in a state that is not terminal.
      v_last: `[...]` optimal value of the state where the segment ends, in units of reward; 0
        where it is terminal.

    Returns:
      `[...]` scores, in units of reward.
    """
    chex.assert_shape(
        v_last,
        r_t.shape[:-1],
        custom_message="expected_return: v_last must be [...] where r_t is [..., L]",
    )
    return partial_return(r_t, live_t) + v_last
