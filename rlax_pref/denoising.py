"""Denoising as a process: a chain of Gaussian steps from noise to a sample."""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref.types import Array, Key, Numeric, PyTree


class Denoiser(NamedTuple):
    """Linear Gaussian steps `x' ~ N(gain_t * x + shift_t, std_t^2)`, from noise `N(0, 1)`.

    The first step is the noisiest. The smallest model of a diffusion: every log-probability, and
    the distribution at the end, is known. Where shifts depend on x, as in `steer`, it is a
    diffusion of any kind.
    """

    gain: Array  # [T]
    shift: Array  # [T, D]; of given chains [..., T, D]
    std: Array  # [T] > 0


def denoiser(mean: Array, num_steps: int, *, noise: float = 0.05) -> Denoiser:
    """The exact reverse of adding noise to `N(mean, I)` (Ho et al., 2020, arXiv:2006.11239).

        x_{t-1} | x_t ~ N(sqrt(abar_{t-1}) mean + sqrt(alpha) (x_t - sqrt(abar_t) mean), 1 - alpha)

    with `abar_t = alpha^t` and alpha such that `abar_T = noise`. What little of the mean is left in
    the noise is missing at the end, too: samples have mean `(1 - noise) mean`.

    Args:
      mean: `[D]`.
      num_steps: T.
      noise: abar_T in (0, 1).
    """
    alpha = noise ** (1.0 / num_steps)
    time = jnp.arange(num_steps, 0, -1)
    later, earlier = (jnp.sqrt(alpha ** x.astype(jnp.float32)) for x in (time, time - 1))
    gain = jnp.full((num_steps,), alpha**0.5, jnp.float32)
    shift = (earlier - gain * later)[:, None] * mean[None, :]
    return Denoiser(gain, shift, jnp.full((num_steps,), (1 - alpha) ** 0.5, jnp.float32))


def sample(params: Denoiser, key: Key, num: int) -> Array:
    """Draws `[num, T + 1, D]` chains, from noise at index 0 to samples at index T."""
    return _walk(params, key, (num, params.shift.shape[-1]), lambda at, x: at.shift[None, :])


def log_prob(params: Denoiser, chain: Array, *, mean: bool = False) -> Array:
    """Log-density of each step of chains `[..., T + 1, D]`: `[..., T]`.

    Args:
      params: of the policy.
      chain: as of `sample` or `generate`.
      mean: over the D dimensions, as codes for images have it, instead of their sum: a policy that
        moves by the same nat counts D times less.
    """
    chex.assert_axis_dimension(
        chain,
        -2,
        params.gain.shape[0] + 1,
        custom_message="log_prob: chain needs T + 1 states",
    )
    before, after = chain[..., :-1, :], chain[..., 1:, :]
    std = params.std[:, None]
    gain = params.gain[:, None]
    shape = after.shape
    expected = jnp.broadcast_to(gain, shape) * before + jnp.broadcast_to(params.shift, shape)
    error = (after - expected) / jnp.broadcast_to(std, shape)
    each = -0.5 * jnp.square(error) - jnp.broadcast_to(jnp.log(std), shape) - 0.9189385
    return each.mean(-1) if mean else each.sum(-1)


# Chains of a network ------------------------------------------------------------------------


class Schedule(NamedTuple):
    """Steps from noise to a sample. At `angle`, x is `cos` parts sample and `sin` parts noise."""

    angle: Array  # [T] where each step begins, from pi/2
    gain: Array  # [T] what a step keeps of x
    pull: Array  # [T] what it adds of the velocity
    std: Array  # [T] > 0


Velocity = Callable[[Array, Array], Array]  # (x [..., D], angle []) -> [..., D]


