"""Starting over: the one wrapper that resets, for every environment."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from rlax_pref.types import Array, Box, Discrete, Env, Key, PyTree, TimeStep


class Chance(NamedTuple):
    """All that is left to chance in one step."""

    step: Key  # [] for the environment's own step
    reset: Key  # [] for the next beginning
    begun: tuple[PyTree, Array] | None  # (state, obs) of the next beginning, if made already


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
        return self.go_on(self.draw(*jax.random.split(key)), state, action)

    def draw(self, key_step: Key, key_reset: Key) -> Chance:
        """Draws what one step leaves to chance, for `go_on`.

        For many steps at once (`jax.vmap`) it takes a few large kernels, where step by step it
        takes many tiny ones. Beginnings are made with it, unless their states are so large that
        those of many steps would take much more memory than what is seen on the way.
        """
        state, obs = jax.eval_shape(self.env.reset, key_reset)
        if _num_bytes(state) > 4 * _num_bytes(obs):
            return Chance(key_step, key_reset, None)
        return Chance(key_step, key_reset, self.env.reset(key_reset))

    def go_on(self, chance: Chance, state: PyTree, action: Array) -> tuple[PyTree, TimeStep]:
        """What `step` does, once chance has spoken."""
        reached, timestep = self.env.step(chance.step, state, action)
        begun, first_obs = chance.begun or self.env.reset(chance.reset)
        done = timestep.done
        state = jax.tree.map(lambda new, old: jnp.where(done, new, old), begun, reached)
        obs = jnp.where(done, first_obs, timestep.last_obs)
        return state, timestep._replace(obs=obs)


def _num_bytes(tree: PyTree) -> int:
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))
