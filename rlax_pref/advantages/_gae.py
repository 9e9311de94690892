"""Generalised advantage estimation (Schulman et al., 2015, arXiv:1506.02438)."""

from rlax_pref import recurrences
from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def gae(
    r_t: Array,
    discount_t: Array,
    v_tm1: Array,
    v_t: Array,
    lambda_: Numeric = 1.0,
    *,
    truncated_t: Array | None = None,
) -> Array:
    """Generalised advantage estimation (Schulman et al., 2015, arXiv:1506.02438).

    The TD errors that follow each action, added up with weights that fall off exponentially:

        delta_t = r_t + discount_t * v_t - v_tm1
        A_tm1   = delta_t + discount_t * lambda_ * (1 - truncated_t) * A_t,    A_T = 0

    An episode that terminates has no value after it and no trace; one that a time limit cuts
    keeps the value and loses the trace; the open end of the window keeps the value too.
    `A_tm1 + v_tm1` is the TD(lambda) target of the critic.

    Args:
      r_t: `[T, ...]` rewards r_1..r_T.
      discount_t: `[T, ...]` gamma while the episode goes on, 0 where it terminated.
      v_tm1: `[T, ...]` values of s_0..s_{T-1}, the states acted in, in units of reward.
      v_t: `[T, ...]` values of s_1..s_T as reached, before any reset.
      lambda_: in [0, 1]; 0 is one-step TD, 1 is Monte Carlo; scalar or `[T, ...]`.
      truncated_t: `[T, ...]` bool, a time limit cut the episode here.

    Returns:
      `[T, ...]` advantages of a_0..a_{T-1}, in units of reward. Gradients flow: a loss that
      wants none detaches them.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.

    Reference: eq. 16. The paper's r_t is this r_{t+1}, as in Sutton & Barto.
    """
    assert_like(
        "gae",
        scalars=["lambda_"],
        r_t=r_t,
        discount_t=discount_t,
        v_tm1=v_tm1,
        v_t=v_t,
        lambda_=lambda_,
        truncated_t=truncated_t,
    )
    delta_t = r_t + discount_t * v_t - v_tm1
    trace_t = discount_t * lambda_ * (1.0 if truncated_t is None else 1.0 - truncated_t)
    return recurrences.linear(trace_t, delta_t)
