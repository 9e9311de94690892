"""Short rollouts of a policy in a model (Janner et al., 2019, arXiv:1906.08253)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Key, Model, Transition


def rollout(
    model: Model, choose: Callable[[Array, Key], Array], obs: Array, key: Key, length: int
) -> Transition:
    """Short rollouts of a policy in a model (Janner et al., 2019, arXiv:1906.08253).

    That it is cut after `length` steps is no end: the last step is truncated, and the value of
    what it reached counts. After a termination nothing is valid.

    Args:
      model: what comes next.
      choose: `(obs [D], key) -> action`, in the units of the model.
      obs: `[D]` where it begins; `jax.vmap` for many.
      key: random key.
      length: k, steps.

    Returns:
      `[k, ...]` transitions; their discount is 0 where the model terminates, else 1.
    """

    def one(carry: tuple[Array, Array], key: Key) -> tuple[tuple[Array, Array], Transition]:
        obs_tm1, alive = carry
        key_act, key_model = jax.random.split(key)
        action = choose(obs_tm1, key_act)
        obs, reward, terminated = model(obs_tm1, action, key_model)
        terminated = jnp.asarray(terminated, bool)
        step = Transition(
            obs_tm1=obs_tm1,
            a_tm1=action,
            r_t=jnp.asarray(reward, jnp.float32),
            discount_t=1.0 - terminated.astype(jnp.float32),
            truncated_t=jnp.zeros((), bool),
            valid_t=alive,
            obs_t=obs,
        )
        return (obs, alive & ~terminated), step

    start = (obs, jnp.ones((), bool))
    _, steps = jax.lax.scan(one, start, jax.random.split(key, length))
    cut = (jnp.arange(length) == length - 1) & (steps.discount_t > 0)
    return steps._replace(truncated_t=cut)
