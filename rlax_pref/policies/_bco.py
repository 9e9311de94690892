"""Binary classifier optimisation (Jung et al., 2024, arXiv:2404.04656)."""

import jax

from rlax_pref._shapes import assert_like
from rlax_pref.policies._soft_label import soft_label
from rlax_pref.types import Array, Numeric


def bco_pair(
    chosen: Array,
    rejected: Array,
    beta: Numeric = 0.1,
    *,
    shift: Numeric = 0.0,
    p_first: Numeric = 1.0,
) -> Array:
    """Binary classifier optimisation of pairs, BCO (Jung et al., 2024, arXiv:2404.04656).

        loss = -log sigmoid(beta * chosen - shift) - log sigmoid(-(beta * rejected - shift))

    The rewards of `dpo` as a classifier of thumbs up and down, which bounds the loss of pairs from
    above. Each term looks at one response, so pairs need not be of one prompt.

    Args:
      chosen: `[...]` log pi / reference of the preferred responses.
      rejected: `[...]` the same of the others.
      beta: > 0, how much a nat costs, in units of reward.
      shift: from where rewards count as good; detached. The paper has their running mean, TRL
        nothing; at their mean the bound is tightest.
      p_first: `[...]` or a scalar in [0, 1], probability that `chosen` is preferred.

    Returns:
      `[...]` loss of each pair, in nats; not reduced.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `chosen`.
    """
    assert_like("bco_pair", scalars=["p_first"], chosen=chosen, rejected=rejected, p_first=p_first)
    shift = jax.lax.stop_gradient(shift)
    softplus = jax.nn.softplus
    loss = lambda x, y: softplus(-x) + softplus(y)
    return soft_label(loss, beta * chosen - shift, beta * rejected - shift, p_first)
