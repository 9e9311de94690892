"""How good is it?

Methods:
  likelihood      how well a score explains choices, with one free scale
  accuracy        the share of decided choices that a score calls right
  scaled_return   a mean return where uniform is 0 and optimal is 1
"""

from rlax_pref.metrics._accuracy import accuracy
from rlax_pref.metrics._likelihood import Likelihood, likelihood
from rlax_pref.metrics._scaled_return import scaled_return

__all__ = [
    "Likelihood",
    "accuracy",
    "likelihood",
    "scaled_return",
]
