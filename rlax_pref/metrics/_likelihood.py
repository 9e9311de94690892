"""How well do scores explain choices? (Knox et al., 2022, arXiv:2206.02231)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from rlax_pref import preferences
from rlax_pref.types import Array

_STEPS = 0.01 * 1.236 ** np.arange(1, 26)
SCALES = np.concatenate([[0.0], _STEPS, -_STEPS]).astype(np.float32)


class Likelihood(NamedTuple):
    """How well a score explains choices, at its best scale."""

    nll: Array  # [] mean cross-entropy, in nats a choice
    scale: Array  # [] what the score is multiplied by


def likelihood(z: Array, p_first: Array) -> Likelihood:
    """Likelihood of choices with one free scale (Knox et al., 2022, arXiv:2206.02231).

        nll = min_c  - mean [p_first log sigmoid(c z) + (1 - p_first) log sigmoid(-c z)]

    over 51 scales c: 0 and +-0.01 * 1.236^i for i = 1..25, that is from 0.0124 to 1.997.

    Args:
      z: `[N]` score of the first segment minus that of the second.
      p_first: `[N]` in [0, 1], 0.5 for a tie.

    Returns:
      `Likelihood(nll, scale)`; at scale 0, which is to know nothing, nll is log 2 = 0.693.
    """
    scales = jnp.asarray(SCALES)
    nll = preferences.logistic_loss(scales[:, None] * z[None], p_first[None]).mean(-1)
    best = nll.argmin()
    return Likelihood(nll[best], scales[best])
