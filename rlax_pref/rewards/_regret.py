"""Reward learning under regret (Knox et al., 2022, arXiv:2206.02231)."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import preferences, tabular
from rlax_pref.rewards._partial_return import initial_weights
from rlax_pref.rewards._segment_features import segment_features
from rlax_pref.types import Array, Fit, Key, Numeric, Preferences

FEATURE_WEIGHTS = (50.0, -50.0, 1.0, -1.0, -2.0, 0.0, -10.0, 10.0, 5.0)


class Library(NamedTuple):
    """Some policies, by what they collect: a cheap and differentiable guess of what is optimal."""

    psi: Array  # [K, S, F] successor features, 0 in terminal states
    keep: Array  # [K] bool, which entries count: a duplicate does not


def policy_library(
    key: Key,
    mdp: tabular.TabularMDP,
    *,
    num_policies: int = 100,
    weights: tuple[float, ...] = FEATURE_WEIGHTS,
    discount: Numeric = 0.999,
    without: Array | None = None,
) -> Library:
    """Policies that are optimal for random rewards (Knox et al., 2022, arXiv:2206.02231).

    Args:
      key: for the rewards.
      mdp: the process.
      num_policies: K, rewards to draw.
      weights: the values that each feature's weight is drawn from.
      discount: in [0, 1).
      without: `[S, A]` a reward whose optimal policy must not be in the library, if given.

    Returns:
      `Library` of K entries, of which duplicates (and what is optimal for `without`) do not count.
    """
    shape = (num_policies, mdp.features.shape[-1])
    draws = jax.random.choice(key, jnp.asarray(weights), shape)

    def solve(w: Array) -> tuple[Array, Array]:
        reward = jnp.matmul(mdp.features, w, precision="highest")
        policy = tabular.optimal(mdp, reward, discount).policy
        return policy, tabular.successor_features(mdp, policy, discount)[0]

    policy, psi = jax.vmap(solve)(draws)
    same = jax.vmap(lambda p: jnp.all(p == policy, axis=(1, 2)))(policy)
    keep = ~jnp.any(jnp.tril(same, k=-1), axis=1)
    if without is not None:
        known = tabular.optimal(mdp, without, discount).policy
        keep &= ~jnp.all(policy == known, axis=(1, 2))
    return Library(psi, keep)


def library_value(q: Array, keep: Array, temperature: Numeric = 1e-3) -> tuple[Array, Array]:
    """The value of choosing well from a library (Knox et al., 2022, arXiv:2206.02231).

        V = sum_k p_k q_k,    p = softmax(q / temperature)

    Computed from the gaps to the best entry, `q_k - max q`: both here and in the gradient,

        dV/dq_k = p_k (1 + (q_k - V) / temperature),

    the large values themselves cancel, which in float32 leaves noise many times the temperature.

    Args:
      q: `[K, ...]` what each policy is worth.
      keep: `[K]` bool, which policies count.
      temperature: positive, in units of `q`.

    Returns:
      `[...]` values, and `[K, ...]` the probabilities p.
    """
    keep = keep.reshape((-1,) + (1,) * (q.ndim - 1))
    top = jax.lax.stop_gradient(jnp.max(q, axis=0, where=keep, initial=-jnp.inf))
    gap = jnp.where(keep, q - top, 0.0)
    p = jax.nn.softmax(gap / temperature, axis=0, where=keep)
    return top + jnp.sum(p * gap, axis=0), p


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
    """A linear reward, if people compare regrets (Knox et al., 2022, arXiv:2206.02231).

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
        value, _ = library_value(q, library.keep, temperature)
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


def fit_general_regret(
    key: Key,
    pairs: Preferences,
    mdp: tabular.TabularMDP,
    library: Library,
    *,
    discount: Numeric = 0.999,
    temperature: Numeric = 1e-3,
    learning_rate: Numeric = 0.5,
    num_steps: int = 5000,
) -> Fit[Array]:
    """A linear reward, if people compare regrets in any process (Knox et al., 2022, arXiv:2206.02231).

        score = - sum_t live_t * (V(s_t) - Q(s_t, a_t))

    where V is as in `fit_regret`, and Q is the same for policies that begin with the given action.

    Args:
      key: for the initial weights, uniform in +-1/sqrt(F).
      pairs: N choices.
      mdp: the process, whose moves may be random.
      library: from `policy_library`, with the same discount.
      discount: in [0, 1).
      temperature: of the softmax over policies, in units of reward.
      learning_rate: of Adam.
      num_steps: of Adam, each on all pairs.

    Returns:
      `Fit` whose `params` are the weights `[F]` of lowest loss on the way.
    """
    lookahead = jax.vmap(lambda psi: tabular.action_values(mdp, mdp.features, psi, discount))
    psi_action = lookahead(library.psi)  # [K, S, A, F]

    def scores(w: Array) -> Array:
        q = jnp.matmul(psi_action, w, precision="highest")
        v = jnp.matmul(library.psi, w, precision="highest")
        value, _ = library_value(v, library.keep, temperature)
        action_value, _ = library_value(q, library.keep, temperature)
        advantage = action_value - value[:, None]
        return preferences.general_regret(
            tabular.lookup(advantage, pairs.segments), pairs.segments.live
        )

    return preferences.fit(
        scores,
        initial_weights(key, mdp.features),
        pairs.p_first,
        pairs.weight,
        learning_rate=learning_rate,
        num_steps=num_steps,
        best=True,
    )
