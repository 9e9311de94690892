"""How much better was this action? Each method returns advantages `[T, ...]`.

Methods:
  gae: exponentially weighted sum of the TD errors that follow an action.
"""

from rlax_pref.advantages._gae import gae

__all__ = [
    "gae",
]
