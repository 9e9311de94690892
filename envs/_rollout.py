"""What happens when policies act: a record to learn from."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Env, Key, Policy

from .auto_reset import AutoReset


class Rollout(NamedTuple):
    """What was done and what came of it, in order: every leaf is `[T, E, ...]`."""

    obs_tm1: Array  # acted on
    a_tm1: Array  # in the environment's units
    r_t: Array
    terminated_t: Array  # bool, the episode came to its own end here
    truncated_t: Array  # bool, a time limit cut it here
    obs_t: Array  # as reached, before any reset


def rollout(env: Env, policy: Policy, key: Key, num_envs: int, num_steps: int) -> Rollout:
    """Lets a policy act, episode after episode. Pure, to be jitted; `jax.vmap` over policies.

    Args:
      env: the environment, which does not reset itself.
      policy: how to act. Its memory begins anew with each episode.
      key: for starts, actions and moves.
      num_envs: E, how many environments it acts in side by side.
      num_steps: T, steps in each.

    Returns:
      `Rollout` whose leaves are `[T, E, ...]`.
    """
    env = AutoReset(env)

    def begin(key: Key) -> tuple[Any, Any, Array]:
        key_env, key_memory = jax.random.split(key)
        state, obs = env.reset(key_env)
        return state, policy.init(key_memory), obs

    def act(now: tuple[Any, Any, Array], key: Key) -> tuple[tuple[Any, Any, Array], Rollout]:
        state, memory, obs = now
        key_act, key_env, key_memory = jax.random.split(key, 3)
        memory, action = policy.act(memory, obs, key_act)
        state, timestep = env.step(key_env, state, action)
        memory, fresh = policy.observe(memory, timestep), policy.init(key_memory)
        memory = jax.tree.map(lambda new, old: jnp.where(timestep.done, new, old), fresh, memory)
        return (state, memory, timestep.obs), Rollout(
            obs_tm1=obs,
            a_tm1=action,
            r_t=timestep.reward,
            terminated_t=timestep.terminated,
            truncated_t=timestep.truncated,
            obs_t=timestep.last_obs,
        )

    key_begin, key_act = jax.random.split(key)
    now = jax.vmap(begin)(jax.random.split(key_begin, num_envs))
    keys = jax.random.split(key_act, (num_steps, num_envs))
    return jax.lax.scan(jax.vmap(act), now, keys)[1]
