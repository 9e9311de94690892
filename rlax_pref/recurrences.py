"""First-order linear recurrences along time: the one loop that all return estimators share."""

from typing import Literal, get_args

import chex
import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Numeric

Method = Literal["auto", "scan", "associative"]

# Measured on CPU (benchmarks/speed/recurrences.py): one step per turn of the scan is the quickest
# or within microseconds of it for every shape, and compiles fastest; 16 and more are up to 17 times
# slower.
UNROLL = 1


def linear(
    a_t: Numeric,
    b_t: Array,
    initial: Numeric = 0.0,
    *,
    reverse: bool = True,
    method: Method = "auto",
    unroll: int = UNROLL,
) -> Array:
    """Solves a first-order linear recurrence along the first axis.

        x_t = b_t + a_t * x_{t+1},    x_T = initial          (reverse, the default)
        x_t = b_t + a_t * x_{t-1},    x_{-1} = initial       (forward)

    Two evaluations give the same numbers up to rounding, and the same gradients. "scan" walks
    the time axis: T dependent steps, T multiplications. "associative" composes the affine maps
    `x -> b + a * x` in a balanced tree: about 2 log2(T) dependent steps, several times as much
    work and memory, and a wait only where work is what is scarce. Which one "auto" takes is
    written at `choose`.

    Args:
      a_t: `[T, ...]` like `b_t`, or a scalar.
      b_t: `[T, ...]`; the recurrences along the other axes are independent of each other.
      initial: `[...]` like `b_t[0]`, or a scalar.
      reverse: whether time runs from the last row to the first.
      method: "auto", "scan" or "associative". "associative" multiplies neighbouring `a_t`
        before it applies them, so it wants `|a_t| <= 1`, or at least products that are finite.
      unroll: how many steps the scan lays out in a row; "associative" ignores it.

    Returns:
      `[T, ...]` x_0..x_{T-1}, in float32 at least. Gradients flow to all three arrays.

    Raises:
      AssertionError: while tracing, naming the argument whose shape is wrong.
      ValueError: the method is not one of the three.

    Reference: Blelloch (1990), Prefix Sums and Their Applications, section 1.4.
    """
    if method not in get_args(Method):
        raise ValueError(f"linear: method must be one of {get_args(Method)}, not {method!r}")
    dtype = jnp.result_type(a_t, b_t, initial, jnp.float32)
    a, b, x = (jnp.asarray(y, dtype) for y in (a_t, b_t, initial))
    if a.ndim > 0:
        chex.assert_shape(a, b.shape, custom_message="linear: a_t must be a scalar or like b_t")
    if x.ndim > 0:
        chex.assert_shape(
            x, b.shape[1:], custom_message="linear: initial must be a scalar or like b_t[0]"
        )
    a, x = jnp.broadcast_to(a, b.shape), jnp.broadcast_to(x, b.shape[1:])
    if method == "auto":
        method = choose(b.shape[0], jax.default_backend())
    if method == "associative":
        return _associative(a, b, x, reverse)
    return _scan(a, b, x, reverse, unroll)


def choose(length: int, backend: str) -> Literal["scan", "associative"]:
    """Which evaluation "auto" takes for T = `length` on a backend of jax.

    On CPU always the scan: of all shapes measured, from 16 x 1 to 2048 x 4096, the associative
    form was level with it at T = 16 and 2 to 10 times slower from T = 128 on, gradients included
    (benchmarks/speed/recurrences.py). Elsewhere the associative form from T = 32 on: each step of
    a scan is there a round of kernels that wait for each other, however small the batch. That half
    of the rule is an expectation, not a measurement.
    """
    return "scan" if backend == "cpu" or length < 32 else "associative"


def _scan(a: Array, b: Array, x: Array, reverse: bool, unroll: int) -> Array:
    def step(x: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
        a, b = row
        x = b + a * x
        return x, x

    return jax.lax.scan(step, x, (a, b), reverse=reverse, unroll=unroll)[1]


def _associative(a: Array, b: Array, x: Array, reverse: bool) -> Array:
    def compose(first: tuple[Array, Array], then: tuple[Array, Array]) -> tuple[Array, Array]:
        (a_1, b_1), (a_2, b_2) = first, then
        return a_1 * a_2, b_2 + a_2 * b_1

    a, b = jax.lax.associative_scan(compose, (a, b), reverse=reverse)
    return b + a * x[None]
