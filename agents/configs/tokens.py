"""What can be chosen of agents whose actions are tokens; see `configs`.

`TokenPolicy` is what they all have in common; `Tokens` learns from responses of its own. Its
methods are settings: each class below says in a few lines how it differs.
"""

import dataclasses
from typing import ClassVar, Literal

from .fields import static

Network = Literal["transformer", "mlp", "table"]
Objective = Literal[
    "reinforce", "ppo_clip", "gspo", "cispo", "oreal", "apa", "a_star_po", "rebel", "reg_grpo"
]
Baseline = Literal[
    "none",
    "mean",
    "grpo",
    "leave_one_out",
    "optimal_value",
    "v_half",
    "critic",
    "process",
    "segment",
]
Aggregation = Literal["token_mean", "sequence_mean", "sequence_sum", "constant_length"]
Divergence = Literal["none", "k1", "k2", "k3"]
DType = Literal["float32", "bfloat16", "float16"]


@dataclasses.dataclass(frozen=True)
class TokenPolicy:
    """What all agents of tokens have in common."""

    network: Network = static("transformer")
    """A table has a row of numbers for each prompt and position; mlp sees all symbols at once."""
    width: int = static(64)
    """Of the transformer or the mlp."""
    num_layers: int = static(2)
    """Of either."""
    num_heads: int = static(4)
    """Of the transformer; must divide width."""
    dtype: DType = static("float32")
    """Of the transformer's computation; parameters, statistics and losses are float32."""
    remat: bool = static(False)
    """Make what is inside of its layers once more for the gradient, instead of keeping it."""
    table_order: int = static(0)
    """Of the table: how many of the latest tokens it distinguishes, besides the position."""
    warm_up: int = static(0)
    """Steps of supervised learning on the task's own answers, before anything else."""
    warm_up_batch: int = static(128)
    """Answers in each of them."""
    warm_up_learning_rate: float = 2e-3
    """Step size of Adam in them."""
    learning_rate: float = 3e-4
    """Step size of Adam; a table wants more, such as 0.1."""
    max_grad_norm: float = 1.0
    """Gradients longer than this are shortened to it."""


@dataclasses.dataclass(frozen=True)
class Tokens(TokenPolicy):
    """Learning from one's own responses. A step: answer prompts, judge, learn."""

    module: ClassVar[str] = "tokens"

    num_envs: int = static(32)
    """Prompts that are answered in one step."""
    group_size: int = static(8)
    """Responses to each prompt."""
    keep_prompts: bool = static(False)
    """Answer the same prompts in every step (all of them in turn, if the task has a list)."""
    num_epochs: int = static(1)
    """Passes over the responses of one step."""
    num_minibatches: int = static(1)
    """Minibatches of a pass, each with whole groups; must divide num_envs."""
    temperature: float = 1.0
    """Of sampling, and of all log-probabilities."""

    objective: Objective = static("ppo_clip")
    """What is minimised."""
    baseline: Baseline = static("grpo")
    """What rewards are compared with."""
    aggregation: Aggregation = static("sequence_mean")
    """How tokens are added up."""
    kl: Divergence = static("none")
    """Estimator of the divergence from the first policy."""
    kl_in: Literal["loss", "reward"] = static("loss")
    """Where it counts."""
    kl_weight: float = 0.04
    """What a nat of it costs."""
    soup: bool = static(False)
    """Whether it is from the mean of two first policies, warmed up by other samples, instead."""

    clip_low: float = 0.2
    """How far a ratio may profit from falling below 1."""
    clip_high: float = 0.2
    """How far a ratio may profit from rising above 1."""
    beta: float = 1.0
    """What objectives that regress log-ratios multiply them with."""
    negative_scale: float = 0.5
    """What failures weigh beside successes (oreal)."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus."""
    entropy_shaping: float = 0.0
    """How much of a token's entropy is added to its advantage, which it never turns round."""
    positive_weight: float = 0.0
    """Weight of the likelihood of responses of positive reward."""
    probability_mask: float = 2.0
    """Tokens sampled with at least this probability are not learned from; above 1, all are."""
    whiten: bool = static(False)
    """Shift and scale the advantages of all tokens of a step to mean 0 and variance 1."""
    dynamic_sampling: bool = static(False)
    """Leave out prompts whose responses are all worth the same."""
    one_of_each: bool = static(False)
    """Keep one response of positive reward and one other to each prompt that has both."""

    discount: float = 1.0
    """Of the critic: what a reward one token later is worth."""
    lambda_: float = 0.95
    """Of the advantages that the critic gives."""
    length_adaptive: float = 0.0
    """Alpha of lambda = 1 - 1 / (alpha * tokens of the response); 0 keeps lambda_."""
    critic_lambda: float = 0.95
    """Of the critic's own targets; 1 is Monte Carlo."""
    critic_learning_rate: float = 1e-3
    """Step size of the critic, or of the model of the process."""
    critic_warm_up: int = 0
    """Steps in which only they learn."""
    process_beta: float = 0.05
    """What a nat counts in the model of the process, which says what each token added (process)."""

    dpo_steps: int = static(0)
    """Steps of DPO before anything else, from the first policy; what the policy that they end with
    thinks of each token is then paid at that token, beside what responses earn (rto). 0: none."""
    dpo_pairs: int = static(256)
    """Pairs that it learns from, all of them in each step: of the first policy, judged by score."""
    dpo_beta: float = 0.1
    """What a nat costs in them, in units of reward."""
    token_weight: float = 0.05
    """What a nat between it and the first policy pays."""
    token_clip: float = 0.05
    """The most that a token is paid, or fined."""

    num_references: int = static(8)
    """Responses of the first policy from which the optimal value of a prompt is estimated."""
    value_temperature: float = 0.5
    """Temperature of that estimate."""
    num_continuations: int = static(9)
    """Continuations that say what a response is worth so far (segment)."""
    interval: int = static(5)
    """Uncertain tokens of a segment."""

    @property
    def env_steps(self) -> int:
        """Responses of one agent step: here a response is a step of the environment."""
        return self.num_envs * self.group_size


