"""Alignment by optimal transport (Melnyk et al., 2024, arXiv:2406.05882)."""

import jax
import jax.numpy as jnp

from rlax_pref import preferences
from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def aot(
    margin: Array,
    ref_margin: Array,
    beta: Numeric = 0.1,
    *,
    label_smoothing: Numeric = 0.0,
    p_first: Numeric = 1.0,
) -> Array:
    """Alignment by optimal transport, AOT (Melnyk et al., 2024, arXiv:2406.05882).

        loss_i = -log sigmoid(beta * (margin_(i) - ref_margin_(i)))

    with `(i)` the i-th smallest of the batch. Not each pair but their distribution is to improve,
    the smallest margin on the reference's smallest and so on: dominance of the first order. Where
    all margins of the reference are equal, the loss of the batch is that of `dpo`.

    Args:
      margin: `[..., B]` log pi(preferred) - log pi(other) of the pairs of a batch.
      ref_margin: `[..., B]` the same under the reference; detached.
      beta: > 0, how much a nat costs, in units of reward.
      label_smoothing: e in [0, 0.5), as in `cdpo`.
      p_first: `[..., B]` or a scalar in [0, 1], probability that what is called preferred is; a
        margin counts `2 p_first - 1` times, so that of a tie is 0.

    Returns:
      `[..., B]` loss of each rank, in nats; not reduced. Only the mean over a batch means anything.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `margin`.
    """
    assert_like("aot", scalars=["p_first"], margin=margin, ref_margin=ref_margin, p_first=p_first)
    sign = 2 * jnp.asarray(p_first) - 1
    return _dominance(
        sign * margin, jax.lax.stop_gradient(sign * ref_margin), beta, label_smoothing
    )


def aot_unpaired(
    chosen: Array,
    rejected: Array,
    beta: Numeric = 0.1,
    *,
    label_smoothing: Numeric = 0.0,
    p_first: Numeric = 1.0,
) -> Array:
    """Alignment by optimal transport without pairs (Melnyk et al., 2024, arXiv:2406.05882).

        loss_i = -log sigmoid(beta * (chosen_(i) - rejected_(i)))

    with `(i)` the i-th smallest of the batch: the worst that is wanted is compared with the worst
    that is not, whichever prompts they are from. `aot_pair` in earlier versions of TRL.

    Args:
      chosen: `[..., B]` log pi / reference of the preferred responses of a batch.
      rejected: `[..., B]` the same of the others.
      beta: > 0, how much a nat costs, in units of reward.
      label_smoothing: e in [0, 0.5), as in `cdpo`.
      p_first: `[..., B]` or a scalar in [0, 1], probability that `chosen` is preferred; between 0
        and 1, what is wanted and what is not are means of the two.

    Returns:
      `[..., B]` loss of each rank, in nats; not reduced. Only the mean over a batch means anything.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `chosen`.
    """
    assert_like(
        "aot_unpaired", scalars=["p_first"], chosen=chosen, rejected=rejected, p_first=p_first
    )
    wanted = p_first * chosen + (1 - p_first) * rejected
    unwanted = p_first * rejected + (1 - p_first) * chosen
    return _dominance(wanted, unwanted, beta, label_smoothing)


def _dominance(x: Array, y: Array, beta: Numeric, label_smoothing: Numeric) -> Array:
    """How far x is from being larger than y, quantile by quantile."""
    difference = jnp.sort(x, axis=-1) - jnp.sort(y, axis=-1)
    return preferences.logistic_loss(beta * difference, 1 - label_smoothing)
