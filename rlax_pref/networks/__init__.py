"""Networks as pairs of pure functions. Only this folder names the network and law libraries.

Network        `init(key, x) -> params` and `apply(params, x) -> output`
mlp            a multilayer perceptron
policy         a law of actions; `to_env` and `from_env` turn actions into other units
sampling_noise, sample_with  actions drawn ahead, many at once
value          one number
actor_critic   both
squashed_policy  a law of actions within bounds

ensemble            several networks as one
action_value        of observation and action
dueling             heads for the state and for what sets actions apart
implicit_quantiles  all quantiles of the return
encoded             of what an encoder makes of observations

TokenNetwork          of prompts and responses, in one pass or token by token
token_table           a table of outputs
token_mlp             a multilayer perceptron of all symbols so far
transformer           a causal transformer
decision_transformer  a transformer of trajectories

add_noise, draw_noise, without_noise  noise in weights
"""

from rlax_pref.networks._critics import action_value, dueling, ensemble, implicit_quantiles
from rlax_pref.networks._decision_transformer import decision_transformer
from rlax_pref.networks._encoded import encoded
from rlax_pref.networks._noise import add_noise, draw_noise, without_noise
from rlax_pref.networks._plain import (
    ACTIVATIONS,
    Network,
    actor_critic,
    from_env,
    mlp,
    policy,
    sample_with,
    sampling_noise,
    to_env,
    value,
)
from rlax_pref.networks._squashed import Squashed, squashed_policy, tanh_log_slope
from rlax_pref.networks._token_mlp import token_mlp
from rlax_pref.networks._tokens import TokenNetwork, token_table
from rlax_pref.networks._transformer import transformer

__all__ = [
    "ACTIVATIONS",
    "Network",
    "Squashed",
    "TokenNetwork",
    "action_value",
    "actor_critic",
    "add_noise",
    "decision_transformer",
    "draw_noise",
    "dueling",
    "encoded",
    "ensemble",
    "from_env",
    "implicit_quantiles",
    "mlp",
    "policy",
    "sample_with",
    "sampling_noise",
    "squashed_policy",
    "tanh_log_slope",
    "to_env",
    "token_mlp",
    "token_table",
    "transformer",
    "value",
    "without_noise",
]
