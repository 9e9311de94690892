"""Which way should the policy move? Each method returns a loss per sample, never reduced.

Policy gradients:
  reinforce: the policy gradient, as plain as it is.
  ppo_clip: the same until the policy has moved far enough.
  ppo_kl: the same with a price on moving instead.
  gspo: `ppo_clip` with one ratio for a whole response.
  cispo: the same with ratios that are capped, so that every token goes on learning.

Likelihoods, the more the heavier a sample weighs:
  nll: of what was done, from logits.
  weighted_nll: what all of these are made of.
  awr: weighted by exponentiated advantages.
  mpo: the same, among several actions in each state.
  vmpo: the same, among the better half of what was done.
  a_lol: weighted by advantages and clipped ratios; responses of a data set.
  oreal: successes imitated and failures avoided, each by their own mean.
  positive_nll: successes alone, beside another loss.
  flow_matching: for policies that carry noise to an action.

Regressions of log-ratios:
  squared_log_ratio: the square that they share.
  a_star_po: of responses, to rewards less the optimal value of the prompt.
  rebel: of responses, to rewards, relative to the others of a group.
  reg_grpo: the same of z-scores.
  step_dapo: of steps of reasoning, to their advantages.
  apa: of tokens, to their advantages.
  oreo: of tokens and what follows them, with the value that they need; offline.

Distillation of a teacher's whole distribution:
  dckd: imitated, on responses that were preferred and on those that were not.
  adpa: improved on, as far as the teacher itself has improved.

Divergences from an anchor, to add to a loss or to take from a reward:
  kl: estimated from samples.
  categorical_kl: exact, over all actions.

Policies that a critic improves:
  sac: soft actor-critic's, with entropy.
  sac_temperature: what the entropy is worth.
  td3_bc: the critic's gradient beside imitation.
  best_of_n: which of several proposals to imitate, if any.
  rerank: which of several proposals to act on.

Weights:
  exponential_weight: exponentiated advantages, for `weighted_nll`.
  mpo_weights, vmpo_weights: those of samples under a bound on their divergence.
  mpo_dual, vmpo_dual: losses of the temperature that meets the bound.

Bounds and prices on moving:
  kl_constraint: a bound on a divergence as a loss, with its multiplier.
  kl_hinge: a steep price on a divergence beyond a cutoff.
  adaptive_kl, ziegler_kl: the price of `ppo_kl`, set anew after each update.

Steps, in parameters:
  natural_gradient: the steepest one of a given divergence.
  trpo: that, shortened until it holds what it promised.

Bonuses, to subtract from a loss:
  entropy: of a categorical policy, from its logits.
  gaussian_entropy: of a diagonal Gaussian policy, from its log standard deviations.

Preferences between two responses, in their log-ratios to a reference:
  pairwise: any of these losses, by its name in TRL.
  completion: a response in the few numbers that they look at.
  dpo: the policy is its own reward model.
  cdpo, robust_dpo: the same where some labels are wrong.
  ipo: a square with a finite margin.
  hinge: no more than a margin.
  exo_pair: the divergence of `cdpo`, the other way round.
  nca_pair, bco_pair: each of the two by itself, as from a better policy, or as a thumb.
  apo_zero, apo_down: up or down with the winner, further down with the loser.
  aot, aot_unpaired: distributions of margins, quantile by quantile.
  discopop: what a language model came up with.
  rpo: dpo and imitation of the winner.
  aco: dpo that forgives losers which look good.
  tdpo1, tdpo2: dpo and a price on what the loser lost of the reference.
  sequential_divergence: that price, under several measures of risk (Ra-DPO).
  mapl: preferences between prompts.
  cpl, cpl_ranking: segments of behaviour instead of responses, and rankings of them.

The same without a reference:
  slic: a margin between log-probabilities.
  orpo: imitation and odds.
  simpo: log-probabilities of tokens.

Responses judged one by one:
  kto: thumbs up and down, against a reference point.
  kto_reference_point: what gains and losses are counted from.
  uft: demonstrations and scores as one regression.
  divergence_sft: demonstrations, by f-divergences.
  brain_weights: of samples on the way to a posterior, for `weighted_nll`.

Against the previous policy, where preferences may go in circles:
  dno: win rates as soft labels.
  gpo, sppo: regression to scores, and to win rates.
  tilted: the best policy within a divergence of an anchor, exactly.

Chains of denoising:
  d3po: dpo at each step.
  prdp: regression to differences of reward.

References:
  soup: the mean of two policies' parameters (SALSA).
"""

