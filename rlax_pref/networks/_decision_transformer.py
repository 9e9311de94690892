"""A transformer of trajectories (Chen et al., 2021, arXiv:2106.01345)."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp

from rlax_pref.networks._attention import _Block, _Drop
from rlax_pref.networks._dense import Dense
from rlax_pref.networks._plain import Network, check_dtype, initializer
from rlax_pref.types import Array


class _Embedding(nn.Module):
    """Numbers as a vector of some width; if `deep`, a hidden layer beside a straight way."""

    width: int
    deep: bool
    dtype: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        dense = partial(Dense, self.width, dtype=self.dtype, kernel_init=initializer(1.0))
        x = dense()(x)
        return x + dense()(nn.gelu(x)) if self.deep else x


class _DecisionTransformer(nn.Module):
    """Returns to go, observations and actions in turn; outputs are read off the observations."""

    num_outputs: int
    max_length: int
    width: int
    num_layers: int
    num_heads: int
    mlp_embeddings: bool
    mlp_head: bool
    dropout: float
    dtype: str

    @nn.compact
    def __call__(self, to_go: Array, obs: Array, action: Array, time: Array) -> Array:
        dense, norm = partial(Dense, dtype=self.dtype), partial(nn.LayerNorm, dtype=self.dtype)
        times = nn.Embed(
            self.max_length, self.width, dtype=self.dtype, embedding_init=initializer(1.0)
        )
        when = times(jnp.minimum(time, self.max_length - 1))
        kinds = (to_go[..., None], obs, action)
        tokens = [_Embedding(self.width, self.mlp_embeddings, self.dtype)(x) + when for x in kinds]
        x = jnp.stack(tokens, axis=-2).reshape(*time.shape[:-1], -1, self.width)
        x = _Drop(self.dropout)(norm()(x))
        for _ in range(self.num_layers):
            x, _ = _Block(self.num_heads, self.dtype, self.dropout)(x)
        x = norm()(x[..., 1::3, :])
        if self.mlp_head:
            x = nn.gelu(dense(self.width, kernel_init=initializer(2**0.5))(x))
        x = dense(self.num_outputs, kernel_init=initializer(0.01))(x)
        return x.astype(jnp.float32)


def decision_transformer(
    num_outputs: int,
    max_length: int,
    *,
    width: int = 128,
    num_layers: int = 3,
    num_heads: int = 1,
    mlp_embeddings: bool = False,
    mlp_head: bool = False,
    dropout: float = 0.0,
    dtype: str = "float32",
) -> Network:
    """A transformer of trajectories (Chen et al., 2021, arXiv:2106.01345).

    Output t sees steps up to t but the action of t, so it may say what that should be. A step is
    three vectors, and the three share a learned vector of their time, in place of positions.

    Args:
      num_outputs: numbers at each step.
      max_length: times that are told apart; those beyond count as the last.
      width: of the stream; a multiple of `num_heads`.
      num_layers: attention and dense layer, so many times.
      num_heads: looks back that each attention takes at once.
      mlp_embeddings: whether what enters does so by a hidden layer, and
      mlp_head: whether what leaves does (Shi et al., 2023, arXiv:2310.20587).
      dropout: share of the stream's beginning, of attention and of what is added to the stream that
        is left out where a key is given.
      dtype: of computation; see `mlp`. Softmax and moments of the stream are float32 all the same.

    Returns:
      `apply(params, (to_go [..., K], obs [..., K, D], action [..., K, A], time [..., K] int32))`
      is `[..., K, num_outputs]`; a key may follow the times, by which some of it is left out.

    Raises:
      ValueError: `width` cannot be shared among the heads, or the dtype is not one of numbers.
    """
    if width % num_heads:
        raise ValueError(
            f"decision_transformer: width={width} must be a multiple of num_heads={num_heads}"
        )
    module = _DecisionTransformer(
        num_outputs,
        max_length,
        width,
        num_layers,
        num_heads,
        mlp_embeddings,
        mlp_head,
        dropout,
        check_dtype("decision_transformer", dtype),
    )
    return Network(
        lambda key, x: module.init(key, *x)["params"],
        lambda p, x: module.apply(
            {"params": p}, *x[:4], rngs={"dropout": x[4]} if len(x) > 4 else None
        ),
    )
