"""Policies squashed into bounds."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref.networks._plain import Network, mlp
from rlax_pref.types import Array, Key, PyTree


def squashed_policy(
    num_actions: int,
    hidden: Sequence[int],
    *,
    activation: str = "relu",
    log_std_range: tuple[float, float] = (-5.0, 2.0),
    dtype: str = "float32",
) -> Network:
    """A Gaussian policy squashed into [-1, 1] by tanh (Haarnoja et al., 2018, arXiv:1801.01290).

    Args:
      num_actions: A, dimensions of the action.
      hidden: widths of the hidden layers.
      activation: one of `ACTIVATIONS`.
      log_std_range: bounds that the log standard deviations come near to, but never reach.
      dtype: of computation; see `mlp`.

    Returns:
      `apply(params, obs [..., D])` is a `Squashed` law over `[..., A]`.
    """
    tower = mlp(hidden, 2 * num_actions, activation=activation, last_scale=0.01, dtype=dtype)
    low, high = log_std_range

    def apply(params: PyTree, obs: Array) -> Squashed:
        mean, raw = jnp.split(tower.apply(params, obs), 2, axis=-1)
        return Squashed(mean, low + (high - low) * jax.nn.sigmoid(raw))

    return Network(tower.init, apply)


class Squashed(NamedTuple):
    """The law of tanh(u), u Gaussian with independent dimensions."""

    mean: Array  # [..., A] of u
    log_std: Array  # [..., A] of u

    def sample_and_log_prob(self, seed: Key) -> tuple[Array, Array]:
        """`[..., A]` actions and their `[...]` log densities, exact at the bounds, too."""
        noise = jax.random.normal(seed, self.mean.shape)
        u = self.mean + jnp.exp(self.log_std) * noise
        log_prob = -0.5 * jnp.square(noise) - self.log_std - 0.5 * jnp.log(2.0 * jnp.pi)
        return jnp.tanh(u), (log_prob - tanh_log_slope(u)).sum(-1)

    def sample(self, seed: Key) -> Array:
        """`[..., A]` actions."""
        return self.sample_and_log_prob(seed)[0]

    def mode(self) -> Array:
        """`[..., A]` what it does when it is not exploring."""
        return jnp.tanh(self.mean)


def tanh_log_slope(u: Array) -> Array:
    """`log(1 - tanh(u)^2)`, without taking a number near 1 from 1."""
    return 2.0 * (jnp.log(2.0) - u - jax.nn.softplus(-2.0 * u))
