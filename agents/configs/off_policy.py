"""What can be chosen of agents that learn from stored steps, online or offline; see `configs`."""

import dataclasses
from typing import ClassVar, Literal

from .fields import static

Replay = Literal["uniform", "prioritized", "lap"]
Critic = Literal["expected", "c51", "hl_gauss", "two_hot", "quantiles", "implicit_quantiles"]


@dataclasses.dataclass(frozen=True)
class OffPolicy:
    """What agents that learn from stored steps have in common."""

    num_envs: int = static(8)
    """Environments that act at once. Each has a store of its own."""
    num_steps: int = static(1)
    """Steps that each environment takes between two rounds of learning."""
    num_updates: int = static(1)
    """Minibatches of a round of learning."""
    batch_size: int = static(128)
    """Steps of a minibatch; must be a multiple of num_envs."""
    capacity: int = static(100_000)
    """Steps that are kept, of all environments together; must be a multiple of num_envs."""
    warm_up: int = static(1000)
    """Random actions to begin with, of all environments together. Offline they fill the store."""
    collect: bool = static(True)
    """Whether what the agent does joins the store; if not it learns offline and only reports."""
    n_step: int = static(1)
    """Steps that are taken as one."""
    replay: Replay = static("uniform")
    """uniform, prioritized (by the error, with weights against the bias) or lap (without)."""
    priority_exponent: float = 0.5
    """How much more a larger error is drawn; 0 is uniform."""
    importance_exponent: float = 0.5
    """How much of the bias of priorities is undone; 1 is all (prioritized)."""
    hidden: tuple[int, ...] = static((64, 64))
    """Widths of the hidden layers of each network."""
    activation: str = static("relu")
    """elu, gelu, relu, silu or tanh."""
    dtype: str = static("float32")
    """What networks compute in: float32, bfloat16 or float16. Parameters, statistics, outputs and
    losses are float32 all the same."""
    normalize_obs: bool = static(False)
    """Shift and scale observations by the mean and variance of what was stored."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    adam_epsilon: float = 1e-8
    """Keeps Adam's steps small where gradients are tiny."""
    max_grad_norm: float = float("inf")
    """Gradients longer than this are shortened to it."""
    discount: float = 0.99
    """Gamma: what a reward one step later is worth."""
    reward_scale: float = 1.0
    """Rewards are multiplied by this before anything is learned from them,"""
    reward_shift: float = 0.0
    """and then this is added to them."""

    @property
    def env_steps(self) -> int:
        """Environment steps that one agent step takes; `warm_up` come before the first one."""
        return self.num_envs * self.num_steps


@dataclasses.dataclass(frozen=True)
class Offline:
    """What agents set otherwise that learn from given data: to stand first among the bases."""

    num_envs: int = static(4)
    num_updates: int = static(16)
    batch_size: int = static(256)
    warm_up: int = static(10_000)
    collect: bool = static(False)


@dataclasses.dataclass(frozen=True)
class Encoded(OffPolicy):
    """What agents have in common whose networks may begin with an encoder; see `pretraining`."""

    encoder: tuple[int, ...] = static(())
    """Widths of its layers, the last of which are features; without any there is no encoder."""
    encoder_inputs: int = static(0)
    """Numbers of an observation that it sees, from the first on; the others pass by. 0 is all."""
    encoder_activation: str = static("gelu")
    """Of its layers, each of which is normalised first."""
    freeze_encoder: bool = static(False)
    """Whether it stays as it begins."""


