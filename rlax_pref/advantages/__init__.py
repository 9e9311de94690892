"""How much better was this action? Each method returns advantages `[T, ...]`.

Methods:
  gae: exponentially weighted sum of the TD errors that follow an action.
  fit_optimal_advantage: a table of optimal advantages, learned from preferences.
"""

from rlax_pref.advantages._gae import gae
from rlax_pref.advantages._optimal_advantage import fit_optimal_advantage

__all__ = [
    "fit_optimal_advantage",
    "gae",
]
