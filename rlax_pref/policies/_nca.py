"""Noise contrastive alignment (Chen et al., 2024, arXiv:2402.05369)."""

import jax

from rlax_pref._shapes import assert_like
from rlax_pref.policies._soft_label import soft_label
from rlax_pref.types import Array, Numeric


def nca_pair(
    chosen: Array, rejected: Array, beta: Numeric = 0.1, *, p_first: Numeric = 1.0
) -> Array:
    """Noise contrastive alignment of pairs, NCA (Chen et al., 2024, arXiv:2402.05369).

        loss = -log sigmoid(x) - (log sigmoid(-x) + log sigmoid(-y)) / 2
        x, y = beta * chosen, beta * rejected

    Is a response from the best policy, or from the reference? It learns what each response is worth
    by itself: unlike under `dpo`, the preferred does not become less likely while the gap widens.

    Args:
      chosen: `[...]` log pi / reference of the preferred responses.
      rejected: `[...]` the same of the others.
      beta: > 0, how much a nat costs, in units of reward.
      p_first: `[...]` or a scalar in [0, 1], probability that `chosen` is preferred.

    Returns:
      `[...]` loss of each pair, in nats; not reduced. At best `beta chosen` is log 2 where
      `p_first` is 1.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `chosen`.
    """
    assert_like("nca_pair", scalars=["p_first"], chosen=chosen, rejected=rejected, p_first=p_first)
    log_sigmoid = jax.nn.log_sigmoid

    def loss(x: Array, y: Array) -> Array:
        return -log_sigmoid(x) - 0.5 * (log_sigmoid(-x) + log_sigmoid(-y))

    return soft_label(loss, beta * chosen, beta * rejected, p_first)
