"""JAX's cipher, threefry2x32, bit for bit, in a form that CPUs compile and run sooner.

Random numbers are the dearest thing to compile. On CPUs JAX writes the cipher as a loop over seven
arrays, about ten kernels a draw (jax 0.10 and 0.11); here it is a loop over two. A kernel takes
some 5 ms, however small, but one that is in a program already takes none, so draws of few numbers
are made in one of a few sizes, to share theirs. What is drawn is the same, so this never matters
but for time.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl

from rlax_pref.types import Array, PyTree

_NAME = "threefry2x32"
_PARITY = 0x1BD11BDA
_SIZES = (4, 16, 256)  # of draws of few numbers
_ROTATIONS = ((13, 17), (15, 29), (26, 16), (6, 24))  # in even and in odd rounds


def quick(tree: PyTree) -> PyTree:
    """The tree with keys that draw the same numbers sooner, where a CPU is what JAX computes on.

    Keys of other ciphers stay as they are.
    """
    counts_alike = jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    if jax.default_backend() != "cpu" or not counts_alike:
        return tree
    return jax.tree.map(partial(_exchange, old=_NAME, new=_QUICK), tree)


def plain(tree: PyTree) -> PyTree:
    """The tree with JAX's own keys in place of those of `quick`."""
    return jax.tree.map(partial(_exchange, old=_QUICK, new=_NAME), tree)


def _exchange(x: Array, old: Any, new: Any) -> Array:
    is_key = jnp.issubdtype(jnp.result_type(x), jax.dtypes.prng_key)
    if not is_key or jax.random.key_impl(x) != old:
        return x
    return jax.random.wrap_key_data(jax.random.key_data(x), impl=new)


@jax.jit  # traced once for each shape
def _encrypt(key: Array, counter: Array) -> tuple[Array, Array]:
    """Two numbers `[...]` for each number of a counter, from a key `[2]`; all uint32."""
    words = jnp.tile(jnp.stack([*key, key[0] ^ key[1] ^ jnp.uint32(_PARITY)]), 3)

    def four_rounds(i: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
        x, y = pair
        # The key comes in here and not before, where its kernels would be of each draw's own.
        x = jnp.where(i == 0, words[i], x)
        y = y + jnp.where(i == 0, words[i + 1], jnp.uint32(0))
        for even, odd in _ROTATIONS:
            left = jnp.where(i % 2 == 0, jnp.uint32(even), jnp.uint32(odd))
            x = x + y
            y = x ^ (y << left | y >> 32 - left)
        return x + words[i + 1], y + (words[i + 2] + i + 1)

    return jax.lax.fori_loop(jnp.uint32(0), jnp.uint32(5), four_rounds, (counter, counter))


def _draw(key: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Two numbers each, `shape`, for 0, 1, 2, ..."""
    n = math.prod(shape)
    if jax.device_count() > 1:  # where each may draw its share, and no other size can be divided
        return _encrypt(key, jnp.arange(n, dtype=jnp.uint32).reshape(shape))
    size = next((size for size in _SIZES if n <= size), n)
    x, y = _encrypt(key, jnp.arange(size, dtype=jnp.uint32))
    return x[:n].reshape(shape), y[:n].reshape(shape)


def _seed(seed: Array) -> Array:
    return jax.random.key_data(jax.random.key(seed, impl=_NAME))


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jnp.stack(_draw(key, shape), -1)


def _fold_in(key: Array, data: int) -> Array:
    x, y = _encrypt(key, jnp.full(_SIZES[0], data, jnp.uint32))
    return jnp.stack([x[0], y[0]])


def _random_bits(key: Array, bit_width: int, shape: tuple[int, ...]) -> Array:
    dtype = jnp.dtype(f"uint{bit_width}")
    if math.prod(shape) > 2**32:  # more than can be counted
        return jax.random.bits(jax.random.wrap_key_data(key, impl=_NAME), shape, dtype)
    x, y = _draw(key, shape)
    return x.astype(dtype) << 32 | y.astype(dtype) if bit_width == 64 else (x ^ y).astype(dtype)


_QUICK = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,
    name=f"quick_{_NAME}",
    tag="quick",
)
