"""Combination locks: only a few tokens of a response matter, and only together."""

import jax
import jax.numpy as jnp
from flax import struct

from rlax_pref.types import Array, Key, Numeric

from .tokens import TokenEnv


@struct.dataclass
class TokenLock(TokenEnv):
    """A lock for each prompt: the critical tokens must be those of one of its keys.

    The score is 1 if, at all critical positions, the response has the tokens of one accepted
    string, else 0; so a uniform policy opens a lock of c critical positions with probability
    `num_tokens^-c` for each string. With `partial`, the score is the largest share of the
    critical tokens that one string confirms. Tokens elsewhere change nothing, which makes credit
    assignment visible.

    Prompts are single symbols; prompt p is written `num_tokens + p`. Make one with `token_lock`.

    Attributes:
      accepted: `[P, A, L]` int32 tokens: A strings that open each of P locks.
      critical: `[P, L]` bool, positions that matter; all before the prompt's limit.
      lengths: `[P]` int32, tokens of each response.
      noise: standard deviation of what is added to the score.
      partial: whether part of the tokens earn part of the score.
      num_tokens: how many different tokens there are.
    """

    accepted: Array
    critical: Array
    lengths: Array
    noise: Numeric = 0.0
    partial: bool = struct.field(pytree_node=False, default=False)
    num_tokens: int = struct.field(pytree_node=False, default=4)
    prompt_length: int = struct.field(pytree_node=False, default=1)
    stop: int | None = struct.field(pytree_node=False, default=None)

    @property
    def num_prompts(self) -> int:
        """How many locks there are."""
        return self.critical.shape[-2]

    @property
    def num_symbols(self) -> int:
        """Tokens, then a symbol for each prompt."""
        return self.num_tokens + self.num_prompts

    @property
    def max_length(self) -> int:
        """Tokens of the longest response."""
        return self.critical.shape[-1]

    def prompts(self) -> Array:
        """All of them, `[P, 1]` int32."""
        return self.num_tokens + jnp.arange(self.num_prompts, dtype=jnp.int32)[:, None]

    def prompt(self, key: Key) -> Array:
        """One of the locks, all alike likely."""
        return self.prompts()[jax.random.randint(key, (), 0, self.num_prompts)]

    def limit(self, prompt: Array) -> Array:
        """Responses to a prompt are all of one length."""
        return self.lengths[prompt[0] - self.num_tokens]

    def answer(self, prompt: Array) -> tuple[Array, Array]:
        """A string that opens the lock, the first one: `[L]` int32 tokens, and which are live."""
        accepted = self.accepted[prompt[0] - self.num_tokens, 0]
        return accepted, jnp.arange(self.max_length) < self.limit(prompt)

    def score(self, key: Key, prompt: Array, response: Array, live: Array) -> Array:
        """1 if the lock opens, or the share of its critical tokens that are right."""
        lock = prompt[0] - self.num_tokens
        critical = self.critical[lock]
        right = (self.accepted[lock] == response) & live & critical  # [A, L]
        share = right.sum(-1).max() / jnp.maximum(critical.sum(), 1)
        score = share if self.partial else (share == 1).astype(jnp.float32)
        return score + self.noise * jax.random.normal(key)


def token_lock(
    seed: int = 0,
    *,
    num_prompts: int = 32,
    max_length: int = 12,
    num_tokens: int = 4,
    critical: tuple[int, ...] = (2, 6, 10),
    num_accepted: int = 1,
    random_lengths: bool = False,
    partial: bool = False,
    noise: Numeric = 0.0,
) -> TokenLock:
    """Draws locks.

    Args:
      seed: of the accepted strings, and of the lengths.
      num_prompts: how many locks.
      max_length: tokens of a response.
      num_tokens: how many different tokens.
      critical: positions that matter, from 0. With random lengths there are as many, spread
        evenly over each response up to its last token; a response too short has fewer.
      num_accepted: strings that open a lock. They may be alike by chance.
      random_lengths: draw the length of each prompt's response from `lognormal(0, 1)`, rounded
        up and at most `max_length`: most are short, some are long.
      partial: see `TokenLock`.
      noise: see `TokenLock`.

    Raises:
      ValueError: a critical position is not within the response.
    """
    if not all(0 <= position < max_length for position in critical):
        raise ValueError(f"critical={critical} must be positions 0 to {max_length - 1}")
    key_accepted, key_length = jax.random.split(jax.random.key(seed))
    accepted = jax.random.randint(
        key_accepted, (num_prompts, num_accepted, max_length), 0, num_tokens, jnp.int32
    )
    lengths = jnp.full(num_prompts, max_length, jnp.int32)
    positions = jnp.broadcast_to(jnp.array(critical), (num_prompts, len(critical)))
    if random_lengths:
        drawn = jnp.ceil(jnp.exp(jax.random.normal(key_length, (num_prompts,))))
        lengths = jnp.minimum(drawn, max_length).astype(jnp.int32)
        share = jnp.arange(1, len(critical) + 1)
        positions = -(-lengths[:, None] * share // len(critical)) - 1
    is_critical = (jnp.arange(max_length) == positions[..., None]).any(1)
    return TokenLock(accepted, is_critical, lengths, noise, partial, num_tokens)
