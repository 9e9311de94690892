"""Distances and diversity of sets of samples, rewards of whole batches."""

import jax
import jax.numpy as jnp

from rlax_pref.types import Array


def frechet_distance(mean: Array, cov: Array, other_mean: Array, other_cov: Array) -> Array:
    """Squared distance of two Gaussians, Fréchet's (Dowson & Landau, 1982).

        |mean - other_mean|^2 + tr(cov + other_cov - 2 (cov other_cov)^(1/2))

    Args:
      mean: `[D]`.
      cov: `[D, D]` symmetric, with eigenvalues >= 0.
      other_mean: `[D]`.
      other_cov: `[D, D]`.

    Returns:
      `[]` >= 0, detached: it serves as a reward. Beyond two dimensions it takes eigenvalues, which
      are found one matrix after the other under `jax.vmap`.
    """
    mean, cov, other_mean, other_cov = jax.lax.stop_gradient((mean, cov, other_mean, other_cov))
    cross = (_small if cov.shape[0] <= 2 else _trace_of_root)(cov, other_cov)
    square = jnp.square(mean - other_mean).sum() + jnp.trace(cov) + jnp.trace(other_cov) - 2 * cross
    return jnp.maximum(square, 0.0)


def moments(x: Array) -> tuple[Array, Array]:
    """Mean `[D]` and covariance `[D, D]` of samples, for `frechet_distance` (Heusel et al., 2017).

    Args:
      x: `[N, D]` with N > D, or the covariance is singular; divided by N - 1.
    """
    mean = x.mean(0, keepdims=True)
    centred = x - mean
    return mean[0], centred.T @ centred / max(x.shape[0] - 1, 1)


def vendi(kernel: Array) -> Array:
    """How many different samples there are, in effect (Friedman & Dieng, 2022, arXiv:2210.02410).

        exp(-sum_i l_i log l_i),    l = eigenvalues of kernel / N

    Args:
      kernel: `[N, N]` similarities, symmetric, with eigenvalues >= 0 and 1 on the diagonal.

    Returns:
      `[]` from 1, all alike, to N, nothing in common; detached.
    """
    kernel = jax.lax.stop_gradient(kernel)
    share = jnp.maximum(_eigenvalues(kernel / kernel.shape[0]), 0.0)
    return jnp.exp(-jnp.sum(jnp.where(share > 0, share * jnp.log(jnp.maximum(share, 1e-30)), 0.0)))


@jax.custom_batching.sequential_vmap
def _eigenvalues(x: Array) -> Array:
    return jnp.linalg.eigvalsh(x)


@jax.custom_batching.sequential_vmap
def _trace_of_root(cov: Array, other: Array) -> Array:
    """Trace of `(cov other)^(1/2)`, whose eigenvalues are those of a symmetric product."""
    values, vectors = jnp.linalg.eigh(cov)
    root = (vectors * jnp.sqrt(jnp.maximum(values, 0.0))[None, :]) @ vectors.T
    return jnp.sqrt(jnp.maximum(jnp.linalg.eigvalsh(root @ other @ root), 0.0)).sum()


def _small(cov: Array, other: Array) -> Array:
    """The same of at most two dimensions: `(sqrt(a) + sqrt(b))^2 = a + b + 2 sqrt(a b)`."""
    root_of_det = lambda x: jnp.sqrt(jnp.maximum(x[0, 0] * x[1, 1] - x[0, 1] * x[1, 0], 0.0))
    square = jnp.sum(cov * other)
    if cov.shape[0] == 2:
        square += 2 * root_of_det(cov) * root_of_det(other)
    return jnp.sqrt(jnp.maximum(square, 0.0))
