"""What can be chosen of agents that see more than observations; see `configs`."""

import dataclasses
from typing import Literal

from .fields import static
from .off_policy import DQN, Critic, OffPolicy, Replay

Utility = Literal["cvar", "homeostatic", "neutral"]


@dataclasses.dataclass(frozen=True)
class MRQ(OffPolicy):
    """MR.Q, features that foresee (Fujimoto et al., 2025, arXiv:2501.16142)."""

    num_steps: int = static(32)
    num_updates: int = static(128)
    num_encoder_updates: int = static(128)
    """Minibatches of the encoder; all its slow copies are renewed before them."""
    n_step: int = static(3)
    replay: Replay = static("lap")
    priority_exponent: float = 0.4
    hidden: tuple[int, ...] = static((128, 128))
    activation: str = static("elu")
    learning_rate: float = 3e-4
    """Step size of Adam for the critics and the policy,"""
    encoder_learning_rate: float = 1e-4
    """and for the encoder."""
    max_grad_norm: float = 20.0
    num_critics: int = static(2)
    """Of which the least is believed."""
    state_width: int = static(128)
    """Features of a state."""
    action_width: int = static(64)
    """Features of an action alone."""
    pair_width: int = static(128)
    """Features of a state and an action, of which critics and model are made."""
    horizon: int = static(5)
    """Steps that the model foresees, each from the last."""
    num_atoms: int = static(65)
    """Of the histogram of rewards, spaced by symexp from -22025 to 22025."""
    dynamics_weight: float = 1.0
    """Of the next features in the encoder's loss,"""
    reward_weight: float = 0.1
    """of the rewards,"""
    terminal_weight: float = 0.1
    """and of the ends, once there was one."""
    exploration: float = 0.2
    """Deviation of the noise on actions, where [-1, 1] is within bounds; half of it on one-hot
    actions."""
    smoothing: float = 0.2
    """Deviation of the noise on actions that the critics judge,"""
    smoothing_clip: float = 0.3
    """which goes no further than this; both halved on one-hot actions."""
    gumbel_temperature: float = 10.0
    """How soft discrete actions are while the policy learns."""
    saturation_cost: float = 1e-5
    """Price on the square of what goes into the policy's last activation."""


@dataclasses.dataclass(frozen=True)
class StockDQN(DQN):
    """D-eta-N, quantiles beside a stock (Pires et al., 2025, arXiv:2501.13028).

    Stocks are in units of the rewards that are learned from.
    """

    critic: Critic = static("quantiles")
    utility: Utility = static("cvar")
    """What the whole return is for: the mean of its worst share (cvar), to come to a target
    (homeostatic), or its mean (neutral)."""
    tau: float = 0.25
    """The worst share of returns, in (0, 1] (cvar);"""
    mean_weight: float = 0.0
    """how much their plain mean counts beside it, in [0, 1]."""
    target: float = 0.0
    """What the return should come to (homeostatic);"""
    power: int = static(1)
    """how much worse larger misses are: 1 or 2."""
    lowest_start: float = -10.0
    """Stocks that episodes begin with while it learns,"""
    highest_start: float = 10.0
    """between these two: minus the returns that may matter. The best is found at the end (cvar),"""
    num_starts: int = static(101)
    """among so many."""


AUGMENTED: dict[str, type] = {"mr_q": MRQ, "stock_dqn": StockDQN}
