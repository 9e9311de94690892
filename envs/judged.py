"""What people said of texts, as a task: prompts, and answers that were judged already."""

import os

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rlax_pref import datasets
from rlax_pref.datasets import TextLabels, TextPreferences, TokenLabels
from rlax_pref.datasets._text import NUM_BYTE_SYMBOLS, NUM_BYTE_TOKENS, STOP
from rlax_pref.types import Array, Key

from .tokens import TokenEnv


@struct.dataclass
class Texts(TokenEnv):
    """Prompts with answers that people judged; of new answers nobody knows what they are worth.

    Symbols are the bytes of UTF-8, then what ends an answer, then what fills up prompts on the
    left. Agents that learn from preferences learn from `judged`; make one with `texts`.

    Attributes:
      asked: `[N, Lp]` int32 prompts.
      response: `[N, G, L]` int32 answers to each: the chosen and the rejected, or a single one.
      mask: `[N, G, L]` bool, tokens of the answer.
      reward: `[N, G]` 1 of what was chosen or liked, 0 of what was not.
    """

    asked: Array
    response: Array
    mask: Array
    reward: Array
    num_tokens: int = struct.field(pytree_node=False, default=NUM_BYTE_TOKENS)
    num_symbols: int = struct.field(pytree_node=False, default=NUM_BYTE_SYMBOLS)
    stop: int | None = struct.field(pytree_node=False, default=STOP)

    @property
    def prompt_length(self) -> int:
        """Bytes of the longest prompt."""
        return self.asked.shape[-1]

    @property
    def max_length(self) -> int:
        """Bytes of the longest answer, and its stop."""
        return self.response.shape[-1]

    def prompt(self, key: Key) -> Array:
        """One of them, all alike likely."""
        return self.asked[jax.random.randint(key, (), 0, self.asked.shape[0])]

    def score(self, key: Key, prompt: Array, response: Array, live: Array) -> Array:
        """0: nobody is there to judge."""
        del key, prompt, response, live
        return jnp.float32(0.0)

    def judged(self) -> tuple[Array, Array, Array, Array]:
        """Prompts `[N, Lp]`, answers `[N, G, L]`, their masks, and what was said, `[N, G]`."""
        return self.asked, self.response, self.mask, self.reward

    def names(self) -> tuple[str, ...]:
        """Characters of one byte, other bytes by their number, and nothing for stop and filler."""
        plain = [chr(x) if 32 <= x < 127 or x == 10 else f"<{x:02x}>" for x in range(256)]
        return (*plain, "", "")


def texts(
    path: str | os.PathLike[str],
    *,
    max_prompt: int = 256,
    max_response: int = 256,
    skip_bad: bool = False,
) -> Texts:
    """The rows of a file: pairs or single answers, whichever format `datasets.inspect` finds.

    Args:
      path: rows of JSON, as of TRL or HH-RLHF.
      max_prompt: bytes; of longer prompts the end stays.
      max_response: bytes, the stop included; of longer answers the beginning stays.
      skip_bad: leave rows out that are not sound, instead of raising.

    Raises:
      DataError: names file, line, field and fix.
    """
    return from_texts(
        datasets.load_texts(path, skip_bad=skip_bad).data,
        max_prompt=max_prompt,
        max_response=max_response,
    )


def from_texts(
    rows: TextPreferences | TextLabels, *, max_prompt: int = 256, max_response: int = 256
) -> Texts:
    """The same of what a reader returned."""
    data, _ = datasets.encode(rows, max_prompt=max_prompt, max_response=max_response)
    asked = data.prompt[:, ~_blank(data.prompt_mask)]  # filled up no further than need be
    longest = int((~_blank(data.mask)).sum())
    response, mask = data.response[..., :longest], data.mask[..., :longest]
    if isinstance(data, TokenLabels):
        liked = data.desirable.astype(jnp.float32)
        return Texts(asked, response[:, None], mask[:, None], liked[:, None])
    return Texts(asked, response, mask, jnp.stack([data.p_first, 1.0 - data.p_first], axis=1))


def _blank(mask: Array) -> np.ndarray:
    """Columns in which no row has anything."""
    return np.logical_not(np.asarray(mask).any(tuple(range(mask.ndim - 1))))
