"""What would another policy have earned? From what one policy did, in log ratios.

Arrays are `[T, B]`: B trajectories, steps from the first. `log_ratio` is log pi(a | s) less
log mu(a | s), of the policy in question and of the one that acted. All estimators return one number
a trajectory, `[B]`, whose mean is the estimate, so `interval` has something to work on. Steps that
are not valid come after the end of a trajectory: they pay nothing, and leave its weight as it was.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def trajectory_is(
    r_t: Array,
    log_ratio: Array,
    discount: Numeric,
    *,
    valid: Array | None = None,
    normalize: bool = False,
) -> Array:
    """Importance sampling of whole trajectories (Precup et al., 2000, ICML).

        x = prod_t rho_t * sum_t discount^t r_t

    No bias, and a variance that grows exponentially with the length.

    Args:
      r_t: `[T, B]` rewards.
      log_ratio: `[T, B]` log(pi / mu) of the actions.
      discount: gamma in [0, 1], a scalar; the first reward counts in full.
      valid: `[T, B]` bool, which steps there are; all of them by default.
      normalize: divides weights by their mean over the batch: some bias, much less variance.

    Returns:
      `[B]` in units of return.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.
    """
    r_t, log_ratio, powers = _prepare("trajectory_is", r_t, log_ratio, discount, valid)
    weight = _weight(log_ratio.sum(0), normalize)
    return weight * (powers * r_t).sum(0)


def per_decision_is(
    r_t: Array,
    log_ratio: Array,
    discount: Numeric,
    *,
    valid: Array | None = None,
    normalize: bool = False,
) -> Array:
    """Per-decision importance sampling (Precup et al., 2000, ICML).

        x = sum_t discount^t w_t r_t,    w_t = rho_0 ... rho_t

    A reward is weighed by the decisions that led to it alone.

    Args:
      r_t: `[T, B]` rewards.
      log_ratio: `[T, B]` log(pi / mu) of the actions.
      discount: gamma in [0, 1], a scalar.
      valid: `[T, B]` bool, which steps there are.
      normalize: divides the weights of each time by their mean over the batch.

    Returns:
      `[B]` in units of return.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.
    """
    r_t, log_ratio, powers = _prepare("per_decision_is", r_t, log_ratio, discount, valid)
    weight = _weight(jnp.cumsum(log_ratio, axis=0), normalize)
    return (powers * weight * r_t).sum(0)


def doubly_robust(
    r_t: Array,
    log_ratio: Array,
    q_tm1: Array,
    v_tm1: Array,
    discount: Numeric,
    *,
    valid: Array | None = None,
    normalize: bool = False,
) -> Array:
    """Doubly robust evaluation (Jiang & Li, 2016, arXiv:1511.03722).

        x = sum_t discount^t (w_{t-1} v_t + w_t (r_t - q_t)),    w_t = rho_0 ... rho_t, w_{-1} = 1

    A model says what to expect and importance sampling corrects it: right in the mean if either
    is, and the better the model the less there is to correct. Normalised it is weighted doubly
    robust (arXiv:1604.00923).

    Args:
      r_t: `[T, B]` rewards.
      log_ratio: `[T, B]` log(pi / mu) of the actions.
      q_tm1: `[T, B]` what the model says of the actions taken, under pi.
      v_tm1: `[T, B]` what it says of the states: sum_a pi(a | s) q(s, a), not the largest q.
      discount: gamma in [0, 1], a scalar.
      valid: `[T, B]` bool, which steps there are.
      normalize: divides the weights of each time by their mean over the batch.

    Returns:
      `[B]` in units of return.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.
    """
    assert_like("doubly_robust", r_t=r_t, q_tm1=q_tm1, v_tm1=v_tm1)
    correction, log_ratio, powers = _prepare(
        "doubly_robust", r_t - q_tm1, log_ratio, discount, valid
    )
    v_tm1 = v_tm1 if valid is None else jnp.where(valid, v_tm1, 0.0)
    weight = _weight(jnp.cumsum(log_ratio, axis=0), normalize)
    before = jnp.concatenate([jnp.ones_like(weight[:1]), weight[:-1]])
    return (powers * (before * v_tm1 + weight * correction)).sum(0)


def direct(q: Array, probs: Array) -> Array:
    """The direct method: what a model says of the first states (Le et al., 2019, arXiv:1903.08738).

        x = sum_a pi(a | s_0) q(s_0, a)

    Little variance, and whatever bias the model has; see `fitted_q_evaluation` for one.

    Args:
      q: `[B, A]` values under the policy in question.
      probs: `[B, A]` what that policy does.

    Returns:
      `[B]` in units of return.

    Raises:
      AssertionError: while tracing, if the shapes differ.
    """
    assert_like("direct", q=q, probs=probs)
    return (probs * q).sum(-1)


def marginal_is(
    r_t: Array,
    log_weight: Array,
    discount: Numeric,
    *,
    log_ratio: Array | None = None,
    valid: Array | None = None,
    normalize: bool = False,
) -> Array:
    """Marginalised importance sampling over an episode (Liu et al., 2018, arXiv:1810.12429).

        x = sum_t discount^t w(s_t, a_t) r_t

    How much more often is this state visited, rather than how likely was all that led there: the
    variance does not grow with the length. The weights have to be learned; see `minimax_weight`.

    Args:
      r_t: `[T, B]` rewards.
      log_weight: `[T, B]` log ratio of visits to the state and action, or to the state alone.
      discount: gamma in [0, 1], a scalar.
      log_ratio: `[T, B]` of the actions, where the weight is that of the state alone.
      valid: `[T, B]` bool, which steps there are.
      normalize: divides the weights of each time by their mean over the batch.

    Returns:
      `[B]` in units of return.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.
    """
    assert_like("marginal_is", r_t=r_t, log_weight=log_weight, log_ratio=log_ratio)
    log_weight = log_weight if log_ratio is None else log_weight + log_ratio
    r_t, log_weight, powers = _prepare("marginal_is", r_t, log_weight, discount, valid)
    return (powers * _weight(log_weight, normalize) * r_t).sum(0)


def marginal_doubly_robust(
    r_t: Array,
    log_weight: Array,
    q_tm1: Array,
    v_tm1: Array,
    discount: Numeric,
    *,
    valid: Array | None = None,
) -> Array:
    """Double reinforcement learning, evaluation (Kallus & Uehara, 2019, arXiv:1908.08526).

        x = v_0 + sum_t discount^t w(s_t, a_t) (r_t + discount * v_{t+1} - q_t)

    with nothing after the last valid step. Weights and model are to be learned from other
    trajectories than these: in folds.

    Args:
      r_t: `[T, B]` rewards.
      log_weight: `[T, B]` log ratio of visits to the state and action.
      q_tm1: `[T, B]` what the model says of the actions taken, under pi.
      v_tm1: `[T, B]` what it says of the states.
      discount: gamma in [0, 1], a scalar.
      valid: `[T, B]` bool, which steps there are.

    Returns:
      `[B]` in units of return.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs from `r_t`.
    """
    assert_like("marginal_doubly_robust", r_t=r_t, q_tm1=q_tm1, v_tm1=v_tm1, log_weight=log_weight)
    v_tm1 = v_tm1 if valid is None else jnp.where(valid, v_tm1, 0.0)
    v_t = jnp.concatenate([v_tm1[1:], jnp.zeros_like(v_tm1[:1])])
    error, log_weight, powers = _prepare(
        "marginal_doubly_robust", r_t + discount * v_t - q_tm1, log_weight, discount, valid
    )
    return v_tm1[0] + (powers * jnp.exp(log_weight) * error).sum(0)


def stationary_is(r_t: Array, weight: Array, discount: Numeric) -> Array:
    """Marginalised importance sampling for ever (Liu et al., 2018, arXiv:1810.12429).

        J = mean(w r) / (1 - discount)

    Args:
      r_t: `[N]` rewards of steps in any order.
      weight: `[N]` ratio of discounted visits to those of the data.
      discount: gamma in [0, 1), a scalar.

    Returns:
      `[N]` in units of return, whose mean is the estimate.

    Raises:
      AssertionError: while tracing, if the shapes differ.
    """
    assert_like("stationary_is", r_t=r_t, weight=weight)
    return weight * r_t / (1.0 - discount)


def minimax_weight(
    weight: Array,
    kernel: Array,
    kernel_next: Array,
    kernel_next_next: Array,
    kernel_start: Array,
    kernel_next_start: Array,
    kernel_start_start: Array,
    discount: Numeric,
) -> Array:
    """Minimax weight learning, in a kernel's unit ball (Uehara et al., 2020, arXiv:1910.12809).

    Weights w are right if no function f tells them apart from what they should be:

        max_f (E w (discount f(s', pi) - f(s, a)) + (1 - discount) E f(s_0, pi))^2

    which for f in the unit ball of a kernel's space is the squared length of the mean of
    w_i (discount k(x'_i) - k(x_i)) and (1 - discount) k(x_0).

    Args:
      weight: `[N]` of the data; gets the gradient.
      kernel: `[N, N]` k(x_i, x_j) of states and actions in the data.
      kernel_next: `[N, N]` k(x'_i, x_j); the next state with the policy's action, averaged over it.
      kernel_next_next: `[N, N]` k(x'_i, x'_j).
      kernel_start: `[N, M]` k(x_i, x_0j), where episodes begin with the policy's action.
      kernel_next_start: `[N, M]` k(x'_i, x_0j).
      kernel_start_start: `[M, M]` k(x_0i, x_0j).
      discount: gamma in [0, 1), a scalar.

    Returns:
      `[]` >= 0, 0 where the weights are right.
    """
    mean = lambda x, left=1.0, right=1.0: (left * x * right).mean()
    rows, columns = weight[:, None], weight[None, :]
    among = (
        discount**2 * kernel_next_next + kernel - discount * kernel_next - discount * kernel_next.T
    )
    across = discount * kernel_next_start - kernel_start
    return (
        mean(among, rows, columns)
        + 2.0 * (1.0 - discount) * mean(across, rows)
        + (1.0 - discount) ** 2 * kernel_start_start.mean()
    )


def return_distribution(
    returns: Array,
    log_ratio: Array,
    grid: Array,
    *,
    valid: Array | None = None,
    normalize: bool = False,
) -> Array:
    """The law of another policy's returns (Huang et al., 2021, arXiv:2104.08977).

        F(x) = mean_i w_i 1{G_i <= x},    cut to [0, 1] and never falling

    Args:
      returns: `[B]` discounted returns of the trajectories.
      log_ratio: `[T, B]` log(pi / mu) of the actions.
      grid: `[K]` increasing; F is asked for at these.
      valid: `[T, B]` bool, which steps there are.
      normalize: divides the weights by their mean, so that F ends at 1.

    Returns:
      `[K]` values of F. What it says of means and tails is up to the grid.
    """
    if valid is not None:
        log_ratio = jnp.where(valid, log_ratio, 0.0)
    weight = _weight(log_ratio.sum(0), normalize)
    below = jnp.subtract.outer(grid, returns) >= 0
    law = (below * weight[None, :]).mean(-1)
    return jax.lax.cummax(jnp.clip(law, 0.0, 1.0))


def kernel_log_ratio(
    action: Array,
    policy_action: Array,
    log_prob: Array,
    bandwidth: Numeric,
    *,
    kernel: Literal["gaussian", "epanechnikov"] = "gaussian",
) -> Array:
    """Log ratios for a policy without chance (Kallus & Zhou, 2018, arXiv:1802.06037).

        rho = prod_i K((a_i - pi(s)_i) / h) / h / mu(a | s)

    Args:
      action: `[..., A]` as taken.
      policy_action: `[..., A]` what the policy in question would have done.
      log_prob: `[...]` log mu(a | s) of the one that acted.
      bandwidth: h > 0, in units of the action: a wider one has more bias and less variance.
      kernel: "gaussian", or "epanechnikov" which looks no further than h.

    Returns:
      `[...]` log ratios, minus infinity where an Epanechnikov kernel ends.

    Raises:
      ValueError: no such kernel.
    """
    z = (action - policy_action) / bandwidth
    if kernel == "gaussian":
        log_kernel = -0.5 * jnp.square(z) - 0.5 * jnp.log(2.0 * jnp.pi)
    elif kernel == "epanechnikov":
        inside = 1.0 - jnp.square(z)
        log_kernel = jnp.where(
            inside > 0, jnp.log(0.75 * jnp.where(inside > 0, inside, 1.0)), -jnp.inf
        )
    else:
        raise ValueError(f"kernel_log_ratio: kernel must be gaussian or epanechnikov, not {kernel}")
    return (log_kernel - jnp.log(bandwidth)).sum(-1) - log_prob


def _prepare(
    caller: str, r_t: Array, log_ratio: Array, discount: Numeric, valid: Array | None
) -> tuple[Array, Array, Array]:
    """Rewards and log ratios without what is not there, and `[T, B]` powers of the discount."""
    assert_like(caller, r_t=r_t, log_ratio=log_ratio, valid=valid)
    if valid is not None:
        r_t, log_ratio = jnp.where(valid, r_t, 0.0), jnp.where(valid, log_ratio, 0.0)
    # A product rather than a power: at discount 0 the first factor is still 1, with a gradient.
    factors = jnp.full(r_t.shape, discount, r_t.dtype).at[0].set(1.0)
    return r_t, log_ratio, jnp.cumprod(factors, axis=0)


def _weight(log_weight: Array, normalize: bool) -> Array:
    """Weights; normalised ones have mean 1 over the last axis, and cannot overflow."""
    if not normalize:
        return jnp.exp(log_weight)
    return jax.nn.softmax(log_weight, axis=-1) * log_weight.shape[-1]
