"""How do people choose between segments?

Scores: what a segment is worth to the person who chooses
  partial_return    the reward it collects
  regret            minus what it gave away, where moves are certain
  general_regret    minus what it gave away, in any process: the sum of optimal advantages
  expected_return   the reward it collects, and what can follow
  expressive        all three parts, freely weighted

Choices
  bradley_terry     how likely the first is preferred, as a log-probability
  logistic_loss     cross-entropy of choices, ties and soft labels included
  teacher           a scripted person of known taste

Pairs
  sample_segments   random behaviour in a finite process
  resample          draws pairs, all or some kinds of them
  has_absorbing     which pairs step out of a terminal state

Learning
  fit               full-batch Adam on any model of the scores
"""

from rlax_pref.preferences._bradley_terry import bradley_terry
from rlax_pref.preferences._expected_return import expected_return
from rlax_pref.preferences._expressive import expressive
from rlax_pref.preferences._fit import fit
from rlax_pref.preferences._logistic_loss import logistic_loss
from rlax_pref.preferences._partial_return import partial_return
from rlax_pref.preferences._regret import general_regret, regret
from rlax_pref.preferences._resample import has_absorbing, resample
from rlax_pref.preferences._sample_segments import sample_segments
from rlax_pref.preferences._teacher import teacher

__all__ = [
    "bradley_terry",
    "expected_return",
    "expressive",
    "fit",
    "general_regret",
    "has_absorbing",
    "logistic_loss",
    "partial_return",
    "regret",
    "resample",
    "sample_segments",
    "teacher",
]
