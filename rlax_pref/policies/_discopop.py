"""A loss that a language model found (Lu et al., 2024, arXiv:2406.08414)."""

import jax
import jax.numpy as jnp

from rlax_pref._shapes import assert_like
from rlax_pref.policies._soft_label import soft_label
from rlax_pref.types import Array, Numeric


def discopop(
    chosen: Array,
    rejected: Array,
    beta: Numeric = 0.1,
    *,
    tau: Numeric = 0.05,
    p_first: Numeric = 1.0,
) -> Array:
    """Discovered preference optimisation, DiscoPOP (Lu et al., 2024, arXiv:2406.08414).

        loss = -(1 - m) log sigmoid(z) + m exp(-z)
        z    = beta * (chosen - rejected),    m = sigmoid(z / tau)

    DPO's loss where a pair is ordered wrongly, an exponential where it is right. It is not convex:
    around z = 0, where a policy that equals its reference begins, it rises for a while (with slope
    0.78 at 0 for `tau` 0.05), so that pairs can get stuck at a small negative margin.

    Args:
      chosen: `[...]` log pi / reference of the preferred responses.
      rejected: `[...]` the same of the others.
      beta: > 0, how much a nat costs, in units of reward.
      tau: in (0, 1], how soon one takes over from the other.
      p_first: `[...]` or a scalar in [0, 1], probability that `chosen` is preferred.

    Returns:
      `[...]` loss of each pair; not reduced.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `chosen`.

    Reference: eq. 5.
    """
    assert_like("discopop", scalars=["p_first"], chosen=chosen, rejected=rejected, p_first=p_first)

    def loss(x: Array, y: Array) -> Array:
        z = beta * (x - y)
        logistic = jax.nn.sigmoid(-z / tau) * jax.nn.softplus(-z)
        # m exp(-z) in one exponential: far below 0 the one vanishes faster than the other grows.
        return logistic + jnp.exp(-z + jax.nn.log_sigmoid(z / tau))

    return soft_label(loss, chosen, rejected, p_first)
