"""Reward learning under partial return (Christiano et al., 2017, arXiv:1706.03741)."""

import jax
import jax.numpy as jnp

from rlax_pref import preferences
from rlax_pref.rewards._segment_features import segment_features
from rlax_pref.types import Array, Fit, Key, Numeric, Preferences


def fit_partial_return(
    key: Key,
    pairs: Preferences,
    features: Array,
    *,
    learning_rate: Numeric = 2.0,
    num_steps: int = 5000,
) -> Fit[Array]:
    """Linear reward, from partial returns (Christiano et al., 2017, arXiv:1706.03741).

        score = w . sum_t live_t * phi(s_t, a_t)

    Nothing can be learned of what all segments have in common: a constant added to the reward of
    every step changes no preference between segments of equal length, yet may change what is
    optimal.

    Args:
      key: for the initial weights, uniform in +-1/sqrt(F).
      pairs: N choices.
      features: `[S, A, F]` features of a step.
      learning_rate: of Adam.
      num_steps: of Adam, each on all pairs.

    Returns:
      `Fit` whose `params` are the weights `[F]` after the last step.
    """
    phi = segment_features(features, pairs.segments)
    return preferences.fit(
        lambda w: jnp.matmul(phi, w, precision="highest"),
        initial_weights(key, features),
        pairs.p_first,
        pairs.weight,
        learning_rate=learning_rate,
        num_steps=num_steps,
    )


def initial_weights(key: Key, features: Array) -> Array:
    """`[F]` weights, uniform in +-1/sqrt(F)."""
    num = features.shape[-1]
    return jax.random.uniform(key, (num,), minval=-1.0, maxval=1.0) / jnp.sqrt(num)
