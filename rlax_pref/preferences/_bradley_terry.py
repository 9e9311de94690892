"""The Bradley-Terry model of choice (Bradley & Terry, 1952)."""

import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Numeric


def bradley_terry(
    score_first: Array,
    score_second: Array,
    *,
    temperature: Numeric = 1.0,
    lapse: Numeric | None = None,
) -> Array:
    """How likely the first of two segments is preferred (Bradley & Terry, 1952).

        log P = log sigmoid((score_first - score_second) / temperature)

    With a lapse rate, an attention slip replaces the choice by a coin flip:
    `P' = (1 - lapse) P + lapse / 2`. All is computed in log space, so nothing under- or overflows.

    Args:
      score_first: `[...]` what the first segment is worth to the person who chooses.
      score_second: `[...]` the same for the second.
      temperature: positive, in units of score; the choice is more random where it is higher.
      lapse: in [0, 1). To learn it, pass `sigmoid(raw)`; no gradient flows to an exact 0.

    Returns:
      `[...]` log-probabilities, at most 0.
    """
    return log_choice((score_first - score_second) / temperature, lapse)


def log_choice(logit: Array, lapse: Numeric | None = None) -> Array:
    """`[...]` the log-probability of a choice with this log-odds, given a lapse rate."""
    choice = jax.nn.log_sigmoid(logit)
    if lapse is None:
        return choice
    positive = jnp.where(lapse > 0, lapse, 0.5)  # log(0) is never evaluated, nor its gradient
    mixed = jnp.logaddexp(jnp.log1p(-positive) + choice, jnp.log(positive / 2))
    return jnp.where(lapse > 0, mixed, choice)
