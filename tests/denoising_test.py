import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import denoising

MEAN = jnp.array([1.0, -2.0])
BASE = denoising.denoiser(MEAN, 4, noise=0.1)
CHAIN = denoising.sample(BASE, jax.random.key(0), 4000)


def test_chains_end_in_the_distribution():
    assert CHAIN.shape == (4000, 5, 2)
    np.testing.assert_allclose(CHAIN[:, -1].mean(0), 0.9 * MEAN, atol=0.06)
    np.testing.assert_allclose(CHAIN[:, -1].std(0), 1.0, atol=0.05)


def test_log_prob_by_definition():
    x = np.float64(CHAIN[:3])
    gain, shift, std = (np.float64(leaf) for leaf in BASE)
    for t in range(4):
        error = (x[:, t + 1] - gain[t] * x[:, t] - shift[t]) / std[t]
        expected = (-0.5 * error**2 - np.log(std[t]) - 0.5 * np.log(2 * np.pi)).sum(-1)
        np.testing.assert_allclose(denoising.log_prob(BASE, CHAIN[:3])[:, t], expected, rtol=1e-4)
    half = denoising.log_prob(BASE, CHAIN[:3], mean=True)
    np.testing.assert_allclose(half, denoising.log_prob(BASE, CHAIN[:3]) / 2, rtol=1e-5)


def test_the_score_has_mean_zero():
    """E[grad log pi] = 0 under pi."""
    slope = jax.grad(lambda p: denoising.log_prob(p, CHAIN).sum(-1).mean())(BASE)
    np.testing.assert_allclose(slope.shift, np.zeros((4, 2)), atol=0.12)


POINT = jnp.array([0.7, -0.3])
SCHEDULE = denoising.schedule(6)


def to_point(x, angle):
    """The velocity of samples that are all the same."""
    return (jnp.cos(angle) * x - POINT) / jnp.sin(angle)


def test_who_knows_the_velocity_denoises_exactly():
    """On the way x is as noisy as its angle says; at the end is the sample, but for the least."""
    chain = denoising.generate(SCHEDULE, to_point, jax.random.key(0), (4000, 2))
    assert chain.shape == (4000, 7, 2)
    angle = np.pi / 2 * np.arange(6, -1, -1) / 6
    deviation = np.maximum(np.sin(angle), 0.05)
    mean = np.cos(angle)[:, None] * np.asarray(POINT)
    np.testing.assert_allclose(chain.mean(0), mean, atol=0.06)
    np.testing.assert_allclose(chain.std(0), np.stack([deviation] * 2, -1), rtol=0.06)


def test_steps_are_those_of_bayes():
    """What led from b to a, given the sample, leads back: a product of two Gaussians."""
    later, earlier = np.float64(SCHEDULE.angle[2]), np.float64(SCHEDULE.angle[3])
    kept = np.cos(later) / np.cos(earlier)  # x_a = kept x_b + noise of variance 1 - kept^2
    precision = kept**2 / (1 - kept**2) + 1 / np.sin(earlier) ** 2
    x, sample = 0.4, 0.7
    mean = (kept * x / (1 - kept**2) + np.cos(earlier) * sample / np.sin(earlier) ** 2) / precision
    velocity = (np.cos(later) * x - sample) / np.sin(later)
    found = SCHEDULE.gain[2] * x + SCHEDULE.pull[2] * velocity
    np.testing.assert_allclose([found, SCHEDULE.std[2]], [mean, precision**-0.5], rtol=1e-4)


def test_noise_and_sample_follow_from_the_velocity():
    x, noise = jax.random.normal(jax.random.key(1), (2, 5, 2))
    angle = jnp.linspace(0.0, jnp.pi / 2, 5)
    noisy, velocity = jax.jit(denoising.add_noise)(angle, x, noise)
    part, rest = jnp.cos(angle)[:, None], jnp.sin(angle)[:, None]
    np.testing.assert_allclose(part * noisy - rest * velocity, x, atol=1e-5)
    np.testing.assert_allclose(rest * noisy + part * velocity, noise, atol=1e-5)
    np.testing.assert_allclose(noisy[0], x[0], atol=1e-6)
    np.testing.assert_allclose(velocity[-1], -x[-1], atol=1e-6)


def test_step_kl_is_the_mean_log_ratio():
    chain = denoising.generate(SCHEDULE, to_point, jax.random.key(0), (20000, 2))
    before, angle = chain[:, :-1], jnp.broadcast_to(SCHEDULE.angle[:, None], (6, 2))
    own = denoising.steer(SCHEDULE, jax.vmap(to_point, (0, None))(before, angle))
    other = own._replace(shift=0.9 * own.shift)
    ratio = denoising.log_prob(own, chain) - denoising.log_prob(other, chain)
    kl = jax.jit(denoising.step_kl)(own, other)
    np.testing.assert_allclose(kl.mean(0), ratio.mean(0), atol=0.05)
    slope = jax.grad(lambda shift: denoising.step_kl(own._replace(shift=shift), own).sum())
    assert not np.any(slope(own.shift))
    np.testing.assert_allclose(denoising.step_kl(own, own), 0.0)


def test_messages():
    with pytest.raises(AssertionError, match=r"log_prob: chain needs T \+ 1 states"):
        denoising.log_prob(BASE, CHAIN[:, 1:])
