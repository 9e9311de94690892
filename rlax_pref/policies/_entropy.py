"""Entropy of a policy, the bonus that keeps it exploring (Williams & Peng, 1991)."""

import math

import jax
import jax.numpy as jnp

from rlax_pref.types import Array


def entropy(logits: Array) -> Array:
    """Entropy of a categorical policy (Williams & Peng, 1991, Connection Science 3:241-268).

        H = -sum_a p_a log p_a,    p = softmax(logits)

    Args:
      logits: `[..., A]` unnormalised log-probabilities; -inf forbids an action.

    Returns:
      `[...]` nats, between 0 and log A. Maximise it: a loss subtracts it.
    """
    log_p = jax.nn.log_softmax(logits)
    possible = log_p > -jnp.inf
    return -jnp.sum(jnp.exp(log_p) * jnp.where(possible, log_p, 0.0), axis=-1)


def gaussian_entropy(log_std: Array) -> Array:
    """Entropy of a diagonal Gaussian policy (Williams & Peng, 1991).

        H = sum_d (log_std_d + log(2 pi e) / 2)

    Args:
      log_std: `[..., D]` logarithms of the standard deviations, in units of action.

    Returns:
      `[...]` nats, of either sign (it is a density). An action squashed afterwards, say by
      tanh, has another entropy.
    """
    return jnp.sum(log_std + 0.5 * math.log(2.0 * math.pi * math.e), axis=-1)
