"""Running mean and variance of a stream, and what is normalised with them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref.types import Array, Numeric, PyTree


class Moments(NamedTuple):
    """Mean and variance of everything seen so far, leaf by leaf."""

    num: Array  # [] float32, how many samples
    mean: PyTree
    var: PyTree  # population variance


def init(example: PyTree) -> Moments:
    """Moments of nothing yet: mean 0 and variance 1, so that normalising changes nothing.

    Args:
      example: one sample, whose shapes the statistics take.
    """
    return Moments(
        num=jnp.zeros((), jnp.float32),
        mean=jax.tree.map(lambda x: jnp.zeros(jnp.shape(x), jnp.float32), example),
        var=jax.tree.map(lambda x: jnp.ones(jnp.shape(x), jnp.float32), example),
    )


def update(moments: Moments, batch: PyTree) -> Moments:
    """Takes in a batch, by the pairwise formula of Chan, Golub and LeVeque (1979).

        mean' = mean + d * n_b / n'          with d = mean_b - mean and n' = n + n_b
        var'  = (n * var + n_b * var_b) / n' + d^2 * n * n_b / n'^2

    Args:
      moments: what was seen so far.
      batch: samples with any number of leading axes, `[..., *sample]`. Sharded over devices, the
        sums become all-reduces and every device ends with the same moments.

    Returns:
      Moments of both together, detached.
    """
    batch = jax.lax.stop_gradient(batch)
    leaf, mean_leaf = jax.tree.leaves(batch)[0], jax.tree.leaves(moments.mean)[0]
    batch_count = jnp.float32(leaf.size // max(mean_leaf.size, 1))
    count = moments.num + batch_count

    def combine(mean: Array, var: Array, x: Array) -> tuple[Array, Array]:
        axes = tuple(range(x.ndim - mean.ndim))
        batch_mean, batch_var = x.mean(axes), x.var(axes)
        delta = batch_mean - mean
        share = batch_count / count
        spread = jnp.square(delta) * (1 - share) * share
        return mean + delta * share, (1 - share) * var + share * batch_var + spread

    pairs = jax.tree.map(combine, moments.mean, moments.var, batch)
    mean, var = jax.tree.transpose(jax.tree.structure(moments.mean), None, pairs)
    return Moments(count, mean, var)


def normalize(moments: Moments, x: PyTree, *, clip: Numeric = 10.0) -> PyTree:
    """Shifts and scales `x` to mean 0 and variance 1, then clips it to `[-clip, clip]`."""
    return jax.tree.map(
        lambda x, mean, var: jnp.clip((x - mean) * jax.lax.rsqrt(var + 1e-8), -clip, clip),
        x,
        moments.mean,
        moments.var,
    )


def scale(moments: Moments, x: PyTree, *, clip: Numeric = 10.0) -> PyTree:
    """Divides `x` by the standard deviation, without shifting it, and clips the result."""
    return jax.tree.map(
        lambda x, var: jnp.clip(x * jax.lax.rsqrt(var + 1e-8), -clip, clip), x, moments.var
    )