def schedule(num_steps: int, least_std: Numeric = 0.05) -> Schedule:
    """Equal steps of the angle, as random as adding noise was (Ho et al., 2020, arXiv:2006.11239).

        x' = cos(b) sample + sqrt(sin(b)^2 - std^2) noise + std * fresh,    b < a
        std = sin(b) / sin(a) * sqrt(1 - (cos(a) / cos(b))^2)

    for a step from angle a to b, with the sample and the noise that x is thought to be made of.

    Args:
      num_steps: T.
      least_std: what stands in for smaller `std`: the last step, to the sample itself, would have
        none, and no density.
    """
    begin, end = (np.pi / 2 * (np.arange(num_steps, 0, -1) - later) / num_steps for later in (0, 1))
    std = np.sin(end) / np.sin(begin) * np.sqrt(1 - (np.cos(begin) / np.cos(end)) ** 2)
    kept = np.sqrt(np.maximum(np.sin(end) ** 2 - std**2, 0.0))
    gain = np.cos(end) * np.cos(begin) + kept * np.sin(begin)
    pull = kept * np.cos(begin) - np.cos(end) * np.sin(begin)
    parts = Schedule(*(jnp.asarray(x, jnp.float32) for x in (begin, gain, pull, std)))
    return parts._replace(std=jnp.maximum(parts.std, least_std))


def add_noise(angle: Array, x: Array, noise: Array) -> tuple[Array, Array]:
    """Mixes samples with noise, for a network to tell apart (Salimans & Ho, 2022).

        noisy    = cos(angle) x + sin(angle) noise
        velocity = cos(angle) noise - sin(angle) x

    Whoever knows the velocity v of a noisy x knows its noise, `sin(angle) x + cos(angle) v`, and
    its sample, `cos(angle) x - sin(angle) v`. Unlike the noise it is worth knowing at every angle:
    where all is noise, it is minus the sample.

    Args:
      angle: `[...]` from 0, no noise, to pi/2, nothing else.
      x: `[..., D]` samples.
      noise: `[..., D]` standard normal.

    Returns:
      `(noisy, velocity)`, `[..., D]` each. To regress on the velocity is to learn to denoise.
    """
    sample, rest = jnp.cos(angle)[..., None], jnp.sin(angle)[..., None]
    return sample * x + rest * noise, sample * noise - rest * x


def steer(schedule: Schedule, velocity: Array) -> Denoiser:
    """The steps that velocities `[..., T, D]` lead to, one from each state of given chains."""
    pull = jnp.broadcast_to(schedule.pull[:, None], velocity.shape)
    return Denoiser(schedule.gain, pull * velocity, schedule.std)


def generate(schedule: Schedule, velocity: Velocity, key: Key, shape: tuple[int, ...]) -> Array:
    """Draws chains of a network: `[*shape, T + 1, D]`, where `velocity` answers `[*shape, D]`.

    Args:
      schedule: of the steps.
      velocity: `(x [*shape, D], angle []) -> [*shape, D]`.
      key: of the noise.
      shape: of the samples, `[*shape, D]` in full.
    """
    return _walk(schedule, key, shape, lambda at, x: at.pull * velocity(x, at.angle))


def step_kl(params: Denoiser, other: Denoiser) -> Array:
    """Divergence of each step from another chain's: `[..., T]` nats.

        KL_t = |shift_t - other shift_t|^2 / (2 std_t^2)

    On chains of `params`, the mean of its sum over t is the divergence of the whole chains, and
    the samples at their ends diverge by no more.

    Args:
      params: of the policy, on given chains.
      other: on the same chains, with the same gains and deviations.
    """
    square = jnp.square(params.shift - other.shift).sum(-1)
    return 0.5 * square / jnp.broadcast_to(jnp.square(params.std), square.shape)


def _walk(
    steps: PyTree, key: Key, shape: tuple[int, ...], shift: Callable[[Any, Array], Array]
) -> Array:
    key_noise, key_steps = jax.random.split(key)
    start = jax.random.normal(key_noise, shape)
    noise = jax.random.normal(key_steps, (steps.gain.shape[0], *start.shape))

    def step(x: Array, inputs: tuple[Any, Array]) -> tuple[Array, Array]:
        at, noise = inputs
        x = at.gain * x + shift(at, x) + at.std * noise
        return x, x

    _, chain = jax.lax.scan(step, start, (steps, noise))
    return jnp.moveaxis(jnp.concatenate([start[None], chain]), 0, -2)
