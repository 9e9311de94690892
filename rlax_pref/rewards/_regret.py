"""Reward learning under regret (Knox et al., 2022, arXiv:2206.02231)."""

from typing import Literal

import jax.numpy as jnp

from rlax_pref import preferences
from rlax_pref.rewards._library import Library, policy_library_value
from rlax_pref.rewards._partial_return import initial_weights
from rlax_pref.rewards._segment_features import segment_features
from rlax_pref.types import Array, Fit, Key, Numeric, Preferences


def fit_regret(
    key: Key,
    pairs: Preferences,
    features: Array,
    library: Library,
    *,
    score: Literal["regret", "expected_return"] = "regret",
    temperature: Numeric = 1e-3,
    learning_rate: Numeric = 0.5,
    num_steps: int = 5000,
) -> Fit[Array]:
    """Linear reward, from regrets (Knox et al., 2022, arXiv:2206.02231).

        score = w . sum_t live_t * phi(s_t, a_t) + V(s_L) - V(s_0)
        V(s)  = softmax-weighted mean over the library of q_k(s) = w . psi_k(s)

    where moves are certain. Gradients flow through the softmax as well as through q.

    Args:
      key: for the initial weights, uniform in +-1/sqrt(F).
      pairs: N choices.
      features: `[S, A, F]` features of a step.
      library: from `policy_library`.
      score: "regret", or "expected_return", which leaves out V(s_0).
      temperature: of the softmax over policies, in units of reward.
      learning_rate: of Adam.
      num_steps: of Adam, each on all pairs.

    Returns:
      `Fit` whose `params` are the weights `[F]` of lowest loss on the way.
    """
    if score not in ("regret", "expected_return"):
        raise ValueError(f"score={score!r} must be 'regret' or 'expected_return'")
    phi = segment_features(features, pairs.segments)
    first, last = pairs.segments.state[..., 0], pairs.segments.state[..., -1]

    def scores(w: Array) -> Array:
        q = jnp.matmul(library.psi, w, precision="highest")
        value, _ = policy_library_value(q, library.keep, temperature)
        u = jnp.matmul(phi, w, precision="highest") + value[last]
        return u - value[first] if score == "regret" else u

    return preferences.fit(
        scores,
        initial_weights(key, features),
        pairs.p_first,
        pairs.weight,
        learning_rate=learning_rate,
        num_steps=num_steps,
        best=True,
    )
