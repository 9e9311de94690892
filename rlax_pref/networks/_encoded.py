"""Networks that see features instead of observations."""

from typing import Any

import jax
import jax.numpy as jnp

from rlax_pref.networks._plain import Network
from rlax_pref.types import Array, Key, PyTree


def encoded(
    encoder: Network, head: Network, *, num_inputs: int | None = None, freeze: bool = False
) -> Network:
    """A network that sees what an encoder makes of the first numbers of an observation.

    Args:
      encoder: `apply(params, [..., num_inputs])` is `[..., num_features]`.
      head: of features and of the other numbers, one behind the other.
      num_inputs: how many numbers are encoded; by default all.
      freeze: whether the encoder gets no gradient.

    Returns:
      A network of what the head is of, observations or tuples `(obs, ...)`; its parameters are
      `{"encoder": ..., "head": ...}`.
    """

    def see(params: PyTree, x: Any) -> Any:
        obs, rest = (x[0], tuple(x[1:])) if isinstance(x, tuple) else (x, ())
        features = encoder.apply(params, obs[..., :num_inputs])
        features = jax.lax.stop_gradient(features) if freeze else features
        if num_inputs is not None:
            features = jnp.concatenate([features, obs[..., num_inputs:]], axis=-1)
        return (features, *rest) if rest else features

    def init(key: Key, x: Any) -> PyTree:
        key_encoder, key_head = jax.random.split(key)
        obs: Array = x[0] if isinstance(x, tuple) else x
        params = encoder.init(key_encoder, obs[..., :num_inputs])
        return {"encoder": params, "head": head.init(key_head, see(params, x))}

    return Network(init, lambda params, x: head.apply(params["head"], see(params["encoder"], x)))
