"""How good is it?

Methods:
  likelihood      how well a score explains choices, with one free scale
  accuracy        the share of decided choices that a score calls right
  scaled_return   a mean return where uniform is 0 and optimal is 1

Of a critic
  explained_variance  the share of the returns' variance that it explains, by position if you like
  bias_by_suffix      its mean error by how many tokens are still to come
  weighted_variance   how much advantages vary, as a loss weighs their tokens
  auc                 how often it scores a success above a failure

Of pairs of responses:
  pairs                 rewards, margins, accuracies and log-probabilities, by TRL's names
  thumbs                the same of responses that were judged one by one
  pair_tokens           entropies, accuracies and logits of their tokens, the same
  perplexity_accuracy   the share of better answers that surprise less

Of sets of samples:
  frechet_distance      how far apart two Gaussians are
  moments               mean and covariance
  vendi                 how many different samples there are, in effect

Of a policy, from what another one did: a number a trajectory, whose mean is the estimate
  trajectory_is           importance sampling of whole trajectories
  per_decision_is         of rewards, by the decisions that led to them
  doubly_robust           a model, and importance sampling of its errors
  direct                  the model alone
  marginal_is             weights of visits rather than of decisions
  marginal_doubly_robust  a model, and marginal weights of its errors
  stationary_is           marginal weights of steps in any order
  minimax_weight          how wrong marginal weights are
  return_distribution     the law of returns
  kernel_log_ratio        ratios for a policy without chance
  fitted_q_evaluation     the model, by regression
  interval                how sure the mean is
  bootstrap               the same by resampling

Of such estimates
  sharpe_ratio            gain and risk of trying the k that look best
  regret_at_k             what the best of these k lacks
  top_k_values            what these k are worth

Of scores
  normalized_score        0 is random, 100 expert
  D4RL_REFERENCES         the returns of D4RL that are 0 and 100
"""

from rlax_pref.metrics._accuracy import accuracy
from rlax_pref.metrics._critic import (
    auc,
    bias_by_suffix,
    explained_variance,
    weighted_variance,
)
from rlax_pref.metrics._fitted_q import fitted_q_evaluation
from rlax_pref.metrics._interval import Interval, bootstrap, interval
from rlax_pref.metrics._likelihood import Likelihood, likelihood
from rlax_pref.metrics._normalized_score import D4RL_REFERENCES, normalized_score
from rlax_pref.metrics._off_policy import (
    direct,
    doubly_robust,
    kernel_log_ratio,
    marginal_doubly_robust,
    marginal_is,
    minimax_weight,
    per_decision_is,
    return_distribution,
    stationary_is,
    trajectory_is,
)
from rlax_pref.metrics._pairs import pair_tokens, pairs, perplexity_accuracy, thumbs
from rlax_pref.metrics._scaled_return import scaled_return
from rlax_pref.metrics._sets import frechet_distance, moments, vendi
from rlax_pref.metrics._sharpe_ratio import regret_at_k, sharpe_ratio, top_k_values

__all__ = [
    "D4RL_REFERENCES",
    "Interval",
    "Likelihood",
    "accuracy",
    "auc",
    "bias_by_suffix",
    "bootstrap",
    "direct",
    "doubly_robust",
    "explained_variance",
    "fitted_q_evaluation",
    "frechet_distance",
    "interval",
    "kernel_log_ratio",
    "likelihood",
    "marginal_doubly_robust",
    "marginal_is",
    "minimax_weight",
    "moments",
    "normalized_score",
    "pair_tokens",
    "pairs",
    "per_decision_is",
    "perplexity_accuracy",
    "regret_at_k",
    "return_distribution",
    "scaled_return",
    "sharpe_ratio",
    "stationary_is",
    "thumbs",
    "top_k_values",
    "trajectory_is",
    "vendi",
    "weighted_variance",
]
