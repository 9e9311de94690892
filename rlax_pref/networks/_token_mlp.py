"""A multilayer perceptron of tokens."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref.networks._plain import mlp
from rlax_pref.networks._tokens import TokenNetwork, assert_fits
from rlax_pref.types import Array, Key, PyTree


class _Read(NamedTuple):
    """What was read so far."""

    position: Array  # [] int32, tokens so far
    total: Array  # [..., W] what enters the first hidden layer


def token_mlp(
    num_symbols: int,
    num_outputs: int,
    prompt_length: int,
    max_length: int,
    *,
    width: int = 64,
    num_layers: int = 2,
) -> TokenNetwork:
    """A multilayer perceptron of all symbols, each at its place (Bengio et al., 2003, JMLR 3).

    The first hidden layer is dense in what stands at each place of prompt and response, one of
    `num_symbols` or nothing yet: so what enters it is a sum of a vector for each symbol, to which a
    token adds its own. It sees all of a response, and knows nothing of places being alike.

    Args:
      num_symbols: how many symbols prompts and responses are made of.
      num_outputs: numbers at each token: logits of the tokens, or 1 value, or several heads.
      prompt_length: symbols of every prompt.
      max_length: tokens of the longest response.
      width: of the hidden layers.
      num_layers: how many there are, 1 or more.

    Raises:
      ValueError: there is no hidden layer.
    """
    if num_layers < 1:
        raise ValueError(f"token_mlp: num_layers={num_layers} must be at least 1")
    num_places = prompt_length + max_length
    rest = mlp((width,) * (num_layers - 1), num_outputs, last_scale=0.01)

    def init(key: Key) -> PyTree:
        key_symbols, key_rest = jax.random.split(key)
        symbols = jax.random.normal(key_symbols, (num_places, num_symbols, width))
        return {
            "symbols": symbols / num_places**0.5,
            "bias": jnp.zeros(width),
            "rest": rest.init(key_rest, jnp.zeros(width)),
        }

    def look(params: PyTree, place: Array, symbol: Array) -> Array:
        return params["symbols"][place, jnp.minimum(symbol, num_symbols - 1)]

    def asked(params: PyTree, prompt: Array) -> Array:
        return params["bias"] + look(params, jnp.arange(prompt_length), prompt).sum(-2)

    def read(params: PyTree, prompt: Array, response: Array) -> Array:
        """`[..., L, W]`, of the prompt and of the tokens before each."""
        assert_fits("token_mlp", response, max_length)
        places = prompt_length + jnp.arange(response.shape[-1] - 1)
        said = look(params, places, response[..., :-1])
        said = jnp.pad(said, [(0, 0)] * (said.ndim - 2) + [(1, 0), (0, 0)])
        return asked(params, prompt)[..., None, :] + jnp.cumsum(said, axis=-2)

    def output(params: PyTree, total: Array) -> Array:
        return rest.apply(params["rest"], jnp.tanh(total))

    def apply(params: PyTree, prompt: Array, response: Array) -> Array:
        return output(params, read(params, prompt, response))

    def start(
        params: PyTree,
        prompt: Array,
        response: Array | None = None,
        num_kept: Array | int = 0,
    ) -> tuple[PyTree, Array]:
        position = jnp.asarray(num_kept, jnp.int32)
        total = asked(params, prompt)
        if response is not None:
            total = jnp.take(read(params, prompt, response), position, axis=-2, mode="clip")
        return _Read(position, total), output(params, total)

    def step(params: PyTree, memory: _Read, token: Array) -> tuple[PyTree, Array]:
        position, total = memory
        total = total + look(params, prompt_length + position, token)
        return _Read(position + 1, total), output(params, total)

    return TokenNetwork(init, apply, start, step)
