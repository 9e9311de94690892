"""What can be chosen of agents that learn from preferences between responses; see `configs`."""

import dataclasses
from typing import ClassVar, Literal

from .fields import static
from .tokens import TokenPolicy

Loss = Literal[
    "sigmoid", "sigmoid_norm", "cdpo", "robust", "exo_pair", "nca_pair", "bco_pair", "apo_zero",
    "apo_down", "aot", "aot_unpaired", "discopop", "sppo_hard", "hinge", "ipo", "ipo_sum", "cpl",
    "cpl_kl", "rpo", "tdpo1", "tdpo2", "slic", "orpo", "simpo", "sft", "mapl", "kto", "uft",
    "nll", "brain", "dno", "gpo", "sppo", "divergence_sft",
]  # fmt: skip
Selection = Literal["pair", "best_and_worst", "lead"]
Reference = Literal["first", "previous", "slow", "soup"]
Risk = Literal["kl", "tail_sum", "cvar", "entropic"]
Divergence = Literal["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"]
SftDivergence = Literal["total_variation", "chi_squared", "squared_hellinger", "jensen_shannon"]
Form = Literal["mean", "cumulative"]
Thumbs = Literal["pair", "score"]
Imitated = Literal["best", "top"]


@dataclasses.dataclass(frozen=True)
class PreferenceTokens(TokenPolicy):
    """Learning from preferences between responses. A step: one minibatch of prompts."""

    module: ClassVar[str] = "preference_tokens"

    num_envs: int = static(256)
    """Prompts in the data set."""
    group_size: int = static(2)
    """Responses to each prompt; 1 will do for thumbs by score, uft and imitation."""
    batch_size: int = static(64)
    """Prompts of a step; must divide num_envs."""
    demonstrations: int = static(0)
    """How many of them, the last ones, are a teacher's instead of the policy's."""
    resample_every: int = static(0)
    """Steps after which the policy answers new prompts, which replace the data; 0: never."""
    stay: float = 0.0
    """Share of the data that is not replaced then."""
    num_judged: int = static(32)
    """Fresh responses to judge the policy by in each step, from which nothing is learned; 0: none
    at all."""
    noiseless: bool = static(True)
    """Whether the judge of pairs always prefers what earns more, and calls equals equal."""
    label_temperature: float = 1.0
    """Of a judge who errs, in units of reward: the Bradley-Terry model."""

    loss: Loss = static("sigmoid")
    """Of pairs, by its name in TRL; or mapl (of prompts as well), kto (thumbs), uft (scores), nll
    or divergence_sft (the best is imitated), brain (a posterior), gpo (scores), dno or sppo (win
    rates)."""
    selection: Selection = static("pair")
    """Which two of a prompt's responses make a pair: the first two, the best and the worst, or any
    two of which the better is good enough, and better by enough (lead)."""
    at_least: float = 0.8
    """What the better must earn (lead)."""
    lead: float = 0.4
    """How much more than the worse, if it is the teacher's (lead)."""
    own_lead: float = 0.2
    """The same if it is the policy's own (lead)."""
    reference: Reference = static("first")
    """What log-ratios are taken to: the first policy, that which sampled the data (previous), a
    slow copy, or the mean of two first policies (soup)."""
    reference_rate: float = 0.01
    """How fast a slow copy follows."""
    beta: float = 0.1
    """What a log-ratio of 1 is worth, in units of reward; see the loss."""
    divergence: Divergence = static("reverse_kl")
    """What holds the policy near the reference (sigmoid)."""
    divergence_alpha: float = 0.5
    """Of alpha_divergence, not 1 (sigmoid)."""
    label_smoothing: float = 0.2
    """Share of wrong labels (cdpo, robust, exo_pair)."""
    margin: float = 0.5
    """By how much the preferred should lead (simpo, slic)."""
    imitation: float = 0.2
    """Weight of the likelihood of the preferred (rpo)."""
    imitation_form: Form = static("mean")
    """That of a token, or of the response, times beta (rpo)."""
    imitated: Imitated = static("best")
    """The best of each prompt's responses, or the best share of all (nll, divergence_sft)."""
    top_share: float = 0.2
    """That share of a minibatch (top)."""
    sft_divergence: SftDivergence = static("chi_squared")
    """From demonstrations; total_variation is plain likelihood (divergence_sft)."""
    thumbs: Thumbs = static("pair")
    """Wanted is the preferred of a pair, or, one by one, what scores 1 rather than 0 (kto)."""
    desirable_weight: float = 1.0
    """Of what is wanted; weigh so that both kinds count about alike (kto)."""
    undesirable_weight: float = 1.0
    """Of what is not (kto)."""
    bias: float = 0.5
    """What the other counts beside the preferred (cpl)."""
    divergence_weight: float = 0.5
    """Weight of the divergence that the other lost (tdpo2)."""
    discopop_tau: float = 0.05
    """How soon its exponential takes over (discopop)."""
    prompt_weight: float = 1.0
    """What choices between prompts weigh beside those between responses (mapl)."""
    risk: Risk = static("kl")
    """How a divergence is measured at each token (tdpo1, tdpo2)."""
    risk_level: float = 1.0
    """Of that measure."""

    @property
    def env_steps(self) -> int:
        """Responses of one agent step: here a response is a step of the environment."""
        return self.batch_size * self.group_size


