"""Anchored preference optimisation (D'Oosterlinck et al., 2024, arXiv:2408.06266)."""

import jax

from rlax_pref._shapes import assert_like
from rlax_pref.policies._soft_label import soft_label
from rlax_pref.types import Array, Numeric


def apo_zero(
    chosen: Array, rejected: Array, beta: Numeric = 0.1, *, p_first: Numeric = 1.0
) -> Array:
    """Anchored preferences, better than one's own (D'Oosterlinck et al., 2024, arXiv:2408.06266).

        loss = sigmoid(-beta * chosen) + sigmoid(beta * rejected)

    For preferred responses that are better than what the policy writes: they become likelier than
    under the reference, the others less likely.

    Args:
      chosen: `[...]` log pi / reference of the preferred responses.
      rejected: `[...]` the same of the others.
      beta: > 0, how much a nat is worth.
      p_first: `[...]` or a scalar in [0, 1], probability that `chosen` is preferred.

    Returns:
      `[...]` loss of each pair, in [0, 2]; not reduced. It is flat where the policy is sure,
      rightly or not.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `chosen`.

    Reference: eq. 7.
    """
    assert_like("apo_zero", scalars=["p_first"], chosen=chosen, rejected=rejected, p_first=p_first)
    sigmoid = jax.nn.sigmoid
    loss = lambda x, y: sigmoid(-x) + sigmoid(y)
    return soft_label(loss, beta * chosen, beta * rejected, p_first)


def apo_down(
    chosen: Array, rejected: Array, beta: Numeric = 0.1, *, p_first: Numeric = 1.0
) -> Array:
    """Anchored preferences, worse than one's own (D'Oosterlinck et al., 2024, arXiv:2408.06266).

        loss = sigmoid(beta * chosen) + sigmoid(-beta * (chosen - rejected))

    For responses that are all worse than what the policy writes: the preferred become less likely
    than under the reference, the others even less.

    Args:
      chosen: `[...]` log pi / reference of the preferred responses.
      rejected: `[...]` the same of the others.
      beta: > 0, how much a nat is worth.
      p_first: `[...]` or a scalar in [0, 1], probability that `chosen` is preferred.

    Returns:
      `[...]` loss of each pair, in [0, 2]; not reduced. At the reference only the other response
      is pushed.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `chosen`.

    Reference: eq. 8.
    """
    assert_like("apo_down", scalars=["p_first"], chosen=chosen, rejected=rejected, p_first=p_first)
    sigmoid = jax.nn.sigmoid
    loss = lambda x, y: sigmoid(x) + sigmoid(y - x)
    return soft_label(loss, beta * chosen, beta * rejected, p_first)