@dataclasses.dataclass(frozen=True)
class Reinforce(Tokens):
    """REINFORCE (Williams, 1992), without a baseline."""

    objective: Objective = static("reinforce")
    baseline: Baseline = static("none")
    aggregation: Aggregation = static("sequence_sum")


@dataclasses.dataclass(frozen=True)
class RLOO(Tokens):
    """REINFORCE leave-one-out (Ahmadian et al., 2024, arXiv:2402.14740)."""

    objective: Objective = static("reinforce")
    baseline: Baseline = static("leave_one_out")
    aggregation: Aggregation = static("sequence_sum")
    kl: Divergence = static("k1")
    kl_in: Literal["loss", "reward"] = static("reward")


@dataclasses.dataclass(frozen=True)
class GRPO(Tokens):
    """Group relative policy optimisation (Shao et al., 2024, arXiv:2402.03300)."""

    kl: Divergence = static("k3")


@dataclasses.dataclass(frozen=True)
class DrGRPO(Tokens):
    """GRPO done right (Liu et al., 2025, arXiv:2503.20783)."""

    baseline: Baseline = static("mean")
    aggregation: Aggregation = static("constant_length")


@dataclasses.dataclass(frozen=True)
class DAPO(Tokens):
    """Decoupled clip and dynamic sampling (ByteDance; Yu et al., 2025, arXiv:2503.14476)."""

    aggregation: Aggregation = static("token_mean")
    dynamic_sampling: bool = static(True)
    clip_high: float = 0.28


@dataclasses.dataclass(frozen=True)
class GSPO(Tokens):
    """Group sequence policy optimisation (Zheng et al., 2025, arXiv:2507.18071)."""

    objective: Objective = static("gspo")
    clip_low: float = 3e-4
    clip_high: float = 4e-4


@dataclasses.dataclass(frozen=True)
class CISPO(Tokens):
    """Clipped importance sampling policy optimisation (MiniMax, 2025, arXiv:2506.13585)."""

    objective: Objective = static("cispo")
    aggregation: Aggregation = static("token_mean")
    clip_high: float = 4.0


@dataclasses.dataclass(frozen=True)
class TokenPPO(Tokens):
    """Proximal policy optimisation (Schulman et al., 2017, arXiv:1707.06347) of tokens."""

    baseline: Baseline = static("critic")
    aggregation: Aggregation = static("token_mean")
    whiten: bool = static(True)


