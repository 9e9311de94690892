"""Reading responses: what a network makes of tokens that are there already.

Outputs of a large vocabulary, of `vocabulary.LARGE` tokens or more, are never all there at once.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rlax_pref import vocabulary
from rlax_pref.networks import TokenNetwork
from rlax_pref.types import Array, Numeric, PyTree
from rlax_pref.vocabulary import Law


def token_law(output: Array, token: Array, temperature: Numeric = 1.0) -> Law:
    """A token and the law that it is from, at a temperature.

        p = softmax(output / temperature)

    Args:
      output: `[..., K]` logits.
      token: `[...]` int, kept within [0, K).
      temperature: > 0, or 0 for the law that always takes the largest logit, whose tokens have
        log-probability and entropy 0 here. A scalar, or `[...]`.

    Returns:
      `Law` of `[...]`; gradients of `log p(token)` and `-sum p log p` flow.
    """
    temperature = jnp.asarray(temperature, jnp.float32)
    chance = temperature > 0
    scale = jnp.broadcast_to(jnp.where(chance, temperature, 1.0), token.shape)[..., None]
    output, token = output.astype(jnp.float32), jnp.clip(token, 0, output.shape[-1] - 1)
    top = jax.lax.stop_gradient(output.max(-1, keepdims=True))
    below = (output - top) / scale
    weight = jnp.exp(below)
    total = weight.sum(-1)
    log_total = jnp.log(total)
    log_prob = jnp.take_along_axis(below, token[..., None], axis=-1)[..., 0] - log_total
    entropy = log_total - jnp.where(weight > 0, weight * below, 0.0).sum(-1) / total
    return Law(
        jnp.where(chance, log_prob, 0.0),
        jnp.where(chance, entropy, 0.0),
        jnp.argmax(output, axis=-1) == token,
        jax.lax.stop_gradient(output.mean(-1)),
    )


def law(
    network: TokenNetwork,
    params: PyTree,
    prompt: Array,
    response: Array,
    temperature: Numeric = 1.0,
) -> Law:
    """Each token of given responses, and the law that it is from.

    Args:
      network: whose outputs are logits.
      params: its parameters.
      prompt: `[..., Lp]` int symbols.
      response: `[..., L]` int tokens. What stands after the end changes nothing before it.
      temperature: that the responses were sampled at; see `token_law`.

    Returns:
      `Law` of `[..., L]`, not masked; see `token_law`.
    """
    if network.features is None or not _is_large(network, params):
        return token_law(network.apply(params, prompt, response), response, temperature)
    features = network.features(params, prompt, response)
    return vocabulary.token_law(features, _head(network, params), response, temperature)


def compare(
    function: Callable[[Array, Array], Array],
    network: TokenNetwork,
    params: PyTree,
    other: PyTree,
    prompt: Array,
    response: Array,
) -> Array:
    """A number of two laws of each token of given responses, such as a divergence.

    Args:
      function: of logits and the other's logits, `[..., K]` each, to `[...]`.
      network: whose outputs are logits.
      params: its parameters.
      other: other parameters.
      prompt: `[..., Lp]` int symbols.
      response: `[..., L]` int tokens.

    Returns:
      `[..., L]`, not masked. Gradients flow as the function lets them.
    """
    both = (params, other)
    if network.features is None or not _is_large(network, params):
        return function(*[network.apply(each, prompt, response) for each in both])
    features = [network.features(each, prompt, response) for each in both]
    return vocabulary.over_rows(function, features, [_head(network, each) for each in both])


def _head(network: TokenNetwork, params: PyTree) -> vocabulary.Head:
    assert network.head is not None, "a network with features has a last layer"
    return network.head(params)


def _is_large(network: TokenNetwork, params: PyTree) -> bool:
    return _head(network, params).bias.shape[0] >= vocabulary.LARGE
