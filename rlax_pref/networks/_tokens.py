"""Networks of tokens: their kind, and tables."""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax.numpy as jnp

from rlax_pref import vocabulary
from rlax_pref.types import Array, Key, PyTree


class TokenNetwork(NamedTuple):
    """A function of a prompt and of the response so far, in one pass or token by token.

    Output t sees the prompt and `response[:t]`, so it is the law of token t, or the value before
    it. `start` and `step` give the same outputs one at a time, at a small cost each. All may have
    any leading axes, which go through the response together; `jax.vmap` what does not.

      `init(key) -> params`
      `apply(params, prompt [..., Lp], response [..., L]) -> [..., L, num_outputs]`
      `start(params, prompt [..., Lp]) -> (memory, output 0 [..., num_outputs])`
      `step(params, memory, token t [...]) -> (memory, output t + 1 [..., num_outputs])`

    To go on with a response of which `num_kept` tokens are there already:
    `start(params, prompt, response [..., L], num_kept []) -> (memory, output num_kept)`.

    Where the outputs come from a last layer, `features(params, prompt, response)` are its
    `[..., L, D]` inputs and `head(params)` the layer, so that outputs of a large vocabulary need
    never all be there.
    """

    init: Callable[[Key], PyTree]
    apply: Callable[[PyTree, Array, Array], Array]
    start: Callable[..., tuple[PyTree, Array]]
    step: Callable[[PyTree, PyTree, Array], tuple[PyTree, Array]]
    features: Callable[[PyTree, Array, Array], Array] | None = None
    head: Callable[[PyTree], vocabulary.Head] | None = None


class _Place(NamedTuple):
    """Where a table is read."""

    prompt: Array  # [...] int32, 0 .. num_prompts - 1
    position: Array  # [] int32, tokens so far
    history: Array  # [...] int32, the last tokens as one number


def token_table(
    num_prompts: int, num_tokens: int, max_length: int, num_outputs: int, *, order: int = 0
) -> TokenNetwork:
    """A table of outputs by prompt, position and the last `order` tokens; all 0 at first.

    Args:
      num_prompts: how many prompts there are. A prompt is known by its first symbol, which is
        `num_tokens` for the first prompt and one more for each that follows.
      num_tokens: how many different tokens a response can have.
      max_length: tokens of the longest response.
      num_outputs: numbers at each place: `num_tokens` logits, or 1 value.
      order: how many of the last tokens tell places apart.
    """
    num_histories = num_tokens**order

    def read(params: PyTree, place: _Place) -> Array:
        return params["table"][place.prompt, place.position, place.history]

    def remember(history: Array, token: Array) -> Array:
        return (history * num_tokens + token) % num_histories

    def init(key: Key) -> PyTree:
        del key  # nothing in a new table is random
        return {"table": jnp.zeros((num_prompts, max_length, num_histories, num_outputs))}

    def places(prompt: Array, response: Array) -> _Place:
        """`[..., L]` of them."""
        assert_fits("token_table", response, max_length)
        length = response.shape[-1]
        earlier = jnp.zeros_like(response)
        for age in range(min(order, length - 1), 0, -1):  # the oldest first
            before = jnp.pad(response[..., :-age], [(0, 0)] * (response.ndim - 1) + [(age, 0)])
            earlier = remember(earlier, before)
        index = jnp.broadcast_to(prompt[..., :1] - num_tokens, response.shape)
        return _Place(index, jnp.arange(length, dtype=jnp.int32), earlier)

    def apply(params: PyTree, prompt: Array, response: Array) -> Array:
        return read(params, places(prompt, response))

    def start(
        params: PyTree,
        prompt: Array,
        response: Array | None = None,
        num_kept: Array | int = 0,
    ) -> tuple[PyTree, Array]:
        index, position = prompt[..., 0] - num_tokens, jnp.asarray(num_kept, jnp.int32)
        history = jnp.zeros_like(index)
        if response is not None:
            histories = places(prompt, response).history
            history = jnp.take(histories, position, axis=-1, mode="clip")
        place = _Place(index, position, history)
        return place, read(params, place)

    def step(params: PyTree, memory: _Place, token: Array) -> tuple[PyTree, Array]:
        place = _Place(memory.prompt, memory.position + 1, remember(memory.history, token))
        return place, read(params, place)

    return TokenNetwork(init, apply, start, step)


def assert_fits(caller: str, response: Array, max_length: int) -> None:
    chex.assert_axis_dimension_lteq(
        response, -1, max_length, custom_message=f"{caller}: response must have at most max_length"
    )
