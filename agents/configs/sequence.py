"""What can be chosen of agents that see trajectories as sequences; see `configs`."""

import dataclasses

from .fields import static
from .off_policy import Offline, OffPolicy


@dataclasses.dataclass(frozen=True)
class DecisionTransformer(Offline, OffPolicy):
    """The Decision Transformer (Chen et al., 2021, arXiv:2106.01345).

    With `mlp_embeddings`, `mlp_head` and not `bounded` it has what LaMo (Shi et al., 2023,
    arXiv:2310.20587) adds to it, but for the language model that LaMo begins with and adapts.
    Numbers are those of the paper, which sets `dropout` to .1. `hidden`, `activation`, `discount`
    and `n_step` are not read.
    """

    batch_size: int = static(64)
    normalize_obs: bool = static(True)
    learning_rate: float = 1e-4
    max_grad_norm: float = 0.25
    ramp_updates: float = 10_000.0
    """Minibatches in which the step size rises from 0,"""
    weight_decay: float = 1e-4
    """and this times the step size is taken off each parameter, by each minibatch."""
    context: int = static(20)
    """Steps that the network looks back on, the one to be taken included."""
    max_length: int = static(1000)
    """Steps of an episode that are told apart: those beyond count as the last of them."""
    width: int = static(128)
    """Of the network; a multiple of num_heads."""
    num_layers: int = static(3)
    """Attention and dense layer, so many times."""
    num_heads: int = static(1)
    """Looks back that each attention takes at once."""
    dropout: float = static(0.0)
    """Share of the stream and of attention that is left out while learning."""
    mlp_embeddings: bool = static(False)
    """Whether returns, observations and actions enter by a hidden layer."""
    mlp_head: bool = static(False)
    """Whether actions leave by a hidden layer."""
    bounded: bool = static(True)
    """Whether a tanh keeps continuous actions within bounds; if not they are clipped."""
    target_return: float = float("inf")
    """What is asked for when it acts, a sum of rewards; infinity is the most in the data."""
    return_scale: float = float("inf")
    """Returns are divided by this before they enter; infinity is the largest in the data."""


SEQUENCE: dict[str, type] = {"decision_transformer": DecisionTransformer}
