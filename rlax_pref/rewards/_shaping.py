"""Potential-based shaping (Ng, Harada & Russell, 1999, ICML)."""

import chex
import jax.numpy as jnp

from rlax_pref import tabular
from rlax_pref.types import Array, Numeric


def potential_shaping(
    mdp: tabular.TabularMDP, reward: Array, potential: Array, discount: Numeric
) -> Array:
    """Potential-based shaping (Ng, Harada & Russell, 1999, ICML).

        shaped(s, a) = reward(s, a) + discount * E[potential(s')] - potential(s)

    with potential 0 in terminal states. Every value falls by `potential(s)`, and nothing else
    changes: not the advantages, so not what is optimal, and not what choices by regret reveal.
    That is why a reward learned from such choices comes with an arbitrary potential. A constant
    one adds the same amount to every way an episode can end; if it happens to be so low that
    ending looks like a loss, a learner that does not look far enough ahead never ends. Taking the
    mean optimal value for the potential removes it.

    Args:
      mdp: the process.
      reward: `[S, A]`.
      potential: `[S]`, or a scalar for all states that are not terminal, in units of reward.
      discount: in [0, 1]; that of the returns that should keep their order.

    Returns:
      `[S, A]` shaped reward, 0 in terminal states.
    """
    potential = jnp.asarray(potential)
    if potential.ndim:
        chex.assert_shape(
            potential,
            mdp.terminal.shape,
            custom_message="potential_shaping: potential must be [S] or a scalar",
        )
    potential = jnp.broadcast_to(potential, mdp.terminal.shape)
    ahead = tabular.action_values(mdp, reward, potential, discount)
    return jnp.where(mdp.terminal[:, None], 0.0, ahead - potential[:, None])
