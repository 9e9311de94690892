"""Fitted Q evaluation with a linear critic (Le et al., 2019, arXiv:1903.08738)."""

import chex
import jax
import jax.numpy as jnp

from rlax_pref import _conjugate_gradient as conjugate_gradient
from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric


def fitted_q_evaluation(
    features_tm1: Array,
    r_t: Array,
    discount_t: Array,
    features_t: Array,
    num_iterations: int,
    *,
    weight: Array | None = None,
    ridge: Numeric = 1e-6,
) -> Array:
    """Fitted Q evaluation with a linear critic (Le et al., 2019, arXiv:1903.08738).

        w_k = argmin_w sum_i c_i (r_i + discount_i phi'_i w_{k-1} - phi_i w)^2 + ridge N |w|^2

    from w_0 = 0. What another policy earns in k steps is regressed on what it earns in k - 1: the
    model of the direct method, and of the doubly robust ones. Features that tell all states and
    actions apart make it the model that the data are.

    Args:
      features_tm1: `[N, d]` phi(s, a) of what was done.
      r_t: `[N]` rewards.
      discount_t: `[N]` gamma, 0 where an episode terminated.
      features_t: `[N, d]` sum_a pi(a | s') phi(s', a) of where it led; pi is what is evaluated.
      num_iterations: K, at least 1.
      weight: `[N]` >= 0, how much each step counts; 0 leaves it out.
      ridge: > 0, in units of squared features; it is what unseen features are worth 0 by.

    Returns:
      `[K, d]`: `w[k]` are values with k + 1 steps to go, in units of return. The last of many are
      those of a policy that goes on for ever, if they converge: beyond tables they need not.

    Raises:
      AssertionError: while tracing, naming the argument whose shape does not fit.
      ValueError: `num_iterations` is not positive.
    """
    if num_iterations < 1:
        raise ValueError(f"num_iterations={num_iterations} must be at least 1")
    chex.assert_equal_shape(
        (features_tm1, features_t),
        custom_message="fitted_q_evaluation: features_t must be [N, d] like features_tm1",
    )
    weight = jnp.ones_like(r_t) if weight is None else weight
    assert_like("fitted_q_evaluation", r_t=r_t, discount_t=discount_t, weight=weight)
    num, size = features_tm1.shape
    left = weight[:, None] * features_tm1 / num
    gram = left.T @ features_tm1 + ridge * jnp.eye(size)
    # Of all iterations: w_k = given + carried w_{k-1}, for a matrix and a vector side by side.
    target = left.T @ jnp.column_stack([discount_t[:, None] * features_t, r_t])
    scale = jnp.sqrt(jnp.diagonal(gram))[:, None]  # Jacobi's, without which rare features are slow
    solved = conjugate_gradient.solve(
        lambda x: gram @ (x / scale) / scale, target / scale, num_iterations=2 * size
    )
    carried, given = jnp.split(solved / scale, [size], axis=-1)

    def regress(w: Array, _: None) -> tuple[Array, Array]:
        w = given[:, 0] + carried @ w
        return w, w

    return jax.lax.scan(regress, jnp.zeros(size), length=num_iterations)[1]
