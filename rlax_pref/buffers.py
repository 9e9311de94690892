"""Uniform experience replay (Lin, 1992, Machine Learning 8:293-321), inside a compiled program.

One ring of past transitions per environment. Every leaf of the state leads with `[num_envs]`, so
it belongs in the `actor` of a `TrainState` and is sharded by environment: neither adding nor
sampling moves data between devices.

    replay = buffers.init(transition, num_envs=8, capacity=10_000)
    replay = buffers.add(replay, transitions)               # [E, ...], one step of every env
    batch = buffers.sample(replay, key, batch_size=32)      # [E, 32, ...]

A whole rollout `[T, E, ...]` goes in with
`jax.lax.scan(lambda replay, x: (buffers.add(replay, x), None), replay, rollout)`.

Windows of steps in a row are drawn by where they begin, evenly or by `priorities`:

    row = buffers.draw(replay, key, batch_size=32, length=3)
    batch = transitions.n_step(buffers.read(replay, row, length=3))    # [E, 32, ...]
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Key, PyTree


class Replay(NamedTuple):
    """The last transitions of each environment. The counters never overflow."""

    data: PyTree  # [E, capacity, ...] like the transitions; rows from `size` on are zeros
    cursor: Array  # [E] int32 in [0, capacity), the row to be written next
    size: Array  # [E] int32 in [0, capacity], rows that hold a transition


def init(example: PyTree, num_envs: int, capacity: int) -> Replay:
    """Makes an empty buffer.

    Args:
      example: one transition of one environment, any pytree of arrays or `jax.ShapeDtypeStruct`;
        only shapes and dtypes count.
      num_envs: E, >= 1.
      capacity: transitions kept per environment, >= 1.

    Raises:
      ValueError: `num_envs` or `capacity` is not positive.
    """
    for name, number in {"num_envs": num_envs, "capacity": capacity}.items():
        if number < 1:
            raise ValueError(f"buffers.init: {name} must be at least 1, not {number}")

    def zeros(x: Any) -> Array:
        return jnp.zeros((num_envs, capacity, *jnp.shape(x)), jnp.result_type(x))

    return Replay(
        data=jax.tree.map(zeros, example),
        cursor=jnp.zeros(num_envs, jnp.int32),
        size=jnp.zeros(num_envs, jnp.int32),
    )


def from_rows(data: PyTree, num_envs: int, capacity: int = 0) -> Replay:
    """Makes a buffer of data that are there already, to learn offline as if online.

    Rows stay in order, so windows of them do, too: each ring gets a stretch, and the last one is
    filled up with zeros, which no `valid_t` calls valid.

    Args:
      data: `[N, ...]` transitions, in the order in which they happened.
      num_envs: E, rings to share them out to.
      capacity: transitions kept per environment, where that is more than its share of the data.

    Raises:
      ValueError: `num_envs` is not positive, or more than there are rows.
    """
    num_rows = jax.tree.leaves(data)[0].shape[0]
    if not 1 <= num_envs <= num_rows:
        raise ValueError(f"buffers.from_rows: num_envs={num_envs} must be within 1 and {num_rows}")
    size = -(-num_rows // num_envs)
    capacity = max(capacity, size)

    def share(x: Array) -> Array:
        pad = [(0, num_envs * size - num_rows)] + [(0, 0)] * (x.ndim - 1)
        rows = jnp.pad(x, pad).reshape(num_envs, size, *x.shape[1:])
        return jnp.pad(rows, [(0, 0), (0, capacity - size)] + [(0, 0)] * (x.ndim - 1))

    zero = jnp.zeros(num_envs, jnp.int32)
    return Replay(jax.tree.map(share, data), cursor=zero + size % capacity, size=zero + size)


def add(replay: Replay, transition: PyTree) -> Replay:
    """Adds one transition of each environment; a full ring forgets its oldest one.

    Args:
      replay: the buffer.
      transition: `[E, ...]`, of the structure, shapes and dtypes of the example.

    Raises:
      AssertionError: while tracing, naming the leaf whose shape or dtype differs.
    """
    capacity = _capacity(replay)
    new = jax.tree.map(jnp.asarray, transition)
    jax.tree.map_with_path(_assert_fits, replay.data, new)

    def write(rows: Array, cursor: Array, x: Array) -> Array:
        return jax.lax.dynamic_update_index_in_dim(rows, x, cursor, axis=0)

    return Replay(
        data=jax.tree.map(
            lambda rows, x: jax.vmap(write)(rows, replay.cursor, x), replay.data, new
        ),
        cursor=(replay.cursor + 1) % capacity,
        size=jnp.minimum(replay.size + 1, capacity),
    )


def extend(replay: Replay, transitions: PyTree) -> Replay:
    """Adds many transitions of each environment at once, as if one after the other.

    Args:
      replay: the buffer.
      transitions: `[E, n, ...]` with n at most the capacity; in the order of time.

    Raises:
      ValueError: there are more than fit.
      AssertionError: while tracing, naming the leaf whose shape or dtype differs.
    """
    capacity = _capacity(replay)
    new = jax.tree.map(jnp.asarray, transitions)
    jax.tree.map_with_path(_assert_fits, replay.data, jax.tree.map(lambda x: x[:, 0], new))
    num = jax.tree.leaves(new)[0].shape[1]
    if num > capacity:
        raise ValueError(f"buffers.extend: {num} transitions do not fit into {capacity} rows")
    row = jnp.add.outer(replay.cursor, jnp.arange(num)) % capacity
    write = jax.vmap(lambda rows, row, x: rows.at[row].set(x))
    return Replay(
        data=jax.tree.map(lambda rows, x: write(rows, row, x), replay.data, new),
        cursor=(replay.cursor + num) % capacity,
        size=jnp.minimum(replay.size + num, capacity),
    )


def sample(replay: Replay, key: Key, batch_size: int) -> PyTree:
    """Draws transitions uniformly, with replacement, from each environment's own.

    Args:
      replay: the buffer. Something must have been added: an empty ring has nothing to draw, and
        yields zeros. An agent that warms up first looks at `replay.size`.
      key: random key.
      batch_size: n, transitions per environment.

    Returns:
      `[E, n, ...]` transitions.
    """
    return read(replay, draw(replay, key, batch_size))


def draw(replay: Replay, key: Key, batch_size: int, length: int = 1) -> Array:
    """Draws where windows of `length` steps in a row begin, uniformly and with replacement.

    Args:
      replay: the buffer. With fewer than `length` rows no window is whole, and those that are
        drawn begin at the oldest row and end in rows of zeros, which no `valid_t` calls valid.
      key: random key.
      batch_size: n, windows per environment.
      length: steps of a window. It never runs over the newest row into the oldest.

    Returns:
      `[E, n]` int32 rows, for `read`.
    """
    capacity, (num_envs,) = _capacity(replay), replay.size.shape
    num_starts = jnp.maximum(replay.size - length + 1, 1)[:, None]
    age = _below(jax.random.bits(key, (num_envs, batch_size)), num_starts)
    return ((replay.cursor - replay.size)[:, None] + age) % capacity


def read(replay: Replay, row: Array, length: int | None = None) -> PyTree:
    """Reads what stands at some rows, or in windows that begin there.

    Args:
      replay: the buffer.
      row: `[E, n]` int32 rows of each environment's own ring.
      length: steps of a window; by default single rows.

    Returns:
      `[E, n, ...]` transitions, or `[E, n, length, ...]` in the order in which they were added.
    """
    if length is not None:
        row = jnp.add.outer(row, jnp.arange(length)) % _capacity(replay)
    return jax.tree.map(lambda rows: jax.vmap(lambda x, i: x[i])(rows, row), replay.data)


def _below(bits: Array, num: Array) -> Array:
    """floor(num * bits / 2^32) in uint32: evenly drawn, but for num / 2^32, from one draw of bits.

    `jax.random.randint` takes three: another key, and bits twice.
    """
    num = num.astype(jnp.uint32)
    half = jnp.uint32(0xFFFF)
    low = (bits >> 16) * (num & half) + ((bits & half) * (num & half) >> 16)
    high = (bits & half) * (num >> 16) + (low & half)
    return ((bits >> 16) * (num >> 16) + (low >> 16) + (high >> 16)).astype(jnp.int32)


def _capacity(replay: Replay) -> int:
    return jax.tree.leaves(replay.data)[0].shape[1]


def _assert_fits(path: Any, rows: Array, x: Array) -> None:
    name = f"buffers.add: transition{jax.tree_util.keystr(path)}"
    shape = rows.shape[:1] + rows.shape[2:]
    chex.assert_shape(x, shape, custom_message=f"{name} must be [num_envs, ...] like the example")
    chex.assert_type(x, rows.dtype, custom_message=f"{name} must be of the example's dtype")
