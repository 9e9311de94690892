"""Values of what the whole return is for: a stock beside the state (Pires et al., 2025)."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Numeric
from rlax_pref.values._greedy_value import of_action

Utility = Callable[[Array], Array]


def stock_step(stock: Array, r_t: Array, discount: Numeric) -> Array:
    """The stock of what was earned (Pires et al., 2025, arXiv:2501.13028).

        c' = (c + r) / discount

    Beside the state it says all that matters of the past: discount^t (c_t + G_t) is c_0 + G_0 for
    every t, so a goal for the whole return can be followed step by step.

    Args:
      stock: `[...]` in units of reward; chosen freely where an episode begins. It grows like
        discount^-t, so a network should see it through `histograms.symlog`.
      r_t: `[...]` rewards.
      discount: gamma alone, in (0, 1], without termination.

    Returns:
      `[...]` the stock after the reward.

    Raises:
      AssertionError: while tracing, if the shapes differ.
    """
    chex.assert_equal_shape(
        (stock, r_t), custom_message="stock_step: r_t must be shaped like stock"
    )
    return (stock + r_t) / discount


def edit_stock(stock: Array, old_start: Array, new_start: Array, scale: Array) -> Array:
    """The stock, had the episode begun with another (Pires et al., 2025, arXiv:2501.13028).

        c'_t = c_t + discount^-t (c'_0 - c_0)

    One stored episode thus teaches every start.

    Args:
      stock: `[...]` as it was.
      old_start: `[...]` with which the episode began.
      new_start: `[...]` with which it might have begun.
      scale: `[...]` discount^t, t the steps since then.

    Returns:
      `[...]` stocks.
    """
    return stock + (new_start - old_start) / scale


def utility_value(quantiles: Array, stock: Array, utility: Utility) -> Array:
    """What actions are worth to a utility of the return (Pires et al., 2025, arXiv:2501.13028).

        mean_i f(c + quantile_i)

    Act, and bootstrap, by its argmax: the mean of quantiles would forget what it is for. Right
    as it stands where f(c x) = c f(x) for c > 0, as `cvar_utility` has it; for another f the value
    at step t is that of discount^t (c + quantile).

    Args:
      quantiles: `[..., A, N]` of the return from here.
      stock: `[...]`.
      utility: f, from numbers to numbers of the same shape.

    Returns:
      `[..., A]` in units of utility.

    Raises:
      AssertionError: while tracing, if the shapes do not fit.
    """
    chex.assert_shape(
        stock,
        quantiles.shape[:-2],
        custom_message="utility_value: stock must be [...] where quantiles is [..., A, N]",
    )
    return utility(stock[..., None, None] + quantiles).mean(-1)


def stock_augmented(
    r_t: Array, discount_t: Array, quantiles_t: Array, stock_t: Array, utility: Utility
) -> Array:
    """Targets of D-eta-N, returns beside a stock (Pires et al., 2025, arXiv:2501.13028).

        a*       = argmax_a mean_i f(c' + quantile_i(s', c', a))
        target_j = r + discount * quantile_j(s', c', a*)

    To be learned by `quantile_huber`; linear f makes it QR-DQN.

    Args:
      r_t: `[...]` rewards.
      discount_t: `[...]` gamma while the episode goes on, 0 where it terminated.
      quantiles_t: `[..., A, N]` of what follows, seen from s' and the stock there.
      stock_t: `[...]` c', from `stock_step`.
      utility: f, e.g. `cvar_utility(0.25)`.

    Returns:
      `[..., N]` in units of reward, detached.

    Raises:
      AssertionError: while tracing, if the shapes do not fit.
    """
    chex.assert_equal_shape(
        (r_t, discount_t, stock_t),
        custom_message="stock_augmented: discount_t and stock_t must be shaped like r_t",
    )
    action = jnp.argmax(utility_value(quantiles_t, stock_t, utility), axis=-1)
    target = r_t[..., None] + discount_t[..., None] * of_action(quantiles_t, action)
    return jax.lax.stop_gradient(target)


def cvar_utility(tau: Numeric, mean_weight: Numeric = 0.0) -> Utility:
    """Conditional value at risk as a utility with a stock (Rockafellar & Uryasev, 2000).

        f(x) = min(x, 0) / tau

    With the start that `cvar_start` finds, the best policy for it has the best mean of the worst
    share tau of returns.

    Args:
      tau: in (0, 1]; 1 is the mean.
      mean_weight: in [0, 1], of the plain mean beside it: the slope is (1 - m) / tau + m below
        0 and m above.

    Returns:
      f, from numbers to numbers.
    """
    return lambda x: (1.0 - mean_weight) / tau * jnp.minimum(x, 0.0) + mean_weight * x


def homeostatic_utility(power: int = 1) -> Utility:
    """Homeostasis as a utility with a stock (Pires et al., 2025, arXiv:2501.13028).

        f(x) = -|x|^power

    With start c_0 the return is to be -c_0: no less, and no more.

    Args:
      power: 1, or 2 which minds large misses more.

    Returns:
      f, from numbers to numbers.
    """
    return lambda x: -(jnp.abs(x) ** power)


def cvar_start(
    quantiles: Array, stocks: Array, tau: Numeric, mean_weight: Numeric = 0.0
) -> tuple[Array, Array]:
    """The stock to begin with for the best conditional value at risk (Rockafellar & Uryasev, 2000).

        max over c of  -c + E f(c + G(c))     with f of `cvar_utility`

    Args:
      quantiles: `[..., C, N]` of the return from the start under the policy for each stock: those
        of the greedy action.
      stocks: `[C]` stocks to try, e.g. a grid over minus the possible returns.
      tau: in (0, 1].
      mean_weight: in [0, 1], of the plain mean beside it.

    Returns:
      `[...]` the best stock, and `[...]` the conditional value at risk that it promises, its share
      of the mean included.

    Raises:
      AssertionError: while tracing, if the shapes do not fit.
    """
    chex.assert_axis_dimension(
        quantiles, -2, stocks.shape[0], custom_message="cvar_start: quantiles must be [..., C, N]"
    )
    stock = jnp.broadcast_to(stocks, quantiles.shape[:-1])
    value = cvar_utility(tau, mean_weight)(stock[..., None] + quantiles).mean(-1) - stock
    best = jnp.argmax(value, axis=-1)
    return stocks[best], value.max(-1)
