"""Noise in weights, to explore by (Fortunato et al., 2017, arXiv:1706.10295)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rlax_pref.types import Key, PyTree


def add_noise(params: PyTree, deviation: float = 0.5) -> PyTree:
    """Noisy networks (Fortunato et al., 2017, arXiv:1706.10295): a law of parameters.

    Any network will do: its layers are dictionaries of a kernel `[inputs, outputs]` and a bias.

    Args:
      params: of the network, which become the means.
      deviation: of a whole layer's noise, to begin with; each weight gets it over the root of the
        layer's inputs.

    Returns:
      Means and deviations, to be learned; `draw_noise` and `without_noise` make parameters of them.
    """

    def spread(layer: PyTree) -> PyTree:
        size = deviation / layer["kernel"].shape[0] ** 0.5
        return jax.tree.map(lambda x: jnp.full_like(x, size), layer)

    return {"mean": params, "deviation": _map_layers(spread, params)}


def draw_noise(noisy: PyTree, key: Key) -> PyTree:
    """Parameters from their law: a number for each input and output of a layer, and products.

    weight_ij = mean_ij + deviation_ij f(x_i) f(y_j)     f(x) = sign(x) sqrt(|x|), x and y Gaussian
    """
    num = len(jax.tree.leaves(noisy["mean"]))
    keys = iter(jax.random.split(key, num))

    def draw(layer: PyTree, deviation: PyTree) -> PyTree:
        x, y = (
            jnp.sign(z) * jnp.sqrt(jnp.abs(z))
            for z in (jax.random.normal(next(keys), (n,)) for n in layer["kernel"].shape)
        )
        noise = {"kernel": jnp.outer(x, y), "bias": y}
        return {name: layer[name] + deviation[name] * noise[name] for name in layer}

    return _map_layers(draw, noisy["mean"], noisy["deviation"])


def without_noise(noisy: PyTree) -> PyTree:
    """The means."""
    return noisy["mean"]


def _map_layers(function: Callable[..., PyTree], *trees: PyTree) -> PyTree:
    is_layer = lambda tree: isinstance(tree, dict) and "kernel" in tree
    return jax.tree.map(function, *trees, is_leaf=is_layer)
