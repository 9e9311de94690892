"""Starting over: the one wrapper that resets, for every environment."""

import jax
import jax.numpy as jnp
from flax import struct

from rlax_pref.types import Array, Box, Discrete, Env, Key, PyTree, TimeStep


@struct.dataclass
class AutoReset:
    """An environment that begins a new episode as soon as one ends.

    The step that ends an episode keeps its reward, discount, truncation and `last_obs`, the
    observation the action led to. Only what is acted on next changes: the state and `obs` come
    from a reset with a key of its own, so no two episodes are the same. Reset and step are both
    computed at every step, as a compiled batch must.

    Attributes:
      env: the raw environment. A batch of them (`jax.vmap` over physics) works as well.
    """

    env: Env

    @property
    def action_space(self) -> Discrete | Box:
        """Which actions `step` takes."""
        return self.env.action_space

    def reset(self, key: Key) -> tuple[PyTree, Array]:
        """Begins an episode: `key -> (state, obs)`."""
        return self.env.reset(key)

    def step(self, key: Key, state: PyTree, action: Array) -> tuple[PyTree, TimeStep]:
        """Moves on by one action, and into a new episode where this one ended."""
        key_step, key_reset = jax.random.split(key)
        reached, timestep = self.env.step(key_step, state, action)
        begun, first_obs = self.env.reset(key_reset)
        done = timestep.done
        state = jax.tree.map(lambda new, old: jnp.where(done, new, old), begun, reached)
        obs = jnp.where(done, first_obs, timestep.last_obs)
        return state, timestep._replace(obs=obs)
