"""What follows from the order of transitions: where episodes end, and several steps as one."""

import jax
import jax.numpy as jnp

from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric, Transition


def survival(discount_t: Array, truncated_t: Array) -> Array:
    """Which steps of a window belong to the episode that it begins in.

        alive_k = prod over j < k of (1 - ended_j)     with ended = terminated or truncated

    The step that ends the episode still belongs to it, and so its reward counts; what comes
    after is another episode.

    Args:
      discount_t: `[..., n]` 0 where the episode terminated.
      truncated_t: `[..., n]` bool.

    Returns:
      `[..., n]` bool; the first is always True.

    Raises:
      AssertionError: while tracing, if the shapes differ.
    """
    assert_like("survival", discount_t=discount_t, truncated_t=truncated_t)
    goes_on = (discount_t != 0) & ~truncated_t.astype(bool)
    before = jnp.concatenate([jnp.ones_like(goes_on[..., :1]), goes_on[..., :-1]], axis=-1)
    return jnp.cumprod(before, axis=-1).astype(bool)


def n_step(window: Transition) -> Transition:
    """Several steps as one (Watkins, 1989; Sutton & Barto, 2018, chapter 7).

        r        = r_1 + discount_1 r_2 + ... + discount_1 ... discount_{k-1} r_k
        discount = discount_1 ... discount_k
        obs_t    = what step k reached

    with k = n, or less where the episode ends sooner: at a termination the discount is 0; at a
    truncation the critic is asked about the state that was cut off, with the discount so far.
    A one-step loss on the result is an n-step loss.

    Args:
      window: `[..., n]` steps in the order in which they were taken, so that row j + 1 follows
        row j unless an episode ended there. `buffers.read` makes such windows.

    Returns:
      `[...]` transitions. One is valid if all its steps are; `truncated_t` is that of step k.

    Raises:
      AssertionError: while tracing, naming the field whose shape differs from `r_t`.
    """
    r_t, discount_t = window.r_t, window.discount_t
    assert_like(
        "n_step",
        r_t=r_t,
        discount_t=discount_t,
        truncated_t=window.truncated_t,
        valid_t=window.valid_t,
    )
    if r_t.shape[-1] == 1:
        fields = Transition(*(getattr(window, name) for name in Transition._fields))
        step = jax.tree.map(lambda x: jnp.squeeze(x, r_t.ndim - 1), fields)
        return step._replace(valid_t=step.valid_t.astype(bool))
    alive = survival(discount_t, window.truncated_t)
    through = jnp.cumprod(jnp.where(alive, discount_t, 1.0), axis=-1)
    before = jnp.concatenate([jnp.ones_like(through[..., :1]), through[..., :-1]], axis=-1)
    last = alive.sum(-1) - 1

    def at_last(x: Array) -> Array:
        index = last.reshape(last.shape + (1,) * (x.ndim - last.ndim))
        return jnp.take_along_axis(x, index, axis=last.ndim).squeeze(last.ndim)

    def at_first(x: Array) -> Array:
        return jax.lax.index_in_dim(x, 0, axis=last.ndim, keepdims=False)

    return Transition(
        obs_tm1=jax.tree.map(at_first, window.obs_tm1),
        a_tm1=at_first(window.a_tm1),
        r_t=jnp.where(alive, before * r_t, 0.0).sum(-1),
        discount_t=through[..., -1],
        truncated_t=at_last(window.truncated_t),
        valid_t=(window.valid_t.astype(bool) | ~alive).all(-1),
        obs_t=jax.tree.map(at_last, window.obs_t),
    )


def trajectory_end(last: Array) -> Array:
    """For each row, the last row of the trajectory that it is a part of.

    Args:
      last: `[N, ...]` bool, a trajectory ends with this row (terminated, truncated, or the
        recording stopped). Of many trajectories one after the other; the last row ends one
        whatever it says.

    Returns:
      `[N, ...]` int32 indices along the first axis, never below their own.
    """
    num = last.shape[0]
    index = jnp.arange(num, dtype=jnp.int32).reshape((num,) + (1,) * (last.ndim - 1))
    end = jnp.where(last.astype(bool), index, num - 1)
    return jax.lax.cummin(end, axis=0, reverse=True)


def trajectory_start(last: Array) -> Array:
    """For each row, the first row of the trajectory that it is a part of.

    Args:
      last: `[N, ...]` bool, a trajectory ends with this row.

    Returns:
      `[N, ...]` int32 indices along the first axis, never above their own.
    """
    num = last.shape[0]
    index = jnp.arange(num, dtype=jnp.int32).reshape((num,) + (1,) * (last.ndim - 1))
    first = jnp.concatenate([jnp.ones_like(last[:1]), last[:-1]]).astype(bool)
    return jax.lax.cummax(jnp.where(first, index, 0), axis=0)


def best_trajectories(data: Transition, share: Numeric) -> Transition:
    """The trajectories of the largest return, over and over, as many rows as there were.

    Without discount. They stay whole and in order, so what is drawn from the result evenly is
    drawn evenly from the best, and windows of it are windows of theirs.

    Args:
      data: `[N, ...]` steps of many trajectories, one after the other.
      share: of the trajectories, in (0, 1]; rounded down, but the best one is always there. Of
        equals, those that come first. May be traced: shapes do not depend on it.

    Returns:
      `[N, ...]`; the last row ends a trajectory.
    """
    num = data.r_t.shape[0]
    index = jnp.arange(num, dtype=jnp.int32)
    data = jax.tree.map(jnp.asarray, data)
    end = trajectory_end((data.discount_t == 0) | data.truncated_t.astype(bool))
    ends = end == index
    total = jax.ops.segment_sum(data.r_t, end, num)
    rank = jnp.argsort(jnp.argsort(jnp.where(ends, -total, jnp.inf)))
    kept = rank[end] < jnp.maximum(jnp.floor(share * ends.sum() + 1e-4), 1.0)
    row = jnp.argsort(~kept)[index % kept.sum()]
    last = ends & (data.discount_t != 0)
    chosen = data._replace(truncated_t=data.truncated_t.astype(bool) | last)
    return jax.tree.map(lambda x: x[row], chosen)


def context(row: Array, start: Array, length: int) -> tuple[Array, Array]:
    """The rows that lead up to each row, as a sequence model sees them.

    They begin at the left, so what is missing near the start of a trajectory is missing on the
    right, where a causal model does not look.

    Args:
      row: `[...]` int32, the last of each context.
      start: `[...]` int32, the first rows of their trajectories.
      length: K, rows of a context.

    Returns:
      `[..., K]` int32 rows in the order of time, and `[..., K]` bool whether they are there; those
      that are not repeat the last one.
    """
    first = jnp.maximum(row - length + 1, start)
    rows = jnp.add.outer(first, jnp.arange(length))
    return jnp.minimum(rows, row[..., None]), rows <= row[..., None]