@dataclasses.dataclass(frozen=True)
class DQN(Encoded):
    """Deep Q-networks (Mnih et al., 2015, doi:10.1038/nature14236)."""

    num_updates: int = static(4)
    capacity: int = static(48_000)
    warm_up: int = static(4_000)
    hidden: tuple[int, ...] = static((128, 128))
    activation: str = static("silu")
    learning_rate: float = 5e-4
    max_grad_norm: float = 10.0
    target_rate: float = 0.002
    """How far its slow copy follows the critic; 1 is all the way,"""
    target_period: float = 1.0
    """once in so many minibatches."""
    double: bool = static(True)
    """The critic that learns chooses the next action, and its slow copy judges it."""
    dueling: bool = static(False)
    """Heads for the state and for what sets actions apart."""
    critic: Critic = static("expected")
    """What is learned of returns: their mean, as a number (expected) or a class (hl_gauss,
    two_hot), or their law (c51, quantiles, implicit_quantiles)."""
    huber: float = float("inf")
    """Errors of `expected` beyond this count by their size, not their square. What is learned is
    then no mean: rare falls count for less, and values come out too high. inf squares them all."""
    num_atoms: int = static(51)
    """Bins, atoms or quantiles of the critic."""
    support: tuple[float, float] = static((-10.0, 10.0))
    """Smallest and largest return that a histogram knows."""
    cql_weight: float = 0.0
    """Price on values of actions that the data do not take; for learning offline."""
    noisy: bool = static(False)
    """Explore by noise in the critic's weights instead of random actions."""
    epsilon: float = 1.0
    """How often actions are random, to begin with,"""
    epsilon_end: float = 0.05
    """and in the end."""
    epsilon_steps: float = 50_000.0
    """Environment steps in between, all environments together."""


@dataclasses.dataclass(frozen=True)
class Rainbow(DQN):
    """Rainbow, all of DQN's improvements at once (Hessel et al., 2017, arXiv:1710.02298)."""

    module: ClassVar[str] = "dqn"

    n_step: int = static(3)
    replay: Replay = static("prioritized")
    adam_epsilon: float = 1.5e-4
    dueling: bool = static(True)
    critic: Critic = static("c51")
    noisy: bool = static(True)


@dataclasses.dataclass(frozen=True)
class SAC(Encoded):
    """Soft actor-critic (Haarnoja et al., 2018, arXiv:1812.05905)."""

    num_updates: int = static(8)
    learning_rate: float = 1e-3
    num_critics: int = static(2)
    """Of which the least is believed."""
    target_rate: float = 0.005
    """How fast the slow critics follow, each minibatch."""
    temperature: float = 1.0
    """Of the entropy bonus, to begin with."""
    target_entropy: float = -1.0
    """In nats for each dimension of the action; the temperature is set to keep it."""
    soft: bool = static(True)
    """Whether the entropy of what follows is part of its value."""


@dataclasses.dataclass(frozen=True)
class TD3(Encoded):
    """Twin delayed deterministic policy gradients (Fujimoto et al., 2018, arXiv:1802.09477)."""

    num_updates: int = static(8)
    num_critics: int = static(2)
    """Of which the least is believed."""
    target_rate: float = 0.005
    """How fast the slow networks follow, each minibatch."""
    policy_period: int = static(2)
    """Minibatches of the critics to one of the policy."""
    exploration: float = 0.1
    """Deviation of the noise on actions, where [-1, 1] is within bounds."""
    smoothing: float = 0.2
    """Deviation of the noise on actions that the critics judge,"""
    smoothing_clip: float = 0.5
    """which goes no further than this."""
    imitate: bool = static(False)
    """Whether the policy also keeps to the actions of the data."""
    alpha: float = 2.5
    """How much values count beside imitation."""


@dataclasses.dataclass(frozen=True)
class TD3BC(Offline, TD3):
    """TD3+BC, offline (Fujimoto & Gu, 2021, arXiv:2106.06860)."""

    module: ClassVar[str] = "td3"

    normalize_obs: bool = static(True)
    imitate: bool = static(True)


OFF_POLICY: dict[str, type] = {
    "dqn": DQN,
    "rainbow": Rainbow,
    "sac": SAC,
    "td3": TD3,
    "td3_bc": TD3BC,
}
