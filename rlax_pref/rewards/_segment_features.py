"""What a linear reward sees of a segment."""

import jax.numpy as jnp

from rlax_pref.tabular import lookup
from rlax_pref.types import Array, Segments


def segment_features(features: Array, segments: Segments) -> Array:
    """The features that a segment collects in its live steps, added up.

    Args:
      features: `[S, A, F]` features of a step.
      segments: leaves lead with `[...]`.

    Returns:
      `[..., F]` sums: `segment_features(...) @ w` is the partial return under `features @ w`.
    """
    return jnp.sum(jnp.where(segments.live[..., None], lookup(features, segments), 0.0), axis=-2)
