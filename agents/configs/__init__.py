"""What can be chosen, agent by agent.

  control         agents that act in environments step by step, and learn from what they just did
  off_policy      the same, and learn from steps that were stored or given
  augmented       the same, and see more than observations: features that foresee, stocks
  imitation       agents that imitate what was given, the more what turned out well
  offline         agents that mistrust what data do not show
  goals           agents that learn from what was given to reach goals
  sequence        agents that see what was given as sequences
  tokens          agents that answer prompts, and learn from what their responses earn
  offline_tokens  the same, and learn from responses that are there already
  preferences     the same, from preferences between responses
  segments        agents that act, and learn from choices between segments of behaviour
  denoising       agents that make actions from noise, and learn from preferences between them

Plain frozen dataclasses that import nothing heavy: the same class is the Python API, the command
line (whose `--help` must not wait for JAX) and what a run saves. Numbers are leaves of a pytree,
so a new value recompiles nothing and `jax.vmap` over a batch of configs is a sweep; fields made
by `static` shape the program.
"""

from .augmented import AUGMENTED, MRQ, StockDQN
from .control import AWR, CONTROL, PPO, TRPO, VMPO, OnPolicy
from .denoising import DENOISING, Denoising
from .goals import GOALS, HIQL, ICVF, OTA, Hindsight
from .imitation import AWAC, IMITATION, IQL, ODICE, XQL, BehaviourCloning, Imitation
from .off_policy import DQN, OFF_POLICY, SAC, TD3, TD3BC, OffPolicy, Rainbow
from .offline import CQL, OFFLINE, RAVL, CalQL, DigiQ, DiscreteCQL, FittedQ
from .offline_tokens import OFFLINE_TOKENS, OfflineTokens
from .preferences import PREFERENCE_TOKENS, PreferenceTokens
from .segments import PREFERENCE_SEGMENTS, PreferenceSegments
from .sequence import SEQUENCE, DecisionTransformer
from .tokens import TOKENS, Tokens

__all__ = [
    "AGENTS",
    "AUGMENTED",
    "AWAC",
    "AWR",
    "CQL",
    "DENOISING",
    "DQN",
    "GOALS",
    "HIQL",
    "ICVF",
    "IMITATION",
    "IQL",
    "MRQ",
    "ODICE",
    "OFFLINE",
    "OFFLINE_TOKENS",
    "OFF_POLICY",
    "OTA",
    "PPO",
    "PREFERENCE_SEGMENTS",
    "PREFERENCE_TOKENS",
    "RAVL",
    "SAC",
    "SEQUENCE",
    "TD3",
    "TD3BC",
    "TOKENS",
    "TRPO",
    "VMPO",
    "XQL",
    "BehaviourCloning",
    "CalQL",
    "DecisionTransformer",
    "Denoising",
    "DigiQ",
    "DiscreteCQL",
    "FittedQ",
    "Hindsight",
    "Imitation",
    "OffPolicy",
    "OfflineTokens",
    "OnPolicy",
    "PreferenceSegments",
    "PreferenceTokens",
    "Rainbow",
    "StockDQN",
    "Tokens",
]

AGENTS: dict[str, type] = (
    CONTROL
    | OFF_POLICY
    | AUGMENTED
    | IMITATION
    | OFFLINE
    | GOALS
    | SEQUENCE
    | PREFERENCE_SEGMENTS
    | DENOISING
    | TOKENS
    | OFFLINE_TOKENS
    | PREFERENCE_TOKENS
)
"""Names of agents, and the settings each of them has."""
