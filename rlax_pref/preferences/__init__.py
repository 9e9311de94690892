"""How do people choose between segments?

Scores: what a segment is worth to the person who chooses
  partial_return    the reward it collects
  regret            minus what it gave away, where moves are certain
  general_regret    minus what it gave away, in any process: the sum of optimal advantages
  expected_return   the reward it collects, and what can follow
  expressive        all three parts, freely weighted
  contrastive       how likely a policy acts as they do

Choices
  bradley_terry     how likely the first is preferred, as a log-probability
  logistic_loss     cross-entropy of choices, ties and soft labels included
  teacher           a scripted person of known taste

Pairs
  sample_segments   random behaviour in a finite process
  cut_segments      stretches of recorded behaviour
  resample          draws pairs, all or some kinds of them
  has_absorbing     which pairs step out of a terminal state
  disagreement      which to ask about, of several models
  doubt             which to ask about, of a single one

Learning
  fit               full-batch Adam on any model of the scores

Choices that may go in circles
  gpm               a score of one response against another
  gpm_scales        how much each of its circles matters
  win_rates         how often each sample wins

What to learn from, of samples with scores
  best_of_n         the best of each prompt's (RAFT)
  top_fraction      the best of all
  best_and_worst    the widest pair of each prompt's
  dno_pairs         all pairs that differ enough (DNO-Prct)
  dragon            a better and a worse batch, by a reward of batches
  along             scores of many rewards, in a direction (DPA)
  pareto            choices by many rewards that must agree
"""

from rlax_pref.preferences._bradley_terry import bradley_terry
from rlax_pref.preferences._contrastive import contrastive
from rlax_pref.preferences._cut_segments import cut_segments
from rlax_pref.preferences._expected_return import expected_return
from rlax_pref.preferences._expressive import expressive
from rlax_pref.preferences._fit import fit
from rlax_pref.preferences._gpm import gpm, gpm_scales, win_rates
from rlax_pref.preferences._logistic_loss import logistic_loss
from rlax_pref.preferences._partial_return import partial_return
from rlax_pref.preferences._query import disagreement, doubt
from rlax_pref.preferences._regret import general_regret, regret
from rlax_pref.preferences._resample import has_absorbing, resample
from rlax_pref.preferences._sample_segments import sample_segments
from rlax_pref.preferences._select import (
    Selected,
    SelectedPairs,
    along,
    best_and_worst,
    best_of_n,
    dno_pairs,
    dragon,
    pareto,
    top_fraction,
)
from rlax_pref.preferences._teacher import teacher

__all__ = [
    "Selected",
    "SelectedPairs",
    "along",
    "best_and_worst",
    "best_of_n",
    "bradley_terry",
    "contrastive",
    "cut_segments",
    "disagreement",
    "dno_pairs",
    "doubt",
    "dragon",
    "expected_return",
    "expressive",
    "fit",
    "general_regret",
    "gpm",
    "gpm_scales",
    "has_absorbing",
    "logistic_loss",
    "pareto",
    "partial_return",
    "regret",
    "resample",
    "sample_segments",
    "teacher",
    "top_fraction",
    "win_rates",
]
