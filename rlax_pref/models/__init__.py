"""What comes next? Models of an environment, learned from transitions or known.

A model is a function of one state and action: `model(obs [D], action, key) -> (obs [D], reward [],
terminated [])`. It may be learned, or be the environment itself.

  gaussian_nll: how unlikely outcomes are under a Gaussian model.
  bound_log_variance: keeps its deviations within bounds that are learned.
  fit_ensemble: several such models, learned from transitions.
  from_ensemble: the model that they are together.
  rollout: what a policy would do in a model.
"""

from rlax_pref.models._gaussian import (
    Ensemble,
    bound_log_variance,
    fit_ensemble,
    from_ensemble,
    gaussian_nll,
)
from rlax_pref.models._rollout import rollout

__all__ = [
    "Ensemble",
    "bound_log_variance",
    "fit_ensemble",
    "from_ensemble",
    "gaussian_nll",
    "rollout",
]
