"""Retrace and its relatives, off-policy action values (Munos et al., 2016, arXiv:1606.02647)."""

import jax.numpy as jnp

from rlax_pref import recurrences
from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def retrace(
    r_t: Array,
    discount_t: Array,
    q_t: Array,
    v_t: Array,
    c_t: Numeric,
    *,
    truncated_t: Array | None = None,
) -> Array:
    """Retrace and its relatives, off-policy action values (Munos et al., 2016, arXiv:1606.02647).

    The value of an action under a policy pi, from what another policy did. The trace `c_t` says
    how far to believe what was done next; where it is 0, the critic's expectation stands alone.

        G_tm1 = r_t + discount_t * (v_t + c_t * (G_t - q_t))

    with c_t = 0 where `truncated_t`, and c_T = 0. The trace makes the method: see `values.traces`.

        c_t = traces.retrace(log_pi_t, log_mu_t, lambda_)
        target_tm1 = values.retrace(r_t, discount_t, q_t, v_t, c_t)

    Args:
      r_t: `[T, ...]` rewards r_1..r_T.
      discount_t: `[T, ...]` gamma while the episode goes on, 0 where it terminated.
      q_t: `[T, ...]` values q(s_t, a_t) of the actions taken next, in units of reward. Its last
        row, and what lies at the end of an episode, changes nothing and may be anything finite.
      v_t: `[T, ...]` expected values sum_a pi(a | s_t) q(s_t, a) of s_1..s_T as reached, before
        any reset.
      c_t: `[T, ...]` or scalar, >= 0, the trace of a_t; its rows count where those of `q_t` do.
      truncated_t: `[T, ...]` bool, a time limit cut the episode here: the step still bootstraps
        from `v_t`, but nothing flows back across the cut.

    Returns:
      `[T, ...]` targets of q(s_0, a_0)..q(s_{T-1}, a_{T-1}), in units of reward. Gradients flow:
      a loss that wants none detaches them.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.

    Reference: eq. 3, written as a recursion.
    """
    assert_like(
        "retrace",
        scalars=["c_t"],
        r_t=r_t,
        discount_t=discount_t,
        q_t=q_t,
        v_t=v_t,
        c_t=c_t,
        truncated_t=truncated_t,
    )
    c_t = jnp.broadcast_to(c_t, r_t.shape).at[-1].set(0.0)
    if truncated_t is not None:
        c_t = jnp.where(truncated_t, 0.0, c_t)
    # A scan everywhere: traces of importance sampling exceed 1, and products of them overflow.
    return recurrences.linear(discount_t * c_t, r_t + discount_t * (v_t - c_t * q_t), method="scan")
