"""What transformers are made of."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp

from rlax_pref.networks._dense import Dense
from rlax_pref.networks._plain import initializer
from rlax_pref.types import Array


class _Drop(nn.Module):
    """Leaves out a share of what enters, where a key named dropout is given, and nothing else."""

    rate: float

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return nn.Dropout(self.rate, deterministic=not self.has_rng("dropout"))(x)


class _Block(nn.Module):
    """Attention, then a layer of its own for each symbol; both read a normalised stream."""

    num_heads: int
    dtype: str = "float32"  # of all but parameters, softmax and the moments of the stream
    dropout: float = 0.0  # of attention, and of what either adds to the stream

    @nn.compact
    def __call__(
        self, x: Array, position: Array | int = 0, cache: tuple[Array, Array] | None = None
    ) -> tuple[Array, tuple[Array, Array]]:
        """`[..., T, width]` symbols from `position` on -> the same, and all keys and values."""
        width = x.shape[-1]
        head_width = width // self.num_heads
        rows, norm = partial(Dense, dtype=self.dtype), partial(nn.LayerNorm, dtype=self.dtype)
        mixed = rows(3 * width, use_bias=False, kernel_init=initializer(1.0))(norm()(x))
        heads = mixed.reshape(*x.shape[:-1], 3 * self.num_heads, head_width).swapaxes(-3, -2)
        query, key, value = jnp.split(heads, 3, axis=-3)  # [..., heads, T, head_width]
        if cache is not None:
            key, value = (
                jax.lax.dynamic_update_slice_in_dim(old, new, position, axis=-2)
                for old, new in zip(cache, (key, value), strict=True)
            )
        now = position + jnp.arange(x.shape[-2])
        seen = jnp.arange(key.shape[-2]) <= now[:, None]
        score = jnp.matmul(query, key.swapaxes(-2, -1), preferred_element_type=jnp.float32)
        weight = jax.nn.softmax(jnp.where(seen, score / head_width**0.5, -jnp.inf), axis=-1)
        weight = _Drop(self.dropout)(weight)
        attended = (weight.astype(value.dtype) @ value).swapaxes(-3, -2).reshape(x.shape)
        attended = rows(width, use_bias=False, kernel_init=initializer(1.0))(attended)
        x = x + _Drop(self.dropout)(attended)
        hidden = nn.gelu(rows(4 * width, kernel_init=initializer(2**0.5))(norm()(x)))
        hidden = rows(width, kernel_init=initializer(1.0))(hidden)
        return x + _Drop(self.dropout)(hidden), (key, value)
