"""What can be chosen of agents whose policies denoise; see `configs`."""

import dataclasses
from typing import ClassVar, Literal

from .fields import static
from .preferences import Reference

Loss = Literal["d3po", "prdp", "dpo", "kto", "nll", "reinforce"]
Selection = Literal["pair", "best_and_worst", "sets"]
Score = Literal["sample", "set"]


@dataclasses.dataclass(frozen=True)
class Denoising:
    """Learning to denoise to what is preferred. A step: one minibatch of observations."""

    module: ClassVar[str] = "denoising"

    num_steps: int = static(10)
    """Steps from noise to an action."""
    least_std: float = 0.05
    """Of the noise of a step, where half the range of actions is 1."""
    hidden: tuple[int, ...] = static((64, 64))
    """Widths of the hidden layers."""
    activation: str = static("silu")
    """elu, gelu, relu, silu or tanh."""
    dtype: str = static("float32")
    """What networks compute in: float32, bfloat16 or float16. Parameters, statistics, outputs and
    losses are float32 all the same."""
    warm_up: int = static(2000)
    """Steps of learning to denoise what the environment demonstrates, before anything else."""
    warm_up_batch: int = static(256)
    """Demonstrations in each of them."""
    warm_up_learning_rate: float = 2e-3
    """Step size of Adam in them, which falls to 0."""
    learning_rate: float = 3e-4
    """Step size of Adam."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are shortened to it."""

    num_envs: int = static(256)
    """Observations in the data set."""
    group_size: int = static(2)
    """Actions for each observation."""
    batch_size: int = static(64)
    """Observations of a step; must divide num_envs."""
    resample_every: int = static(4)
    """Steps after which the policy acts on new observations, which replace the data; 0: never."""
    stay: float = 0.0
    """Share of the data that is not replaced then."""
    num_judged: int = static(256)
    """Fresh actions to judge the policy by in each step; nothing is learned from them."""
    noiseless: bool = static(True)
    """Whether the judge of pairs always prefers what earns more, and calls equals equal."""
    label_temperature: float = 1.0
    """Of a judge who errs, in units of reward: the Bradley-Terry model."""

    loss: Loss = static("d3po")
    """Of the chains that made the actions: d3po, prdp, reinforce. Of chains that add noise to
    them: dpo (of pairs), kto (of what is wanted or not), nll (the best is imitated)."""
    selection: Selection = static("pair")
    """What is compared (d3po, dpo, kto): the first two of a group, its best and worst, or two
    halves, which swap actions until one is a better set."""
    score: Score = static("sample")
    """Whether a set is worth the mean reward of its actions, or is scored as a whole."""
    reference: Reference = static("first")
    """What log-ratios are taken to: the policy that was warmed up, that which made the data
    (previous), or a slow copy."""
    reference_rate: float = 0.01
    """How fast a slow copy follows."""
    beta: float = 0.1
    """What a nat costs, in units of reward; see the loss."""
    epsilon: float = 0.1
    """How far a step's ratio may go from 1 (d3po), or its logarithm from where it was (prdp)."""

    @property
    def env_steps(self) -> int:
        """Actions of one agent step: here an action is an episode."""
        return self.batch_size * self.group_size


@dataclasses.dataclass(frozen=True)
class D3PO(Denoising):
    """Direct preference for denoising diffusion (Yang et al., 2023, arXiv:2311.13231)."""


@dataclasses.dataclass(frozen=True)
class PRDP(Denoising):
    """Proximal reward difference prediction (Deng et al., 2024, arXiv:2402.08714)."""

    group_size: int = static(4)
    loss: Loss = static("prdp")


@dataclasses.dataclass(frozen=True)
class DRAGON(Denoising):
    """Distributional rewards from swapped batches (Bai et al., 2025, arXiv:2504.15217)."""

    num_envs: int = static(32)
    group_size: int = static(32)
    batch_size: int = static(8)
    loss: Loss = static("dpo")
    selection: Selection = static("sets")
    score: Score = static("set")


@dataclasses.dataclass(frozen=True)
class DDPO(Denoising):
    """The policy gradient of denoising, DDPO (Black et al., 2023, arXiv:2305.13301)."""

    group_size: int = static(4)
    resample_every: int = static(1)
    batch_size: int = static(256)
    loss: Loss = static("reinforce")


@dataclasses.dataclass(frozen=True)
class DiffusionRAFT(Denoising):
    """Reward-ranked fine-tuning (Dong et al., 2023, arXiv:2304.06767) of what denoises."""

    group_size: int = static(8)
    loss: Loss = static("nll")


DENOISING: dict[str, type] = {
    "d3po": D3PO,
    "prdp": PRDP,
    "dragon": DRAGON,
    "ddpo": DDPO,
    "diffusion_raft": DiffusionRAFT,
}
