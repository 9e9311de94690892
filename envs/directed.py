"""Several things at once that a response can be good for, and a prompt that says what matters."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from rlax_pref import preferences
from rlax_pref.types import Array, Key

from .lock import TokenLock, token_lock
from .tokens import TokenEnv


@struct.dataclass
class Directed(TokenEnv):
    """Tasks with the same prompts, weighed by a direction (Wang et al., 2024, arXiv:2402.18571).

    The score is what the tasks pay, each by itself, along the direction: see `preferences.along`.
    A prompt is a single symbol: prompt p of the tasks in direction d of D is written
    `num_tokens + p D + d`. Make one with `directed_lock`.

    Attributes:
      tasks: M locks alike in everything but what opens them.
      directions: `[D, M]` how much each of them matters.
    """

    tasks: tuple[TokenLock, ...]
    directions: Array
    prompt_length: int = struct.field(pytree_node=False, default=1)

    @property
    def num_tokens(self) -> int:
        """Those of the tasks."""
        return self.tasks[0].num_tokens

    @property
    def num_prompts(self) -> int:
        """Every prompt in every direction."""
        return self.tasks[0].num_prompts * self.directions.shape[0]

    @property
    def num_symbols(self) -> int:
        """Tokens, then a symbol for each prompt."""
        return self.num_tokens + self.num_prompts

    @property
    def max_length(self) -> int:
        """Tokens of the longest response."""
        return self.tasks[0].max_length

    @property
    def stop(self) -> int | None:
        """As in the tasks."""
        return self.tasks[0].stop

    def prompts(self) -> Array:
        """All of them, `[P D, 1]` int32; the directions of one prompt follow each other."""
        return self.num_tokens + jnp.arange(self.num_prompts, dtype=jnp.int32)[:, None]

    def prompt(self, key: Key) -> Array:
        """One of them, all alike likely."""
        return self.prompts()[jax.random.randint(key, (), 0, self.num_prompts)]

    def limit(self, prompt: Array) -> Array:
        """As in the tasks."""
        return self.tasks[0].limit(self._without_direction(prompt))

    def rewards(self, key: Key, prompt: Array, response: Array, live: Array) -> Array:
        """What each of the tasks pays, `[M]`."""
        asked = self._without_direction(prompt)
        keys = jax.random.split(key, len(self.tasks))
        return jnp.stack(
            [task.score(k, asked, response, live) for task, k in zip(self.tasks, keys, strict=True)]
        )

    def score(self, key: Key, prompt: Array, response: Array, live: Array) -> Array:
        """The same along the prompt's direction, `[]`."""
        direction = self.directions[(prompt[0] - self.num_tokens) % self.directions.shape[0]]
        return preferences.along(self.rewards(key, prompt, response, live), direction)

    def _without_direction(self, prompt: Array) -> Array:
        return self.num_tokens + (prompt - self.num_tokens) // self.directions.shape[0]


def directed_lock(
    seed: int = 0,
    *,
    num_directions: int = 3,
    num_prompts: int = 8,
    max_length: int = 8,
    num_tokens: int = 4,
    critical: tuple[int, ...] = (1, 3, 5, 7),
) -> Directed:
    """Locks with two keys that disagree, and pay for each token that is right for one of them.

    Args:
      seed: of the keys.
      num_directions: from the first key alone to the second alone, in equal angles; 2 or more.
      num_prompts: how many locks.
      max_length: tokens of a response.
      num_tokens: how many different tokens.
      critical: positions that matter, from 0.

    Raises:
      ValueError: a critical position is not within the response, or there are too few directions.
    """
    if num_directions < 2:
        raise ValueError(f"num_directions={num_directions}: there are two ends, so 2 or more")
    lock = token_lock(
        seed,
        num_prompts=num_prompts,
        max_length=max_length,
        num_tokens=num_tokens,
        critical=critical,
        num_accepted=2,
        partial=True,
    )
    first, second = lock.accepted[:, :1], lock.accepted[:, 1:]
    second = jnp.where(second == first, (second + 1) % num_tokens, second)
    angle = jnp.linspace(0.0, jnp.pi / 2, num_directions)
    return Directed(
        tuple(dataclasses.replace(lock, accepted=key) for key in (first, second)),
        jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1),
    )