from rlax_pref.policies._a_lol import a_lol
from rlax_pref.policies._a_star_po import a_star_po
from rlax_pref.policies._aco import aco
from rlax_pref.policies._aot import aot, aot_unpaired
from rlax_pref.policies._apa import apa
from rlax_pref.policies._apo import apo_down, apo_zero
from rlax_pref.policies._awr import awr
from rlax_pref.policies._bco import bco_pair
from rlax_pref.policies._best_of_n import BestOfN, best_of_n, rerank
from rlax_pref.policies._brain import brain_weights
from rlax_pref.policies._cispo import cispo
from rlax_pref.policies._completion import Completion, completion
from rlax_pref.policies._cpl import cpl, cpl_ranking
from rlax_pref.policies._diffusion import d3po, prdp
from rlax_pref.policies._discopop import discopop
from rlax_pref.policies._distillation import adpa, dckd
from rlax_pref.policies._divergence_sft import divergence_sft
from rlax_pref.policies._dno import dno, tilted
from rlax_pref.policies._dpo import cdpo, dpo, robust_dpo
from rlax_pref.policies._entropy import entropy, gaussian_entropy
from rlax_pref.policies._exo import exo_pair
from rlax_pref.policies._flow_matching import flow_matching
from rlax_pref.policies._gpo import gpo, sppo
from rlax_pref.policies._gspo import gspo
from rlax_pref.policies._ipo import ipo
from rlax_pref.policies._kl import categorical_kl, kl
from rlax_pref.policies._kto import kto, kto_reference_point
from rlax_pref.policies._mapl import mapl
from rlax_pref.policies._mpo import kl_constraint, mpo, mpo_dual, mpo_weights
from rlax_pref.policies._natural_gradient import TrustRegionStep, natural_gradient, trpo
from rlax_pref.policies._nca import nca_pair
from rlax_pref.policies._nll import nll
from rlax_pref.policies._oreal import oreal
from rlax_pref.policies._oreo import OreoLosses, oreo
from rlax_pref.policies._orpo import orpo
from rlax_pref.policies._pairwise import pairwise
from rlax_pref.policies._positive_nll import positive_nll
from rlax_pref.policies._ppo_clip import ppo_clip
from rlax_pref.policies._ppo_kl import adaptive_kl, kl_hinge, ppo_kl, ziegler_kl
from rlax_pref.policies._rebel import rebel
from rlax_pref.policies._reg_grpo import reg_grpo
from rlax_pref.policies._reinforce import reinforce
from rlax_pref.policies._rpo import rpo
from rlax_pref.policies._sac import sac, sac_temperature
from rlax_pref.policies._salsa import soup
from rlax_pref.policies._simpo import simpo
from rlax_pref.policies._slic import hinge, slic
from rlax_pref.policies._squared_log_ratio import squared_log_ratio
from rlax_pref.policies._step_dapo import step_dapo
from rlax_pref.policies._td3_bc import td3_bc
from rlax_pref.policies._tdpo import sequential_divergence, tdpo1, tdpo2
from rlax_pref.policies._uft import uft
from rlax_pref.policies._vmpo import vmpo, vmpo_dual, vmpo_weights
from rlax_pref.policies._weighted_nll import exponential_weight, weighted_nll

__all__ = [
    "BestOfN",
    "Completion",
    "OreoLosses",
    "TrustRegionStep",
    "a_lol",
    "a_star_po",
    "aco",
    "adaptive_kl",
    "adpa",
    "aot",
    "aot_unpaired",
    "apa",
    "apo_down",
    "apo_zero",
    "awr",
    "bco_pair",
    "best_of_n",
    "brain_weights",
    "categorical_kl",
    "cdpo",
    "cispo",
    "completion",
    "cpl",
    "cpl_ranking",
    "d3po",
    "dckd",
    "discopop",
    "divergence_sft",
    "dno",
    "dpo",
    "entropy",
    "exo_pair",
    "exponential_weight",
    "flow_matching",
    "gaussian_entropy",
    "gpo",
    "gspo",
    "hinge",
    "ipo",
    "kl",
    "kl_constraint",
    "kl_hinge",
    "kto",
    "kto_reference_point",
    "mapl",
    "mpo",
    "mpo_dual",
    "mpo_weights",
    "natural_gradient",
    "nca_pair",
    "nll",
    "oreal",
    "oreo",
    "orpo",
    "pairwise",
    "positive_nll",
    "ppo_clip",
    "ppo_kl",
    "prdp",
    "rebel",
    "reg_grpo",
    "reinforce",
    "rerank",
    "robust_dpo",
    "rpo",
    "sac",
    "sac_temperature",
    "sequential_divergence",
    "simpo",
    "slic",
    "soup",
    "sppo",
    "squared_log_ratio",
    "step_dapo",
    "td3_bc",
    "tdpo1",
    "tdpo2",
    "tilted",
    "trpo",
    "uft",
    "vmpo",
    "vmpo_dual",
    "vmpo_weights",
    "weighted_nll",
    "ziegler_kl",
]
