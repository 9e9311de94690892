"""What can be chosen of agents that act in environments step by step; see `configs`."""

import dataclasses

from .fields import static


@dataclasses.dataclass(frozen=True)
class OnPolicy:
    """What agents that learn from their own latest behaviour have in common."""

    num_envs: int = static(16)
    """Environments that act at once."""
    num_steps: int = static(128)
    """Steps that each environment takes between two updates."""
    num_epochs: int = static(4)
    """Passes over the data of one update."""
    num_minibatches: int = static(4)
    """Minibatches of a pass; must divide num_steps."""
    hidden: tuple[int, ...] = static((64, 64))
    """Widths of the hidden layers, of the policy and of the value network."""
    activation: str = static("tanh")
    """elu, gelu, relu, silu or tanh."""
    dtype: str = static("float32")
    """What networks compute in: float32, bfloat16 or float16. Parameters, statistics, outputs and
    losses are float32 all the same."""
    normalize_obs: bool = static(True)
    """Shift and scale observations by their running mean and variance."""
    normalize_reward: bool = static(True)
    """Divide rewards by the running standard deviation of the discounted return."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    anneal_updates: float = 0.0
    """Updates over which the step size falls to zero in a line; 0 keeps it."""
    max_grad_norm: float = 0.5
    """Gradients longer than this are shortened to it."""
    discount: float = 0.99
    """Gamma: what a reward one step later is worth."""
    lambda_: float = 0.95
    """Of generalised advantage estimation: 0 is one-step TD, 1 is Monte Carlo."""

    @property
    def env_steps(self) -> int:
        """Environment steps that one agent step takes."""
        return self.num_envs * self.num_steps


@dataclasses.dataclass(frozen=True)
class PPO(OnPolicy):
    """Proximal policy optimisation (Schulman et al., 2017, arXiv:1707.06347)."""

    clip: float = 0.2
    """Epsilon: how far a probability ratio may profit from leaving 1."""
    value_clip: float = float("inf")
    """How far a value may move in one update; infinite does not clip."""
    value_weight: float = 0.5
    """Weight of the value loss."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus."""


@dataclasses.dataclass(frozen=True)
class TRPO(OnPolicy):
    """Trust region policy optimisation (Schulman et al., 2015, arXiv:1502.05477).

    Passes, minibatches and step size are those of the critic's fit.
    """

    num_epochs: int = static(5)
    lambda_: float = 0.98
    max_kl: float = 0.01
    """How far the policy may move in one update, in nats."""
    num_iterations: int = static(10)
    """Of conjugate gradients."""
    damping: float = 0.1
    """Added to the diagonal of the Fisher matrix."""
    max_kl_ratio: float = 1.0
    """The true divergence may be so many times max_kl: 1.5 in common code, inf to not look."""


@dataclasses.dataclass(frozen=True)
class VMPO(OnPolicy):
    """On-policy maximum a posteriori optimisation, V-MPO (Song et al., 2020, arXiv:1909.12238)."""

    epsilon: float = 0.1
    """KL divergence of the weights of samples from equal ones, in nats."""
    max_kl: float = 0.01
    """How far the policy should move in one update, in nats."""
    temperature: float = 1.0
    """Of the weights, to begin with."""
    multiplier: float = 5.0
    """Price of moving, to begin with."""
    value_weight: float = 0.5
    """Weight of the value loss."""


@dataclasses.dataclass(frozen=True)
class AWR(OnPolicy):
    """Advantage-weighted regression (Peng et al., 2019, arXiv:1910.00177)."""

    lambda_: float = 0.98
    temperature: float = 1.0
    """How much better, in standard deviations of the advantage, makes e times as heavy."""
    cap: float = 20.0
    """No sample weighs more."""
    value_weight: float = 0.5
    """Weight of the value loss."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus."""


CONTROL: dict[str, type] = {
    "awr": AWR,
    "ppo": PPO,
    "trpo": TRPO,
    "vmpo": VMPO,
}
