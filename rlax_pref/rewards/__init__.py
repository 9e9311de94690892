"""What is rewarded?

Linear rewards `features @ w`, learned from choices between segments
  fit_partial_return    people compare what segments collect
  fit_regret            people compare what segments give away, where moves are certain; also the
                        change in expected return
  fit_general_regret    the same where moves may be random

The same reward in another form
  potential_shaping     changes values, but no advantage and no choice by regret

Their parts
  segment_features      what a linear reward sees of a segment
  policy_library        successor features of policies that are optimal for random rewards
  policy_library_value  the value of choosing well from a library, safely differentiable
"""

from rlax_pref.rewards._general_regret import fit_general_regret
from rlax_pref.rewards._library import Library, policy_library, policy_library_value
from rlax_pref.rewards._partial_return import fit_partial_return
from rlax_pref.rewards._regret import fit_regret
from rlax_pref.rewards._segment_features import segment_features
from rlax_pref.rewards._shaping import potential_shaping

__all__ = [
    "Library",
    "fit_general_regret",
    "fit_partial_return",
    "fit_regret",
    "policy_library",
    "policy_library_value",
    "potential_shaping",
    "segment_features",
]
