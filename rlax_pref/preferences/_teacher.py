"""A scripted teacher, who knows the scores (Knox et al., 2022, arXiv:2206.02231)."""

import jax
import jax.numpy as jnp

from rlax_pref.preferences._bradley_terry import bradley_terry
from rlax_pref.types import Array, Key, Numeric


def teacher(
    key: Key,
    score_first: Array,
    score_second: Array,
    *,
    noiseless: bool = False,
    temperature: Numeric = 1.0,
    lapse: Numeric | None = None,
    tolerance: Numeric = 1e-6,
) -> Array:
    """Labels pairs as a person of known taste would (Knox et al., 2022, arXiv:2206.02231).

    A noiseless teacher always prefers the higher score and calls equal ones a tie. A stochastic
    teacher makes one draw a pair from the Bradley-Terry model and never calls a tie.

    Args:
      key: for the draws.
      score_first: `[...]` what the first segment of each pair is worth.
      score_second: `[...]` the same for the second.
      noiseless: which of the two teachers.
      temperature: of the stochastic teacher, in units of score.
      lapse: of the stochastic teacher; see `bradley_terry`.
      tolerance: of the noiseless teacher, in units of score: what differs by no more is a tie.

    Returns:
      `[...]` float32 `p_first`: 1 where the first is preferred, 0 where the second is, 0.5 for a
      tie.
    """
    if noiseless:
        z = score_first - score_second
        return jnp.where(jnp.abs(z) <= tolerance, 0.5, (z > 0).astype(jnp.float32))
    log_p = bradley_terry(score_first, score_second, temperature=temperature, lapse=lapse)
    return jax.random.bernoulli(key, jnp.exp(log_p)).astype(jnp.float32)