@dataclasses.dataclass(frozen=True)
class DPO(PreferenceTokens):
    """Direct preference optimisation (Rafailov et al., 2023, arXiv:2305.18290)."""


@dataclasses.dataclass(frozen=True)
class OnlineDPO(PreferenceTokens):
    """DPO on fresh responses in every step (Guo et al., 2024, arXiv:2402.04792)."""

    num_envs: int = static(64)
    resample_every: int = static(1)


@dataclasses.dataclass(frozen=True)
class CDPO(PreferenceTokens):
    """Conservative DPO, whose labels may be wrong (Mitchell, 2023)."""

    loss: Loss = static("cdpo")


@dataclasses.dataclass(frozen=True)
class RobustDPO(PreferenceTokens):
    """DPO that is unbiased under flipped labels (Chowdhury et al., 2024, arXiv:2403.00409)."""

    loss: Loss = static("robust")


@dataclasses.dataclass(frozen=True)
class IPO(PreferenceTokens):
    """Identity preference optimisation (Azar et al., 2023, arXiv:2310.12036)."""

    loss: Loss = static("ipo")


@dataclasses.dataclass(frozen=True)
class EXO(PreferenceTokens):
    """Efficient exact optimisation of pairs (Ji et al., 2024, arXiv:2402.00856)."""

    loss: Loss = static("exo_pair")
    label_smoothing: float = 1e-3


@dataclasses.dataclass(frozen=True)
class NCA(PreferenceTokens):
    """Noise contrastive alignment of pairs (Chen et al., 2024, arXiv:2402.05369)."""

    loss: Loss = static("nca_pair")


@dataclasses.dataclass(frozen=True)
class BCO(PreferenceTokens):
    """Binary classifier optimisation of pairs (Jung et al., 2024, arXiv:2404.04656)."""

    loss: Loss = static("bco_pair")


@dataclasses.dataclass(frozen=True)
class APO(PreferenceTokens):
    """Anchored preference optimisation, zero (D'Oosterlinck et al., 2024, arXiv:2408.06266)."""

    loss: Loss = static("apo_zero")


@dataclasses.dataclass(frozen=True)
class AOT(PreferenceTokens):
    """Alignment by optimal transport (Melnyk et al., 2024, arXiv:2406.05882)."""

    loss: Loss = static("aot")


@dataclasses.dataclass(frozen=True)
class DiscoPOP(PreferenceTokens):
    """A loss that a language model found (Lu et al., 2024, arXiv:2406.08414).

    At its reference it pushes pairs the wrong way, and may never recover: see `policies.discopop`.
    """

    loss: Loss = static("discopop")


@dataclasses.dataclass(frozen=True)
class SLiC(PreferenceTokens):
    """Sequence likelihood calibration (Zhao et al., 2023, arXiv:2305.10425)."""

    loss: Loss = static("slic")
    margin: float = 1.0


@dataclasses.dataclass(frozen=True)
class ORPO(PreferenceTokens):
    """Odds ratio preference optimisation (Hong et al., 2024, arXiv:2403.07691)."""

    loss: Loss = static("orpo")


@dataclasses.dataclass(frozen=True)
class SimPO(PreferenceTokens):
    """Simple preference optimisation (Meng et al., 2024, arXiv:2405.14734)."""

    loss: Loss = static("simpo")
    beta: float = 2.0


@dataclasses.dataclass(frozen=True)
class RPO(PreferenceTokens):
    """DPO with imitation of the preferred (Liu et al., 2024, arXiv:2405.16436)."""

    loss: Loss = static("rpo")


@dataclasses.dataclass(frozen=True)
class TDPO(PreferenceTokens):
    """Token-level DPO (Zeng et al., 2024, arXiv:2404.11999)."""

    loss: Loss = static("tdpo2")


@dataclasses.dataclass(frozen=True)
class RaDPO(TDPO):
    """Risk-aware DPO under a nested risk measure (2025)."""

    risk: Risk = static("cvar")
    risk_level: float = 0.95


