"""A transformer of tokens (Vaswani et al., 2017, arXiv:1706.03762)."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rlax_pref import vocabulary
from rlax_pref._blocks import over_blocks
from rlax_pref.networks._attention import _Block
from rlax_pref.networks._dense import Dense
from rlax_pref.networks._plain import check_dtype, initializer
from rlax_pref.networks._tokens import TokenNetwork, assert_fits
from rlax_pref.types import Array, Key, PyTree

AT_ONCE = 1024
"""Symbols that are read at a time where memory is to be saved."""


class _Cache(NamedTuple):
    """What a transformer remembers of the tokens so far."""

    position: Array  # [] int32, symbols so far
    keys: tuple[Array, ...]  # [..., heads, S, width / heads], a layer each
    values: tuple[Array, ...]


class _Transformer(nn.Module):
    """Symbols in, outputs out. The stream of a symbol depends on no later symbol.

    What is beyond the alphabet, as the blanks of an observation are, reads as the last symbol.
    """

    num_symbols: int
    num_outputs: int
    prompt_length: int
    max_length: int
    width: int
    num_layers: int
    num_heads: int
    dtype: str
    remat: bool

    @property
    def num_places(self) -> int:
        """Symbols that are ever read: nothing comes after the last token."""
        return self.prompt_length + self.max_length - 1

    def setup(self) -> None:
        block = nn.remat(_Block) if self.remat else _Block
        self.symbols = nn.Embed(
            self.num_symbols, self.width, dtype=self.dtype, embedding_init=initializer(1.0)
        )
        self.places = self.param("places", initializer(1.0), (self.num_places, self.width))
        self.blocks = [block(self.num_heads, self.dtype) for _ in range(self.num_layers)]
        self.norm = nn.LayerNorm(dtype=self.dtype)
        self.head = Dense(
            self.num_outputs,
            dtype=self.dtype,
            kernel_init=initializer(0.01),
            dot_general=partial(jax.lax.dot_general, preferred_element_type=jnp.float32),
        )

    def __call__(self, prompt: Array, response: Array) -> Array:
        return self.outputs(self.features(prompt, response))

    def outputs(self, features: Array) -> Array:
        return self.head(features)

    def features(self, prompt: Array, response: Array) -> Array:
        x, _ = self._prefill(prompt, response)
        return self.norm(x[..., prompt.shape[-1] - 1 :, :])

    def start(
        self, prompt: Array, response: Array | None = None, num_kept: Array | int = 0
    ) -> tuple[_Cache, Array]:
        x, past = self._prefill(prompt, prompt[..., :1] if response is None else response)
        position = jnp.asarray(prompt.shape[-1] + num_kept, jnp.int32)
        missing = self.num_places - x.shape[-2]
        pad = [(0, 0)] * (x.ndim - 1) + [(0, missing), (0, 0)]
        keys, values = zip(*[[jnp.pad(part, pad) for part in layer] for layer in past], strict=True)
        last = jax.lax.dynamic_index_in_dim(x, position - 1, axis=-2, keepdims=False)
        return _Cache(position, keys, values), self.head(self.norm(last))

    def step(self, memory: _Cache, token: Array) -> tuple[_Cache, Array]:
        position, keys, values = memory
        place = jax.lax.dynamic_slice_in_dim(self.places, position, 1)
        x = self._embed(token)[..., None, :] + place.astype(self.dtype)
        past = []
        for block, key, value in zip(self.blocks, keys, values, strict=True):
            x, layer = block(x, position, (key, value))
            past.append(layer)
        keys, values = zip(*past, strict=True)
        return _Cache(position + 1, keys, values), self.head(self.norm(x[..., 0, :]))

    def _embed(self, symbols: Array) -> Array:
        return self.symbols(jnp.minimum(symbols, self.num_symbols - 1))

    def _prefill(self, prompt: Array, response: Array) -> tuple[Array, list[tuple[Array, Array]]]:
        """Reads all of the prompt and of the response but its last token."""
        symbols = jnp.concatenate([prompt, response[..., :-1]], axis=-1)
        x = self._embed(symbols) + self.places[: symbols.shape[-1]].astype(self.dtype)
        past = []
        for block in self.blocks:
            x, layer = block(x)
            past.append(layer)
        return x, past


def transformer(
    num_symbols: int,
    num_outputs: int,
    prompt_length: int,
    max_length: int,
    *,
    width: int = 64,
    num_layers: int = 2,
    num_heads: int = 4,
    dtype: str = "float32",
    remat: bool = False,
) -> TokenNetwork:
    """A causal transformer (Vaswani et al., 2017, arXiv:1706.03762), normalised before each layer.

    Places are learned vectors. Tokens and symbols of the prompt share one alphabet. The first
    outputs hardly depend on what is read. `step` reads the keys and values of what came before
    from its memory, so a token costs one symbol's pass and one look back.

    Args:
      num_symbols: how many symbols prompts and responses are made of.
      num_outputs: numbers at each token: logits of the tokens, or 1 value, or several heads.
      prompt_length: symbols of every prompt.
      max_length: tokens of the longest response.
      width: of the stream; a multiple of `num_heads`.
      num_layers: attention and dense layer, so many times.
      num_heads: looks back that each attention takes at once.
      dtype: of computation, such as "bfloat16". Parameters, moments of the stream, softmax and
        outputs are float32 all the same.
      remat: read few responses at a time, and make what is inside of a layer once more for the
        gradient, instead of keeping it.

    Raises:
      ValueError: `width` cannot be shared among the heads, or the dtype is not one of numbers.
    """
    if width % num_heads:
        raise ValueError(f"transformer: width={width} must be a multiple of num_heads={num_heads}")
    module = _Transformer(
        num_symbols,
        num_outputs,
        prompt_length,
        max_length,
        width,
        num_layers,
        num_heads,
        check_dtype("transformer", dtype),
        remat,
    )

    def run(params: PyTree, *args: Any, method: str | None = None) -> Any:
        return module.apply({"params": params}, *args, method=method)

    def init(key: Key) -> PyTree:
        prompt = jnp.zeros(prompt_length, jnp.int32)
        return module.init(key, prompt, jnp.zeros(max_length, jnp.int32))["params"]

    def apply(params: PyTree, prompt: Array, response: Array) -> Array:
        return run(params, features(params, prompt, response), method="outputs")

    def start(
        params: PyTree,
        prompt: Array,
        response: Array | None = None,
        num_kept: Array | int = 0,
    ) -> tuple[PyTree, Array]:
        return run(params, prompt, response, num_kept, method="start")

    def step(params: PyTree, memory: _Cache, token: Array) -> tuple[PyTree, Array]:
        return run(params, memory, token, method="step")

    def features(params: PyTree, prompt: Array, response: Array) -> Array:
        assert_fits("transformer", response, max_length)
        read = lambda prompt, response: run(params, prompt, response, method="features")
        if not remat:
            return read(prompt, response)
        flat = prompt.reshape(-1, prompt_length), response.reshape(-1, max_length)
        rows = AT_ONCE // (prompt_length + max_length)
        _, found = over_blocks(lambda _, rows: (None, read(*rows)), None, flat, rows)
        return found.reshape(*response.shape, width)

    def head(params: PyTree) -> vocabulary.Head:
        return vocabulary.Head(params["head"]["kernel"].astype(dtype), params["head"]["bias"])

    return TokenNetwork(init, apply, start, step, features, head)
