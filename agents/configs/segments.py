"""What can be chosen of agents that learn from choices between segments; see `configs`."""

import dataclasses
import math
from typing import ClassVar, Literal

from .fields import static

Loss = Literal["cpl", "cpl_kl", "ipl", "imitation"]
Imitated = Literal["all", "preferred"]


@dataclasses.dataclass(frozen=True)
class PreferenceSegments:
    """Learning from choices between segments of behaviour. A step: one minibatch of pairs."""

    module: ClassVar[str] = "preference_segments"

    num_envs: int = static(512)
    """Pairs in the data set. Each has two environments, in which new segments are made."""
    length: int = static(16)
    """Steps of a segment that the agent makes itself."""
    burn_in: int = static(32)
    """Random steps before the first of them."""
    batch_size: int = static(64)
    """Pairs of a step; must divide num_envs."""
    collect_every: int = static(0)
    """Steps after which the policy makes new segments, which replace the oldest; 0: never."""
    num_rounds: int = static(4)
    """Collections after which all pairs have been replaced; must divide num_envs."""
    candidates: int = static(1)
    """Pairs made for each that the teacher is then asked about: that on which the critics disagree
    most (ipl), or of which the policy is least sure. PEBBLE makes 10."""
    act_steps: int = static(1)
    """Steps taken in the environments of a minibatch's pairs to see how good the policy is;
    nothing is learned from them."""
    noiseless: bool = static(True)
    """Whether the teacher always prefers what earns more, and calls equals equal."""
    label_temperature: float = 1.0
    """Of a teacher who errs, in units of reward: the Bradley-Terry model."""

    loss: Loss = static("cpl")
    """cpl; cpl_kl, with log-ratios to what was imitated first; ipl; or imitation alone."""
    hidden: tuple[int, ...] = static((64, 64))
    """Widths of the hidden layers of every network."""
    activation: str = static("tanh")
    """elu, gelu, relu, silu or tanh."""
    dtype: str = static("float32")
    """What networks compute in: float32, bfloat16 or float16. Parameters, statistics, outputs and
    losses are float32 all the same."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    deviation: float = 0.5
    """Standard deviation of continuous actions, where half their range is 1."""
    learn_deviation: bool = static(False)
    """Whether that is only where it begins."""
    imitated: Imitated = static("all")
    """Which segments imitation learns from."""
    imitation_steps: int = static(0)
    """Steps of imitation that come first; then Adam begins anew."""
    imitation_weight: float = 0.0
    """Of imitation beside the loss; for imitation alone it is 1."""

    alpha: float = 0.1
    """How much a nat counts (cpl)."""
    bias: float = 0.5
    """What the other segment counts beside the preferred (cpl)."""

    num_critics: int = static(2)
    """Critics, of which the least counts (ipl)."""
    discount: float = 0.99
    """Gamma: what a reward one step later is worth (ipl)."""
    regularizer: float = 0.5
    """Price of a squared reward (ipl)."""
    expectile: float = 0.7
    """Tau: 1/2 values the mean of what was done, near 1 the best of it (ipl)."""
    temperature: float = 1 / 3
    """How much better makes e times as heavy (ipl)."""
    cap: float = 100.0
    """No step weighs more (ipl)."""
    target_rate: float = 0.005
    """How fast the slow critics follow (ipl)."""

    @property
    def env_steps(self) -> int:
        """Environment steps that one agent step takes, on average, and at least 1."""
        acted = 2 * self.batch_size * self.act_steps
        if self.collect_every:
            pairs = self.num_envs // self.num_rounds
            made = 2 * self.candidates * self.length * pairs
            acted += math.ceil(made / self.collect_every)
        return max(acted, 1)


@dataclasses.dataclass(frozen=True)
class CPL(PreferenceSegments):
    """Contrastive preference learning (Hejna et al., 2023, arXiv:2310.13639)."""

    imitation_steps: int = static(200)


@dataclasses.dataclass(frozen=True)
class CPLKL(CPL):
    """CPL with log-ratios to an imitation (Hejna et al., 2023, arXiv:2310.13639)."""

    loss: Loss = static("cpl_kl")
    alpha: float = 0.2
    bias: float = 0.75


@dataclasses.dataclass(frozen=True)
class IPL(PreferenceSegments):
    """Inverse preference learning (Hejna & Sadigh, 2023, arXiv:2305.15363)."""

    loss: Loss = static("ipl")
    learn_deviation: bool = static(True)


@dataclasses.dataclass(frozen=True)
class Imitation(PreferenceSegments):
    """Behavioural cloning (Pomerleau, 1989, NIPS) of the segments that are preferred."""

    loss: Loss = static("imitation")
    imitated: Imitated = static("preferred")


PREFERENCE_SEGMENTS: dict[str, type] = {
    "cpl": CPL,
    "cpl_kl": CPLKL,
    "ipl": IPL,
    "segment_bc": Imitation,
}
