"""Efficient exact optimisation (Ji et al., 2024, arXiv:2402.00856)."""

import jax
import jax.numpy as jnp

from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def exo_pair(
    chosen: Array,
    rejected: Array,
    beta: Numeric = 0.1,
    *,
    label_smoothing: Numeric = 1e-3,
    p_first: Numeric = 1.0,
) -> Array:
    """Efficient exact optimisation of pairs, EXO (Ji et al., 2024, arXiv:2402.00856).

        loss = KL((sigmoid(z), sigmoid(-z)) || (1 - e, e)),    z = beta * (chosen - rejected)

    `cdpo` has the divergence the other way round. In this direction, that of reinforcement learning
    under a price on divergence, a policy which cannot meet all preferences gives up some of them
    for good instead of spreading itself over all.

    Args:
      chosen: `[...]` log pi / reference of the preferred responses.
      rejected: `[...]` the same of the others.
      beta: > 0, how much a nat costs, in units of reward.
      label_smoothing: e in (0, 0.5), the share of labels that are flipped; at best
        `beta * (chosen - rejected) = log((1 - e) / e)`.
      p_first: `[...]` or a scalar in [0, 1], probability that `chosen` is preferred.

    Returns:
      `[...]` loss of each pair, in nats; not reduced; 0 at best where `p_first` is 0 or 1. It is
      flat where the policy is sure, rightly or not.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `chosen`.

    Reference: eq. 16.
    """
    assert_like("exo_pair", scalars=["p_first"], chosen=chosen, rejected=rejected, p_first=p_first)
    z = beta * (chosen - rejected)
    right, wrong = jnp.log1p(-label_smoothing), jnp.log(label_smoothing)
    first = p_first * right + (1 - p_first) * wrong
    second = p_first * wrong + (1 - p_first) * right
    log_q, log_not_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    return jax.nn.sigmoid(z) * (log_q - first) + jax.nn.sigmoid(-z) * (log_not_q - second)
