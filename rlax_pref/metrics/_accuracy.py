"""How often are choices called right?"""

import jax.numpy as jnp

from rlax_pref.types import Array


def accuracy(z: Array, p_first: Array) -> Array:
    """The share of decided choices that a score calls right.

    Args:
      z: `[N]` score of the first segment minus that of the second.
      p_first: `[N]` in [0, 1]; pairs at 0.5 are left out.

    Returns:
      `[]` in [0, 1]; a score difference of 0 counts as half right. NaN where every pair is a tie.
    """
    right = 0.5 * (1 + jnp.sign(z) * jnp.sign(p_first - 0.5))
    return jnp.mean(right, where=p_first != 0.5)
