"""Answers that go round in a circle: none is the best."""

import jax.numpy as jnp
from flax import struct

from rlax_pref import preferences
from rlax_pref.types import Array, Key, Numeric

from .tokens import TokenEnv


@struct.dataclass
class Circle(TokenEnv):
    """One question, and answers of one token, each preferred to those up to half a turn on.

    With three answers: rock, scissors, paper. No score of single answers says so; what says it is
    `versus`, which compares two (`preferences.gpm`). What nothing beats is to give all alike often.

    Attributes:
      strength: log-odds that an answer is preferred to one a quarter of a turn on.
      num_tokens: answers on the circle, an odd number.
    """

    strength: Numeric = 3.0
    num_tokens: int = struct.field(pytree_node=False, default=3)
    num_prompts: int = struct.field(pytree_node=False, default=1)
    prompt_length: int = struct.field(pytree_node=False, default=1)
    max_length: int = struct.field(pytree_node=False, default=1)
    stop: int | None = struct.field(pytree_node=False, default=None)

    @property
    def num_symbols(self) -> int:
        """Answers, and the prompt's one symbol."""
        return self.num_tokens + 1

    def prompts(self) -> Array:
        """The one there is, `[1, 1]` int32."""
        return jnp.full((1, 1), self.num_tokens, jnp.int32)

    def prompt(self, key: Key) -> Array:
        """Always the same."""
        del key
        return self.prompts()[0]

    def score(self, key: Key, prompt: Array, response: Array, live: Array) -> Array:
        """0: alone, no answer is worth more than another."""
        del key, prompt, response, live
        return jnp.float32(0.0)

    def versus(
        self, prompt: Array, response: Array, live: Array, other: Array, other_live: Array
    ) -> Array:
        """By how much a response is preferred to another, `[]` log-odds; swapped, minus that."""
        del prompt, live, other_live
        arrows = (self._arrow(x[..., 0]) for x in (response, other))
        return self.strength * preferences.gpm(*arrows)

    def _arrow(self, answer: Array) -> Array:
        angle = 2 * jnp.pi * answer / self.num_tokens
        return jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