@dataclasses.dataclass(frozen=True)
class VAPO(TokenPPO):
    """Value-augmented proximal policy optimisation (Yue et al., 2025, arXiv:2504.05118)."""

    clip_high: float = 0.28
    length_adaptive: float = 0.05
    critic_lambda: float = 1.0
    critic_warm_up: int = 50
    positive_weight: float = 0.1


@dataclasses.dataclass(frozen=True)
class APA(TokenPPO):
    """Advantage-induced policy alignment (Zhu et al., 2023, arXiv:2306.02231)."""

    objective: Objective = static("apa")
    beta: float = 0.1


@dataclasses.dataclass(frozen=True)
class SPO(Tokens):
    """Segment policy optimisation, chain (Guo et al., 2025, arXiv:2505.23564)."""

    baseline: Baseline = static("segment")
    aggregation: Aggregation = static("token_mean")
    whiten: bool = static(True)
    probability_mask: float = 0.9


@dataclasses.dataclass(frozen=True)
class PRIME(Tokens):
    """Process reinforcement through implicit rewards (Cui et al., 2025, arXiv:2502.01456)."""

    group_size: int = static(4)
    baseline: Baseline = static("process")
    aggregation: Aggregation = static("token_mean")
    whiten: bool = static(True)


@dataclasses.dataclass(frozen=True)
class RTO(TokenPPO):
    """Reinforced token optimisation: DPO, then PPO (Zhong et al., 2024, arXiv:2404.18922)."""

    dpo_steps: int = static(200)
    kl: Divergence = static("k1")
    kl_in: Literal["loss", "reward"] = static("reward")
    kl_weight: float = 0.01


@dataclasses.dataclass(frozen=True)
class SalsaPPO(TokenPPO):
    """PPO held to a soup of two first policies (Chegini et al., 2024, arXiv:2411.01798)."""

    soup: bool = static(True)
    kl: Divergence = static("k1")
    kl_in: Literal["loss", "reward"] = static("reward")


@dataclasses.dataclass(frozen=True)
class AStarPO(Tokens):
    """Optimal advantage regression (Brantley et al., 2025, arXiv:2505.20686)."""

    group_size: int = static(1)
    num_envs: int = static(256)
    objective: Objective = static("a_star_po")
    baseline: Baseline = static("optimal_value")
    beta: float = 1e-3


@dataclasses.dataclass(frozen=True)
class REBEL(Tokens):
    """Regressing relative rewards (Gao et al., 2024, arXiv:2404.16767)."""

    num_envs: int = static(128)
    group_size: int = static(2)
    objective: Objective = static("rebel")
    baseline: Baseline = static("leave_one_out")


@dataclasses.dataclass(frozen=True)
class RegGRPO(Tokens):
    """Regressive GRPO (Park et al., 2025, arXiv:2506.07464)."""

    objective: Objective = static("reg_grpo")
    kl: Divergence = static("k3")
    num_epochs: int = static(4)


@dataclasses.dataclass(frozen=True)
class OREAL(Tokens):
    """Outcome reward: one success and one failure a prompt (Lyu et al., 2025, arXiv:2502.06781)."""

    group_size: int = static(16)
    objective: Objective = static("oreal")
    baseline: Baseline = static("leave_one_out")
    aggregation: Aggregation = static("token_mean")
    one_of_each: bool = static(True)
    kl: Divergence = static("k3")
    kl_weight: float = 0.01


@dataclasses.dataclass(frozen=True)
class VHalf(Tokens):
    """A prior value, shrunk towards by sparse rollouts (2026, arXiv:2603.10848)."""

    group_size: int = static(4)
    keep_prompts: bool = static(True)
    baseline: Baseline = static("v_half")


TOKENS: dict[str, type] = {
    "reinforce": Reinforce,
    "rloo": RLOO,
    "grpo": GRPO,
    "dr_grpo": DrGRPO,
    "dapo": DAPO,
    "gspo": GSPO,
    "cispo": CISPO,
    "token_ppo": TokenPPO,
    "vapo": VAPO,
    "apa": APA,
    "spo": SPO,
    "prime": PRIME,
    "rto": RTO,
    "salsa_ppo": SalsaPPO,
    "a_star_po": AStarPO,
    "rebel": REBEL,
    "reg_grpo": RegGRPO,
    "oreal": OREAL,
    "v_half": VHalf,
}
