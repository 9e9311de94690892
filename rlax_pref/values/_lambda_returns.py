"""Lambda-returns, the targets of TD(lambda) (Sutton, 1988, Machine Learning 3:9-44)."""

from rlax_pref import recurrences
from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def lambda_returns(
    r_t: Array,
    discount_t: Array,
    v_t: Array,
    lambda_: Numeric = 1.0,
    *,
    truncated_t: Array | None = None,
) -> Array:
    """Lambda-returns, the targets of TD(lambda) (Sutton, 1988, Machine Learning 3:9-44).

    At every step either trust the critic, with weight `1 - lambda_`, or look one step further:

        G_tm1 = r_t + discount_t * ((1 - lambda_) * v_t + lambda_ * G_t),    G_T = v_T

    with lambda_ = 0 where `truncated_t`. `gae` is these returns less `v_tm1`.

    Args:
      r_t: `[T, ...]` rewards r_1..r_T.
      discount_t: `[T, ...]` gamma while the episode goes on, 0 where it terminated.
      v_t: `[T, ...]` values of s_1..s_T as reached, before any reset, in units of reward.
      lambda_: in [0, 1]; 0 is one-step TD, 1 is Monte Carlo; scalar or `[T, ...]`.
      truncated_t: `[T, ...]` bool, a time limit cut the episode here: the step still bootstraps
        from `v_t`, but nothing flows back across the cut.

    Returns:
      `[T, ...]` returns G_0..G_{T-1}, in units of reward. Gradients flow: a loss that wants none
      detaches them.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.

    Reference: Sutton & Barto (2018), eq. 12.18.
    """
    assert_like(
        "lambda_returns",
        scalars=["lambda_"],
        r_t=r_t,
        discount_t=discount_t,
        v_t=v_t,
        lambda_=lambda_,
        truncated_t=truncated_t,
    )
    lambda_t = lambda_ * (1.0 if truncated_t is None else 1.0 - truncated_t)
    step_t = r_t + discount_t * (1.0 - lambda_t) * v_t
    return recurrences.linear(discount_t * lambda_t, step_t, v_t[-1])
