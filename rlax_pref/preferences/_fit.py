"""One way to learn scores from choices: full-batch Adam (Kingma & Ba, 2015, arXiv:1412.6980)."""

from collections.abc import Callable
from typing import TypeVar

import chex
import jax
import jax.numpy as jnp
import optax

from rlax_pref.preferences._logistic_loss import logistic_loss
from rlax_pref.types import Array, Fit, Numeric

Params = TypeVar("Params")


def fit(
    scores: Callable[[Params], Array],
    params: Params,
    p_first: Array,
    weight: Array | None = None,
    *,
    learning_rate: Numeric = 0.1,
    num_steps: int = 1000,
    best: bool = False,
) -> Fit[Params]:
    """Minimises the mean `logistic_loss` with Adam (Kingma & Ba, 2015, arXiv:1412.6980).

    It knows nothing of what is scored: any differentiable model of what segments are worth will
    do. `jax.vmap` over initial parameters or data sets trains many models as one program.

    Args:
      scores: `params -> [N, 2]`, the scores of both segments of each pair.
      params: where to begin.
      p_first: `[N]` in [0, 1], probability that the first segment is preferred.
      weight: `[N]` not negative; by default every pair counts alike.
      learning_rate: of Adam.
      num_steps: steps on the whole data set.
      best: return the parameters of lowest loss instead of the last ones.

    Returns:
      `Fit(params, loss, losses)`.
    """
    chex.assert_rank(p_first, 1, custom_message="fit: p_first must be [N]")
    weight = jnp.ones_like(p_first) if weight is None else weight
    weight = weight / jnp.maximum(weight.sum(), jnp.finfo(weight.dtype).tiny)
    optimizer = optax.adam(learning_rate)

    def loss(params: Params) -> Array:
        u = scores(params)
        chex.assert_shape(u, (*p_first.shape, 2), custom_message="fit: scores must be [N, 2]")
        return jnp.sum(logistic_loss(u[:, 0] - u[:, 1], p_first, weight=weight))

    def step(carry, _):
        params, opt_state, kept = carry
        value, gradient = jax.value_and_grad(loss)(params)
        kept = _lower(kept, (params, value))
        updates, opt_state = optimizer.update(gradient, opt_state)
        return (optax.apply_updates(params, updates), opt_state, kept), value

    carry = params, optimizer.init(params), (params, jnp.float32(jnp.inf))
    (params, _, kept), losses = jax.lax.scan(step, carry, length=num_steps)
    last = params, loss(params)
    params, value = _lower(kept, last) if best else last
    return Fit(params, value, losses)


def _lower(old, new):
    """The one of two (parameters, loss) whose loss is lower."""
    return jax.tree.map(lambda a, b: jnp.where(new[1] < old[1], b, a), old, new)
