"""V-trace off-policy actor-critic (Espeholt et al., 2018, arXiv:1802.01561)."""

from typing import NamedTuple

import jax.numpy as jnp

from rlax_pref import recurrences
from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


class VTrace(NamedTuple):
    """What the critic and the policy learn from; all `[T, ...]`, in units of reward."""

    errors: Array  # what to add to v_tm1 for the critic's target
    pg_advantage: Array  # what multiplies grad log pi(a_tm1 | s_tm1)
    q_estimate: Array  # value of the action taken, q(s_tm1, a_tm1)


def vtrace(
    r_t: Array,
    discount_t: Array,
    v_tm1: Array,
    v_t: Array,
    rho_tm1: Array,
    lambda_: Numeric = 1.0,
    *,
    clip_rho: Numeric = 1.0,
    clip_pg_rho: Numeric = 1.0,
    truncated_t: Array | None = None,
) -> VTrace:
    """V-trace off-policy actor-critic (Espeholt et al., 2018, arXiv:1802.01561).

    Advantages of what another policy did. The ratios `rho = pi(a | s) / mu(a | s)` are clipped in
    two places with two effects: `clip_rho` decides which policy's values are learned (pi's at
    infinity, mu's near 0), the clip at 1 inside the trace only how fast.

        delta_t  = min(rho_tm1, clip_rho) * (r_t + discount_t * v_t - v_tm1)
        trace_t  = discount_t * lambda_ * (1 - truncated_t) * min(rho_tm1, 1)
        e_tm1    = delta_t + trace_t * e_t,    e_T = 0
        q_tm1    = r_t + discount_t * (v_t + lambda_ * (1 - truncated_t) * e_t)
        A_tm1    = min(rho_tm1, clip_pg_rho) * (q_tm1 - v_tm1)

    On policy (all ratios 1), `errors` and `pg_advantage` are both GAE.

    Args:
      r_t: `[T, ...]` rewards r_1..r_T.
      discount_t: `[T, ...]` gamma while the episode goes on, 0 where it terminated.
      v_tm1: `[T, ...]` values of s_0..s_{T-1}, the states acted in, in units of reward.
      v_t: `[T, ...]` values of s_1..s_T as reached, before any reset.
      rho_tm1: `[T, ...]` ratios pi / mu of a_0..a_{T-1}, >= 0.
      lambda_: in [0, 1], as in `gae`; scalar or `[T, ...]`.
      clip_rho: >= 0, bound of the ratios that weigh TD errors; scalar.
      clip_pg_rho: >= 0, bound of the ratios that weigh policy gradients; scalar.
      truncated_t: `[T, ...]` bool, a time limit cut the episode here: the step still bootstraps
        from `v_t`, but nothing flows back across the cut.

    Returns:
      `VTrace(errors, pg_advantage, q_estimate)`. Gradients flow: a critic regresses to
      `stop_gradient(v_tm1 + errors)`, and a policy loss detaches `pg_advantage`.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.

    Reference: eq. 1 and section 4.2; lambda_ from remark 2.
    """
    assert_like(
        "vtrace",
        scalars=["lambda_"],
        r_t=r_t,
        discount_t=discount_t,
        v_tm1=v_tm1,
        v_t=v_t,
        rho_tm1=rho_tm1,
        lambda_=lambda_,
        truncated_t=truncated_t,
    )
    flow_t = lambda_ * (1.0 if truncated_t is None else 1.0 - truncated_t)
    delta_t = jnp.minimum(rho_tm1, clip_rho) * (r_t + discount_t * v_t - v_tm1)
    errors = recurrences.linear(discount_t * flow_t * jnp.minimum(rho_tm1, 1.0), delta_t)
    next_errors = jnp.concatenate([errors[1:], jnp.zeros_like(errors[:1])])
    q_estimate = r_t + discount_t * (v_t + flow_t * next_errors)
    return VTrace(errors, jnp.minimum(rho_tm1, clip_pg_rho) * (q_estimate - v_tm1), q_estimate)
