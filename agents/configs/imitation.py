"""What can be chosen of agents that imitate data, the more what turned out well; see `configs`."""

import dataclasses
from typing import ClassVar

from .fields import static
from .off_policy import Encoded, Offline


@dataclasses.dataclass(frozen=True)
class Imitation(Offline, Encoded):
    """What agents that imitate have in common: they learn from what is given."""

    module: ClassVar[str] = "imitation"

    normalize_obs: bool = static(True)
    decay_updates: float = float("inf")
    """Minibatches in which the policy's step size falls to 0, along a cosine."""


@dataclasses.dataclass(frozen=True)
class BehaviourCloning(Imitation):
    """Behavioural cloning (Pomerleau, 1991, Neural Computation 3:88-97)."""

    share: float = 1.0
    """Only this share of the trajectories is imitated, those of the largest return: 0.1 is the
    10%BC of Chen et al. (2021), arXiv:2106.01345."""


@dataclasses.dataclass(frozen=True)
class Judged(Imitation):
    """What agents have in common that judge what they imitate."""

    num_critics: int = static(2)
    """Of which the least is believed."""
    target_rate: float = 0.005
    """How far the slow critics follow, each minibatch."""
    layer_norm: bool = static(False)
    """Whether hidden layers of the value of states are normalised."""
    max_weight: float = 100.0
    """No step counts more than this for the policy."""


@dataclasses.dataclass(frozen=True)
class IQL(Judged):
    """Implicit Q-learning (Kostrikov et al., 2021, arXiv:2110.06169)."""

    tau: float = 0.7
    """Which expectile of its actions a state is worth; 0.5 is their mean, 1 the best of them."""
    inverse_temperature: float = 3.0
    """How greedy the policy is: it multiplies advantages, so it is in 1 / units of return."""


@dataclasses.dataclass(frozen=True)
class XQL(Judged):
    """Extreme Q-learning (Garg et al., 2023, arXiv:2301.02328)."""

    layer_norm: bool = static(True)
    temperature: float = 1.0
    """In units of return; as it falls to 0, a state is worth its best action."""
    inverse_temperature: float = 3.0
    """How greedy the policy is: it multiplies advantages, so it is in 1 / units of return."""
    max_error: float = 20.0
    """Errors of critics beyond this count in proportion, not squared."""


@dataclasses.dataclass(frozen=True)
class AWAC(Judged):
    """Advantage-weighted actor-critic (Nair et al., 2020, arXiv:2006.09359)."""

    inverse_temperature: float = 1.0
    """How greedy the policy is: it multiplies advantages, so it is in 1 / units of return."""


@dataclasses.dataclass(frozen=True)
class ODICE(Judged):
    """ODICE, values by an orthogonal gradient (Mao et al., 2024, arXiv:2402.00348)."""

    layer_norm: bool = static(True)
    lambda_: float = 0.6
    """Between 0 and 1; larger leans to better actions."""
    eta: float = 1.0
    """How much a state's value is taught by the state before it; 0 is the semi-gradient."""
    project: bool = static(True)
    """Whether what teaches a state by the one before it may not oppose what teaches it by the one
    after it; if not, and eta is 1, that is the true gradient."""


IMITATION: dict[str, type] = {
    "behaviour_cloning": BehaviourCloning,
    "iql": IQL,
    "xql": XQL,
    "awac": AWAC,
    "odice": ODICE,
}
