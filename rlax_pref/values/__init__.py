"""What should the critic learn? Targets `[T, ...]` to regress to, and losses per sample.

Losses:
  clipped_value_loss: squared error that gains nothing from moving far in one batch.
"""

from rlax_pref.values._clipped_value_loss import clipped_value_loss

__all__ = [
    "clipped_value_loss",
]
