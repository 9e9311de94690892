"""First-order linear recurrences along time: the one loop that all return estimators share."""

from typing import Literal

import chex
import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Numeric

Method = Literal["auto", "scan", "associative"]

UNROLL = 8  # steps per iteration of the scan


def linear(
    a_t: Numeric,
    b_t: Array,
    initial: Numeric = 0.0,
    *,
    reverse: bool = True,
    method: Method = "auto",
) -> Array:
    """Solves `x_t = b_t + a_t * x_{t+1}` backwards from `x_T = initial`."""
    b_t = jnp.asarray(b_t)
    dtype = jnp.result_type(a_t, b_t, initial, jnp.float32)
    b_t = b_t.astype(dtype)
    a_t = jnp.asarray(a_t, dtype)
    if a_t.ndim:
        chex.assert_equal_shape(
            [a_t, b_t], custom_message="linear: a_t must be a scalar or like b_t"
        )
    x = jnp.broadcast_to(jnp.asarray(initial, dtype), b_t.shape[1:])

    def step(x, row):
        a, b = row
        x = b + a * x
        return x, x

    rows = (jnp.broadcast_to(a_t, b_t.shape), b_t)
    return jax.lax.scan(step, x, rows, reverse=reverse, unroll=UNROLL)[1]