@dataclasses.dataclass(frozen=True)
class TokenCPL(PreferenceTokens):
    """Contrastive preference learning (Hejna et al., 2023, arXiv:2310.13639) of responses."""

    loss: Loss = static("cpl")


@dataclasses.dataclass(frozen=True)
class KTO(PreferenceTokens):
    """Kahneman-Tversky optimisation (Ethayarajh et al., 2024, arXiv:2402.01306)."""

    loss: Loss = static("kto")


@dataclasses.dataclass(frozen=True)
class UNA(PreferenceTokens):
    """Unified alignment: scores are regressed (Wang et al., 2024, arXiv:2408.15339)."""

    loss: Loss = static("uft")


@dataclasses.dataclass(frozen=True)
class UFT(UNA):
    """Unified fine-tuning: scores and demonstrations (Wang et al., 2024, arXiv:2410.21438)."""

    demonstrations: int = static(1)


@dataclasses.dataclass(frozen=True)
class MAPL(PreferenceTokens):
    """Multi-level aware preference learning (Sun et al., 2025, arXiv:2505.12845)."""

    loss: Loss = static("mapl")


@dataclasses.dataclass(frozen=True)
class SALSA(OnlineDPO):
    """DPO against a soup of two first policies (Chegini et al., 2024, arXiv:2411.01798)."""

    reference: Reference = static("soup")


@dataclasses.dataclass(frozen=True)
class RAFT(PreferenceTokens):
    """Reward-ranked fine-tuning (Dong et al., 2023, arXiv:2304.06767)."""

    group_size: int = static(8)
    resample_every: int = static(4)
    loss: Loss = static("nll")


@dataclasses.dataclass(frozen=True)
class DPA(RAFT):
    """Directional preference alignment (Wang et al., 2024, arXiv:2402.18571).

    RAFT where prompts say what matters how much, and scores are along that direction.
    """


@dataclasses.dataclass(frozen=True)
class DivergenceSFT(PreferenceTokens):
    """Imitation through an implicit reward (Wang et al., 2025, arXiv:2507.00018)."""

    loss: Loss = static("divergence_sft")


@dataclasses.dataclass(frozen=True)
class BRAIn(PreferenceTokens):
    """Bayesian reward-conditioned amortised inference (Pandey et al., 2024, arXiv:2402.02479)."""

    group_size: int = static(8)
    resample_every: int = static(4)
    loss: Loss = static("brain")


@dataclasses.dataclass(frozen=True)
class DNO(PreferenceTokens):
    """Direct Nash optimisation (Rosset et al., 2024, arXiv:2404.03715)."""

    group_size: int = static(4)
    resample_every: int = static(4)
    loss: Loss = static("dno")
    reference: Reference = static("previous")


@dataclasses.dataclass(frozen=True)
class DNOPrct(PreferenceTokens):
    """DNO in practice, with a teacher's answers (Rosset et al., 2024, arXiv:2404.03715)."""

    group_size: int = static(6)
    demonstrations: int = static(1)
    resample_every: int = static(4)
    stay: float = 0.3
    selection: Selection = static("lead")
    reference: Reference = static("previous")


@dataclasses.dataclass(frozen=True)
class GPO(DNO):
    """General preference optimisation (Zhang et al., 2024, arXiv:2410.02197)."""

    loss: Loss = static("gpo")


@dataclasses.dataclass(frozen=True)
class SPPO(DNO):
    """Self-play preference optimisation (Wu et al., 2024, arXiv:2405.00675)."""

    loss: Loss = static("sppo")


PREFERENCE_TOKENS: dict[str, type] = {
    "dpo": DPO,
    "online_dpo": OnlineDPO,
    "cdpo": CDPO,
    "robust_dpo": RobustDPO,
    "ipo": IPO,
    "exo": EXO,
    "nca": NCA,
    "bco": BCO,
    "apo": APO,
    "aot": AOT,
    "discopop": DiscoPOP,
    "slic": SLiC,
    "orpo": ORPO,
    "simpo": SimPO,
    "rpo": RPO,
    "tdpo": TDPO,
    "ra_dpo": RaDPO,
    "token_cpl": TokenCPL,
    "kto": KTO,
    "mapl": MAPL,
    "una": UNA,
    "uft": UFT,
    "salsa": SALSA,
    "raft": RAFT,
    "dpa": DPA,
    "divergence_sft": DivergenceSFT,
    "brain": BRAIn,
    "dno": DNO,
    "dno_prct": DNOPrct,
    "gpo": GPO,
    "sppo": SPPO,
}
