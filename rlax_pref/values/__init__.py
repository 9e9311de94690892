"""What should the critic learn? Targets `[T, ...]` to regress to, and losses per sample.

Targets:
  lambda_returns: of state values, on policy.
  retrace: of action values, off policy.
  traces: the choices that make of it Retrace, Q(lambda), tree backup or importance sampling.

Losses:
  clipped_value_loss: squared error that gains nothing from moving far in one batch.
"""

from rlax_pref.values import traces
from rlax_pref.values._clipped_value_loss import clipped_value_loss
from rlax_pref.values._lambda_returns import lambda_returns
from rlax_pref.values._retrace import retrace

__all__ = [
    "clipped_value_loss",
    "lambda_returns",
    "retrace",
    "traces",
]
