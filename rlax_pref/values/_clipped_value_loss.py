"""Value clipping of PPO (Schulman et al., 2017, arXiv:1707.06347)."""

import jax
import jax.numpy as jnp

from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def clipped_value_loss(v: Array, v_old: Array, target: Array, epsilon: Numeric) -> Array:
    """Value clipping of PPO (Schulman et al., 2017, arXiv:1707.06347).

    The critic's answer to the policy's clipping: what it gains by moving more than `epsilon`
    away from the values it had when the batch was collected counts for nothing.

        v_clip = v_old + clip(v - v_old, -epsilon, epsilon)
        loss   = 0.5 * max((v - target)^2, (v_clip - target)^2)

    Args:
      v: `[...]` values now, in units of return; the only argument that gets a gradient.
      v_old: `[...]` values of the same states when the batch was collected.
      target: `[...]` returns to regress to.
      epsilon: >= 0, in units of return, so it depends on the scale of rewards; `jnp.inf` is
        the plain squared error. Scalar.

    Returns:
      `[...]` loss of each sample, in squared units of return; not reduced.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `v`.

    Reference: introduced by the authors' code (OpenAI Baselines, `ppo2`), not by the paper.
    """
    assert_like("clipped_value_loss", v=v, v_old=v_old, target=target)
    v_old, target = jax.lax.stop_gradient((v_old, target))
    v_clip = v_old + jnp.clip(v - v_old, -epsilon, epsilon)
    return 0.5 * jnp.maximum(jnp.square(v - target), jnp.square(v_clip - target))
