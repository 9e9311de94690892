"""Acting in many environments at once, with a tally of their episodes; shared by all agents."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref.envs import AutoReset
from rlax_pref.envs.auto_reset import Chance
from rlax_pref.types import Array, Env, Key, Metrics, TimeStep


class Acting(NamedTuple):
    """Where each environment stands. Every leaf leads with `[num_envs]`."""

    env: Any  # states of the environments
    obs: Array  # [E, ...] what to act on next
    episode_return: Array  # [E] reward of the running episode so far
    episode_length: Array  # [E] int32, steps of the running episode so far


class Tally(NamedTuple):
    """One step of the book on episodes, to be stacked over time."""

    done: Array  # [E] bool, an episode ended here
    episode_return: Array  # [E] its return, where one did
    episode_length: Array  # [E] its length, where one did


def init(env: Env, key: Key, num_envs: int) -> Acting:
    """Resets `num_envs` environments."""
    states, obs = jax.vmap(env.reset)(jax.random.split(key, num_envs))
    return Acting(states, obs, jnp.zeros(num_envs), jnp.zeros(num_envs, jnp.int32))


def draw(env: AutoReset, key: Key, shape: tuple[int, ...]) -> Chance:
    """All that so many steps leave to chance, at once: every leaf leads with `shape`.

    Args:
      env: one that resets itself.
      key: split into two keys a step.
      shape: such as `[T, E]`, to be scanned over by `step`.
    """
    one = env.draw
    for _ in shape:  # no reshaping, so that each device draws for its own environments
        one = jax.vmap(one)
    return one(*jax.random.split(key, (2, *shape)))


def step(
    env: AutoReset, acting: Acting, action: Array, chance: Chance
) -> tuple[Acting, TimeStep, Tally]:
    """Takes one step in every environment.

    Args:
      env: one that resets itself.
      acting: where the environments stand.
      action: `[E, ...]` in the environment's units.
      chance: of this step, `[E]`; see `draw`.
    """
    states, timestep = jax.vmap(env.go_on)(chance, acting.env, action)
    tally = Tally(timestep.done, acting.episode_return + timestep.reward, acting.episode_length + 1)
    acting = Acting(
        env=states,
        obs=timestep.obs,
        episode_return=jnp.where(tally.done, 0.0, tally.episode_return),
        episode_length=jnp.where(tally.done, 0, tally.episode_length),
    )
    return acting, timestep, tally


def summary(tally: Tally) -> Metrics:
    """Mean return and length of the episodes that ended, NaN where none did.

    Args:
      tally: stacked over time, `[T, E]`.

    Returns:
      `episodes`, how many ended; `return` and `length`, their means; `env_steps`, steps taken.
    """
    episodes = tally.done.sum()

    def mean(x: Array) -> Array:
        total = jnp.where(tally.done, x, 0).sum().astype(jnp.float32)
        return jnp.where(episodes > 0, total / jnp.maximum(episodes, 1), jnp.nan)

    return {
        "episodes": episodes,
        "return": mean(tally.episode_return),
        "length": mean(tally.episode_length),
        "env_steps": jnp.asarray(tally.done.size, jnp.int32),
    }
