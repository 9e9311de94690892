"""What can be chosen of agents that mistrust what data do not show; see `configs`."""

import dataclasses
from typing import ClassVar, Literal

from .fields import static
from .imitation import Imitation
from .off_policy import DQN, SAC, Encoded, Offline

Extraction = Literal["best_of_n", "advantage_weighted", "policy_gradient", "clone"]


@dataclasses.dataclass(frozen=True)
class DiscreteCQL(Offline, DQN):
    """Conservative Q-learning of discrete actions (Kumar et al., 2020, arXiv:2006.04779)."""

    module: ClassVar[str] = "dqn"

    cql_weight: float = 0.1


@dataclasses.dataclass(frozen=True)
class CQL(Offline, SAC):
    """Conservative Q-learning (Kumar et al., 2020, arXiv:2006.04779)."""

    cql_weight: float = 5.0
    """Price on values of actions that the data do not take."""
    num_samples: int = static(10)
    """Actions drawn at random, and as many of the policy, and as many of it one step later."""
    calibrate: bool = static(False)
    """Whether values of the policy's actions are left alone below what the data returned."""
    soft: bool = static(False)
    lagrange: bool = static(False)
    """Whether the price is learned, such that values of any actions exceed those of the data by"""
    target_gap: float = 5.0
    """no more than this, in units of return; `cql_weight` is the price to begin with."""


@dataclasses.dataclass(frozen=True)
class CalQL(CQL):
    """Calibrated Q-learning (Nakamoto et al., 2023, arXiv:2303.05479)."""

    module: ClassVar[str] = "cql"

    calibrate: bool = static(True)


@dataclasses.dataclass(frozen=True)
class RAVL(Offline, SAC):
    """Reach-aware value learning (Sims et al., 2024, arXiv:2402.12527)."""

    num_critics: int = static(10)
    """Of which the least is believed: where data say nothing they disagree."""
    diversity: float = 1.0
    """Price on critics that lean the same way."""
    horizon: int = static(5)
    """Steps of a rollout of the model; its cut is no end."""
    num_rollouts: int = static(800)
    """From states of the data, before each round of learning; a multiple of num_envs."""
    keep: int = static(5)
    """Rounds of learning for which rollouts are kept."""
    real_share: float = 0.05
    """Of a minibatch, of the data; the rest are rollouts."""
    num_models: int = static(7)
    """Models that are learned, unless one is given,"""
    num_elites: int = static(5)
    """of which those that foresee best are used."""
    model_hidden: tuple[int, ...] = static((128, 128))
    """Widths of the hidden layers of a model."""
    model_updates: int = static(4000)
    """Minibatches from which models learn, before anything else."""
    model_rate: float = 1e-3
    """Step size of Adam for models."""


@dataclasses.dataclass(frozen=True)
class DigiQ(Imitation):
    """Digi-Q (Bai et al., 2025, arXiv:2502.15760)."""

    module: ClassVar[str] = "digi_q"

    num_critics: int = static(2)
    """Of which the *largest* is believed."""
    target_rate: float = 0.005
    """How far the slow critics follow, each minibatch."""
    clone_updates: int = static(2000)
    """Minibatches from which the policy that proposes is cloned, before anything else."""
    extraction: Extraction = static("best_of_n")
    """How the policy is made of what the critics think: it imitates the best of some proposals
    (best_of_n), or what was done, the more the better it was (advantage_weighted), or in
    proportion to that (policy_gradient), or anyway (clone)."""
    num_proposals: int = static(16)
    """Of which one is what was done."""
    threshold: float = 0.1
    """The best proposal is imitated if it is better than behaviour by this, in units of return."""
    inverse_temperature: float = 20.0
    """How greedy advantage_weighted is: it multiplies advantages."""
    max_weight: float = 100.0
    """No step counts more than this for advantage_weighted."""


@dataclasses.dataclass(frozen=True)
class FittedQ(Offline, Encoded):
    """Fitted Q evaluation (Le et al., 2019, arXiv:1903.08738); of a policy, so not made by name."""

    num_critics: int = static(2)
    """Whose mean is believed."""
    target_rate: float = 0.005
    """How far the slow critics follow, each minibatch."""
    num_samples: int = static(16)
    """Actions of the policy that are averaged over where an estimate is asked for."""


OFFLINE: dict[str, type] = {
    "discrete_cql": DiscreteCQL,
    "cql": CQL,
    "cal_ql": CalQL,
    "ravl": RAVL,
    "digi_q": DigiQ,
}
