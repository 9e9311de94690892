"""What can be chosen of agents that learn offline to reach goals, drawn in hindsight."""

import dataclasses
from typing import ClassVar

from .fields import static
from .off_policy import Offline, OffPolicy


@dataclasses.dataclass(frozen=True)
class Hindsight(Offline, OffPolicy):
    """What agents that learn from goals drawn in hindsight have in common."""

    hidden: tuple[int, ...] = static((128, 128))
    activation: str = static("gelu")
    learning_rate: float = 3e-4
    target_rate: float = 0.005
    """How fast slow copies follow, each minibatch."""
    p_current: float = 0.2
    """How often the goal of a value is where one is,"""
    p_trajectory: float = 0.5
    """and how often it is later on the trajectory; else it is anywhere."""
    tolerance: float = 0.0
    """A goal is reached where no number of the observation is further off than this."""


@dataclasses.dataclass(frozen=True)
class HIQL(Hindsight):
    """Hierarchical implicit Q-learning (Park et al., 2023, arXiv:2307.11949)."""

    num_features: int = static(10)
    """Numbers that name a subgoal."""
    subgoal_steps: int = static(25)
    """Steps from here to a subgoal."""
    expectile: float = 0.7
    """How optimistic values are, from 0.5 (the behaviour) to 1."""
    inverse_temperature_high: float = 3.0
    """How greedy the policy that sets subgoals is; 0 imitates,"""
    inverse_temperature_low: float = 3.0
    """and the one that goes there."""
    p_trajectory_high: float = 1.0
    """How often goals of the high policy are later on the trajectory; else they are anywhere."""
    greedy: bool = static(True)
    """Whether the low policy does what it thinks best, or draws from what it learned to do."""
    option_steps: int = static(0)
    """Steps that the value behind the high policy takes as one; 0: it is that of the low one."""
    p_trajectory_option: float = 0.5
    """How often goals of that value are later on the trajectory; else they are anywhere."""


@dataclasses.dataclass(frozen=True)
class OTA(HIQL):
    """Option-aware temporally abstracted values (Ahn et al., 2025, arXiv:2505.12737)."""

    module: ClassVar[str] = "hiql"

    p_trajectory_high: float = 0.5
    option_steps: int = static(5)


@dataclasses.dataclass(frozen=True)
class ICVF(Hindsight):
    """Intention-conditioned values (Ghosh et al., 2023, arXiv:2304.04782), as in V-PTR."""

    num_state: int = static(0)
    """Numbers of an observation that are of the state, the first ones. The others are not read. 0:
    half of them, which needs an environment with goals."""
    num_features: int = static(32)
    """Numbers that states are encoded as."""
    expectile: float = 0.9
    """How optimistic values are, from 0.5 (the behaviour) to 1."""
    p_same: float = 0.5
    """How often the outcome is what was intended."""


GOALS: dict[str, type] = {
    "hiql": HIQL,
    "ota": OTA,
    "icvf": ICVF,
}
