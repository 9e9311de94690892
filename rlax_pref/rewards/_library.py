"""A library of policies, to guess what is optimal (Knox et al., 2022, arXiv:2206.02231)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import tabular
from rlax_pref.types import Array, Key, Numeric

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
    equals = lambda one: jnp.all(policy == one[None], axis=(1, 2))
    same = jax.vmap(equals)(policy)
    keep = ~jnp.any(jnp.tril(same, k=-1), axis=1)
    if without is not None:
        keep &= ~equals(tabular.optimal(mdp, without, discount).policy)
    return Library(psi, keep)


def policy_library_value(q: Array, keep: Array, temperature: Numeric = 1e-3) -> tuple[Array, Array]:
    """The value of choosing well from a library (Knox et al., 2022, arXiv:2206.02231).

        V = sum_k p_k q_k,    p = softmax(q / temperature)

    Computed from the gaps to the best entry, `q_k - max q`: both here and in the gradient,

        dV/dq_k = p_k (1 + (q_k - V) / temperature),

    the large values themselves cancel, which in float32 leaves noise many times the temperature.

    Args:
      q: `[K, ...]` what each policy is worth.
      keep: `[K]` bool, which policies count; where none does, V is 0.
      temperature: positive, in units of `q`.

    Returns:
      `[...]` values, and `[K, ...]` the probabilities p.
    """
    keep = keep.reshape((-1,) + (1,) * (q.ndim - 1))
    best = jnp.max(q, axis=0, where=keep, initial=-jnp.inf)
    best = jax.lax.stop_gradient(jnp.where(keep.any(), best, 0.0))
    gap = jnp.where(keep, q - best[None], 0.0)
    p = jax.nn.softmax(gap / temperature, axis=0, where=keep)
    return best + jnp.sum(p * gap, axis=0), p
