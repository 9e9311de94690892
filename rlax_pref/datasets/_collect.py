"""Steps of our own: what policies do, as data to learn from."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref.datasets._transitions import steps
from rlax_pref.types import Array, Box, Discrete, Env, Key, Numeric, Policy, Transition


def collect(
    env: Env,
    policy: Policy,
    key: Key,
    num_steps: int,
    *,
    num_envs: int = 16,
    noise: Numeric = 0.0,
) -> Transition:
    """Lets a policy act and keeps what it did.

    Mixed quality is several policies, or one with several `noise`, joined by `concatenate`.

    Args:
      env: the environment, which does not reset itself.
      policy: how to act.
      key: for starts, actions and moves.
      num_steps: in all; rounded up to a multiple of `num_envs`.
      num_envs: environments it acts in side by side. Of each the last trajectory is truncated.
      noise: probability that an action is drawn at random instead, evenly from all there are.

    Returns:
      `[N, ...]` NumPy arrays, one environment after the other. `discount_t` is 0 or 1.

    Raises:
      ValueError: `num_steps` or `num_envs` is not positive, or `noise` is no probability.
    """
    from rlax_pref import envs

    if num_steps < 1 or num_envs < 1:
        raise ValueError(f"num_steps={num_steps} and num_envs={num_envs} must be at least 1")
    if not 0 <= noise <= 1:
        raise ValueError(f"noise={noise} must be a probability")
    length = -(-num_steps // num_envs)

    @jax.jit
    def act(key: Key, noise: Array) -> envs.Rollout:
        return envs.rollout(env, noisy(policy, env.action_space, noise), key, num_envs, length)

    return from_rollout(act(key, jnp.asarray(noise, jnp.float32)))


def from_rollout(rollout: Any) -> Transition:
    """What was done in several environments, as rows.

    Args:
      rollout: `envs.Rollout`, whose leaves are `[T, E, ...]`.

    Returns:
      `[E T, ...]` NumPy arrays, one environment after the other, each cut off at its last step.
    """

    def line(x: Any) -> np.ndarray:
        by_env = np.swapaxes(np.asarray(x), 0, 1)
        return by_env.reshape(-1, *by_env.shape[2:])

    terminated = np.asarray(rollout.terminated_t, bool)
    truncated = np.asarray(rollout.truncated_t, bool).copy()
    truncated[-1] = True
    return steps(
        jax.tree.map(line, rollout.obs_tm1),
        line(rollout.a_tm1),
        line(rollout.r_t),
        jax.tree.map(line, rollout.obs_t),
        terminated=line(terminated),
        truncated=line(truncated),
    )


def concatenate(*parts: Transition) -> Transition:
    """Several data sets as one, `[N, ...]` NumPy arrays."""
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def noisy(policy: Policy, action_space: Discrete | Box, noise: Numeric) -> Policy:
    """The same policy, but with this probability an action is drawn at random instead.

    Args:
      policy: how to act otherwise.
      action_space: what to draw from, evenly.
      noise: probability, from 0 to 1.
    """
    from rlax_pref.envs.check import sample_action

    def act(memory: Any, obs: Array, key: Key) -> tuple[Any, Array]:
        key_act, key_draw, key_choose = jax.random.split(key, 3)
        memory, action = policy.act(memory, obs, key_act)
        drawn = sample_action(action_space, key_draw).astype(action.dtype)
        return memory, jnp.where(jax.random.bernoulli(key_choose, noise), drawn, action)

    return policy._replace(act=act)
