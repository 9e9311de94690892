"""What can be chosen of agents that learn from responses that are there already; see `configs`.

Their methods are settings: each class below says in a few lines how it differs.
"""

import dataclasses
from typing import ClassVar, Literal

from .fields import static
from .tokens import Aggregation, TokenPolicy

Objective = Literal["nll", "a_lol", "oreo", "step_dapo", "ilql"]
Weight = Literal["one", "reward", "filter"]
Ratio = Literal["response", "token", "none"]


@dataclasses.dataclass(frozen=True)
class OfflineTokens(TokenPolicy):
    """Learning from responses that are there already. A step: one minibatch of them."""

    module: ClassVar[str] = "offline_tokens"

    num_envs: int = static(1024)
    """Responses in the data set."""
    batch_size: int = static(128)
    """Responses of a step; must divide num_envs."""
    num_judged: int = static(32)
    """Fresh responses to judge the policy by in each step; nothing is learned from them."""

    objective: Objective = static("nll")
    """What is minimised."""
    aggregation: Aggregation = static("token_mean")
    """How tokens are added up."""
    weight: Weight = static("one")
    """What the likelihood of a response weighs (nll): 1, its reward, or 1 where that is positive
    and 0 elsewhere."""
    ratio: Ratio = static("response")
    """Whose ratio to the first policy counts (a_lol)."""
    beta: float = 0.1
    """What a nat away from the first policy costs (oreo, step_dapo, a_lol), in units of reward;
    how much action values count when acting (ilql)."""
    clip: float = 0.9
    """How far a ratio may be from 1 (a_lol)."""
    num_references: int = static(16)
    """Responses of the first policy from which the value of a prompt is estimated (a_lol)."""
    num_actions: int = static(4)
    """Tokens to compare at each place (step_dapo)."""
    gap: float = 0.1
    """Places where their values differ by less are left out (step_dapo)."""
    discount: float = 0.99
    """What a reward one token later is worth (ilql)."""
    expectile: float = 0.7
    """Which expectile of the action values is the value (ilql)."""
    cql_weight: float = 0.1
    """How much tokens that are not in the data are held down (ilql)."""
    target_rate: float = 0.005
    """How fast targets follow (ilql)."""
    critic_learning_rate: float = 1e-3
    """Step size of critics."""
    critic_warm_up: int = 0
    """Steps in which only critics learn."""

    @property
    def env_steps(self) -> int:
        """Responses of one agent step: here a response is a step of the environment."""
        return self.batch_size


@dataclasses.dataclass(frozen=True)
class BC(OfflineTokens):
    """Behaviour cloning: maximum likelihood (Pomerleau, 1988)."""


@dataclasses.dataclass(frozen=True)
class FilteredBC(OfflineTokens):
    """Behaviour cloning of what was rewarded (Chen et al., 2021, arXiv:2106.01345)."""

    weight: Weight = static("filter")


@dataclasses.dataclass(frozen=True)
class WeightedBC(OfflineTokens):
    """Behaviour cloning, weighted by reward (Peters & Schaal, 2007)."""

    weight: Weight = static("reward")


@dataclasses.dataclass(frozen=True)
class ALoL(OfflineTokens):
    """Advantage leftover-lunch (Baheti et al., 2023, arXiv:2305.14718)."""

    objective: Objective = static("a_lol")
    aggregation: Aggregation = static("sequence_sum")
    beta: float = 0.0


@dataclasses.dataclass(frozen=True)
class OREO(OfflineTokens):
    """Offline reasoning optimisation (Wang et al., 2024, arXiv:2412.16145)."""

    objective: Objective = static("oreo")
    aggregation: Aggregation = static("sequence_mean")
    beta: float = 0.03


@dataclasses.dataclass(frozen=True)
class StepDAPO(OfflineTokens):
    """Direct advantage policy optimisation of steps (Liu et al., 2024, arXiv:2412.18279)."""

    objective: Objective = static("step_dapo")
    beta: float = 0.02
    critic_warm_up: int = 200


@dataclasses.dataclass(frozen=True)
class ILQL(OfflineTokens):
    """Implicit language Q-learning (Snell et al., 2022, arXiv:2206.11871)."""

    objective: Objective = static("ilql")
    beta: float = 16.0


OFFLINE_TOKENS: dict[str, type] = {
    "bc": BC,
    "filtered_bc": FilteredBC,
    "weighted_bc": WeightedBC,
    "a_lol": ALoL,
    "oreo": OREO,
    "step_dapo": StepDAPO,
    "ilql": ILQL,
}
