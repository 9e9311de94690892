"""Reward learning under regret, in any process (Knox et al., 2022, arXiv:2206.02231)."""

import jax
import jax.numpy as jnp

from rlax_pref import preferences, tabular
from rlax_pref.rewards._library import Library, policy_library_value
from rlax_pref.rewards._partial_return import initial_weights
from rlax_pref.types import Array, Fit, Key, Numeric, Preferences


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
    """Linear reward, from regrets in any process (Knox et al., 2022, arXiv:2206.02231).

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
        value, _ = policy_library_value(v, library.keep, temperature)
        action_value, _ = policy_library_value(q, library.keep, temperature)
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
