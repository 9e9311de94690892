"""Which pairs to learn from (Knox et al., 2023, arXiv:2310.02456)."""

import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Key, Preferences, Segments


def has_absorbing(segments: Segments) -> Array:
    """Which pairs contain a step out of a terminal state (Knox et al., 2023, arXiv:2310.02456).

    A segment that ends by entering a terminal state has no such step; one that goes on does.

    Args:
      segments: leaves lead with `[N, 2]`.

    Returns:
      `[N]` bool.
    """
    return ~jnp.all(segments.live, axis=(-2, -1))


def resample(
    key: Key, preferences: Preferences, num: int, *, keep: Array | None = None
) -> Preferences:
    """Draws pairs from a larger set, or from a part of it (Knox et al., 2023, arXiv:2310.02456).

    Every eligible pair is drawn once before any is drawn twice. How many are eligible may differ
    from data set to data set, while the number drawn, a shape, stays the same:

        keep = ~preferences.has_absorbing(pairs.segments)
        without = preferences.resample(key, pairs, 3000, keep=keep)

    Args:
      key: for the order.
      preferences: N pairs.
      num: how many pairs to draw.
      keep: `[N]` bool, which are eligible; by default all. If none is, all weights returned are 0.

    Returns:
      `Preferences` with `num` pairs.
    """
    total = preferences.p_first.shape[0]
    keep = jnp.ones(total, bool) if keep is None else keep
    shuffled = jnp.where(keep, jax.random.uniform(key, (total,)), 2.0).argsort()
    chosen = shuffled[jnp.arange(num) % jnp.maximum(keep.sum(), 1)]
    drawn: Preferences = jax.tree.map(lambda x: x[chosen], preferences)
    return drawn._replace(weight=drawn.weight * keep[chosen])
