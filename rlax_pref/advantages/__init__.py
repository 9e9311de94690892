"""How much better was this action? Each method returns advantages `[T, ...]`.

Methods:
  gae: exponentially weighted sum of the TD errors that follow an action.
  vtrace: the same when another policy acted, with clipped importance ratios.
  fit_optimal_advantage: a table of optimal advantages, learned from preferences.
"""

from rlax_pref.advantages._gae import gae
from rlax_pref.advantages._optimal_advantage import fit_optimal_advantage
from rlax_pref.advantages._vtrace import vtrace

__all__ = [
    "fit_optimal_advantage",
    "gae",
    "vtrace",
]
