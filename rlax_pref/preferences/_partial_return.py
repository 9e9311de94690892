"""Partial return as the score of a segment (Christiano et al., 2017, arXiv:1706.03741)."""

import chex
import jax.numpy as jnp

from rlax_pref.types import Array


def partial_return(r_t: Array, live_t: Array) -> Array:
    """The reward that a segment collects (Christiano et al., 2017, arXiv:1706.03741).

        score = sum_t live_t * r_t

    Args:
      r_t: `[..., L]` reward of each step.
      live_t: `[..., L]` bool, whether the step began in a state that is not terminal.

    Returns:
      `[...]` scores, in units of reward.
    """
    chex.assert_equal_shape(
        [r_t, live_t], custom_message="partial_return: r_t and live_t must both be [..., L]"
    )
    return jnp.sum(jnp.where(live_t, r_t, 0.0), axis=-1)
