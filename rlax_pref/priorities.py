"""Prioritised replay (Schaul et al., 2015, arXiv:1511.05952), inside a compiled program.

How likely each row of a `buffers.Replay` is to be drawn: one tree of sums per environment, so
that drawing and changing take a walk from the root to a leaf. Every leaf of the state leads with
`[num_envs]`; nothing moves between devices.

    order = priorities.init(num_envs=8, capacity=10_000)
    order = priorities.add(order, replay, length=3)         # before `buffers.add`
    replay = buffers.add(replay, transitions)
    drawn = priorities.sample(order, key, batch_size=32)
    batch = transitions.n_step(buffers.read(replay, drawn.row, length=3))
    weight = priorities.importance_weight(drawn, replay.size, exponent=0.4)
    order = priorities.update(order, drawn.row, priorities.proportional(error))
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from rlax_pref.buffers import Replay
from rlax_pref.types import Array, Key, Numeric


class Priorities(NamedTuple):
    """A binary tree of sums for each environment."""

    tree: Array  # [E, 2 W] float32: 0 is unused, 1 the root, i has children 2i, 2i + 1, W + row
    largest: Array  # [E] float32, what new rows get: the largest priority given so far


class Drawn(NamedTuple):
    """Rows, and how likely each was."""

    row: Array  # [E, n] int32
    probability: Array  # [E, n] of the row, among those of its environment


def init(num_envs: int, capacity: int) -> Priorities:
    """Nothing to draw yet; a first row will get priority 1.

    Args:
      num_envs: E, >= 1.
      capacity: rows per environment, as of the replay.

    Raises:
      ValueError: `num_envs` or `capacity` is not positive.
    """
    for name, number in {"num_envs": num_envs, "capacity": capacity}.items():
        if number < 1:
            raise ValueError(f"priorities.init: {name} must be at least 1, not {number}")
    width = 1 << (capacity - 1).bit_length()
    return Priorities(jnp.zeros((num_envs, 2 * width)), jnp.ones(num_envs))


def add(priorities: Priorities, replay: Replay, length: int = 1) -> Priorities:
    """Makes room for the row that `buffers.add` is about to write.

    The oldest row goes. Where windows of several steps are drawn, a row may be drawn once the
    steps that follow it are there too, and it gets the largest priority then.

    Args:
      priorities: of the rows.
      replay: the buffer *before* the row is added.
      length: steps of the windows that are drawn, at most the capacity.
    """
    capacity = jax.tree.leaves(replay.data)[0].shape[1]
    row = jnp.stack([replay.cursor, (replay.cursor - length + 1) % capacity], axis=-1)
    whole = replay.size + 1 >= length
    new = jnp.where(whole, priorities.largest, 0.0)
    old = jnp.zeros_like(new) if length > 1 else new
    tree = jax.vmap(_set)(priorities.tree, row, jnp.stack([old, new], axis=-1))
    return priorities._replace(tree=tree)


def from_rows(replay: Replay, length: int = 1) -> Priorities:
    """All rows of a buffer that was made of data alike: priority 1.

    Args:
      replay: the buffer; its oldest row is row 0.
      length: steps of the windows that are drawn.
    """
    num_envs, capacity = jax.tree.leaves(replay.data)[0].shape[:2]
    order = init(num_envs, capacity)
    row = jnp.broadcast_to(jnp.arange(capacity), (num_envs, capacity))
    whole = row < replay.size[:, None] - length + 1
    return order._replace(tree=jax.vmap(_set)(order.tree, row, whole.astype(jnp.float32)))


def update(priorities: Priorities, row: Array, priority: Array) -> Priorities:
    """Changes priorities, and remembers the largest.

    Args:
      priorities: of the rows.
      row: `[E, n]` rows as drawn. One that is drawn twice should get one priority.
      priority: `[E, n]` >= 0 and finite, e.g. from `proportional` or `lap`.

    Raises:
      AssertionError: while tracing, if the shapes differ.
    """
    chex.assert_equal_shape(
        (row, priority),
        custom_message="priorities.update: priority must be [num_envs, n] like row",
    )
    priority = jax.lax.stop_gradient(priority)
    return Priorities(
        tree=jax.vmap(_set)(priorities.tree, row, priority),
        largest=jnp.maximum(priorities.largest, priority.max(-1)),
    )


def sample(priorities: Priorities, key: Key, batch_size: int) -> Drawn:
    """Draws rows in proportion to their priorities, with replacement.

    The range of the sum is cut into n equal stretches and one point is drawn from each, so the
    draws of a batch spread out; each one alone still has the right probabilities.

    Args:
      priorities: of the rows. Where all are 0 there is nothing to draw: row 0 with probability 0.
      key: random key.
      batch_size: n, rows per environment.

    Returns:
      `[E, n]` rows that have a priority, and their probabilities.
    """
    num_envs, size = priorities.tree.shape
    depth = (size // 2).bit_length() - 1
    point = jax.random.uniform(key, (num_envs, batch_size))
    point = (jnp.arange(batch_size)[None] + point) / batch_size

    def descend(tree: Array, left_over: Array) -> tuple[Array, Array]:
        node = jnp.int32(1)
        for _ in range(depth):
            left, right = tree[2 * node], tree[2 * node + 1]
            goes_right = (left_over >= left) & (right > 0)  # never to where there is nothing
            left_over = jnp.where(goes_right, left_over - left, left_over)
            node = 2 * node + goes_right
        return node - size // 2, tree[node] / jnp.where(tree[1] > 0, tree[1], 1.0)

    each = jax.vmap(descend, in_axes=(None, 0))
    return Drawn(*jax.vmap(each)(priorities.tree, point * priorities.tree[:, 1:2]))


# Where priorities come from, and what becomes of them ---------------------------------------


def proportional(error: Array, exponent: Numeric = 0.5, epsilon: Numeric = 1e-6) -> Array:
    """Priorities by the size of the error: `(|error| + epsilon)^exponent`.

    Args:
      error: `[...]` TD errors, or the very losses that are minimised.
      exponent: 0 is uniform; the paper's alpha.
      epsilon: > 0, so that nothing is lost for ever.
    """
    return (jnp.abs(error) + epsilon) ** exponent


def lap(error: Array, exponent: Numeric = 0.4) -> Array:
    """Loss-adjusted priorities (Fujimoto et al., 2020, arXiv:2007.06049).

        max(|error|, 1)^exponent

    For a Huber loss with threshold 1 and no importance weights: small errors are drawn evenly
    because the loss treats them as squares, large ones often because it treats them linearly.

    Args:
      error: `[...]` TD errors.
      exponent: in [0, 1].
    """
    return jnp.maximum(jnp.abs(error), 1.0) ** exponent


def importance_weight(drawn: Drawn, num: Array, exponent: Numeric) -> Array:
    """What undoes the bias of unequal probabilities: `(num * probability)^-exponent / max`.

    Args:
      drawn: `[E, n]` rows and their probabilities.
      num: `[E]` rows that could have been drawn.
      exponent: 0 leaves the bias, 1 removes it; Rainbow goes from 0.4 to 1.

    Returns:
      `[E, n]` weights in [0, 1]; the largest of the batch is 1, which sharded devices agree on by
      one number.
    """
    likely = jnp.where(drawn.probability > 0, drawn.probability * num[:, None], 1.0)
    weight = likely**-exponent
    return weight / weight.max()


def _set(tree: Array, row: Array, priority: Array) -> Array:
    """One tree `[2 W]` with new priorities `[n]` at rows `[n]`, and the sums above them."""
    node = row + tree.shape[0] // 2
    tree = tree.at[node].set(priority)
    for _ in range((tree.shape[0] // 2).bit_length() - 1):
        node = node // 2
        tree = tree.at[node].set(tree[2 * node] + tree[2 * node + 1])
    return tree
