"""Work on a few rows at a time, where what is made of all of them would not fit."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rlax_pref.types import Array


def over_blocks(
    block: Callable[[Any, Any], tuple[Any, Any]], carry: Any, given: Any, rows: int
) -> tuple[Any, Any]:
    """Takes rows block by block: `block(carry, rows) -> (carry, what is made of each row)`.

    A block has rows from all over, so that rows spread over devices stay where they are.

    Args:
      block: of the carry and of leaves `[R, ...]`; rows that fill up the last ones are zeros.
      carry: before the first block.
      given: leaves `[N, ...]`.
      rows: that a block has at most; blocks are of one size, R.

    Returns:
      The carry after the last block, and leaves `[N, ...]`.
    """
    num = jax.tree.leaves(given)[0].shape[0]
    blocks = max(1, -(-num // max(1, rows)))
    size = -(-num // blocks)

    def split(x: Array) -> Array:
        padded = jnp.pad(x, [(0, size * blocks - num)] + [(0, 0)] * (x.ndim - 1))
        return padded.reshape(size, blocks, *x.shape[1:]).swapaxes(0, 1)

    carry, found = jax.lax.scan(block, carry, jax.tree.map(split, given))
    join = lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:])[:num]
    return carry, jax.tree.map(join, found)
