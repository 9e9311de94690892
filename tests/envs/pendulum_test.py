"""Pendulum against Gymnasium's implementation, the time limit, and mechanics."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.envs import Pendulum
from rlax_pref.envs.pendulum import State
from rlax_pref.types import Box

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)
reset = jax.jit(Pendulum.reset)
step = jax.jit(Pendulum.step)


def at(theta=0.0, theta_dot=0.0, time=0):
    return State(jnp.float32(theta), jnp.float32(theta_dot), jnp.int32(time))


def test_is_gymnasiums_pendulum_step_by_step():
    oracle = gymnasium.make("Pendulum-v1").unwrapped
    oracle.reset(seed=0)
    rng = np.random.default_rng(0)
    for episode in range(3):
        state, obs = reset(Pendulum(), jax.random.key(episode))
        for _ in range(60):
            torque = rng.uniform(-3, 3, 1).astype(np.float32)  # beyond the motor's strength too
            oracle.state = np.array([state.theta, state.theta_dot], np.float64)
            state, timestep = step(Pendulum(), KEY, state, torque)
            obs, reward, terminated, _, _ = oracle.step(torque)
            np.testing.assert_allclose(timestep.obs, obs, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(timestep.reward, reward, rtol=1e-4, atol=1e-5)
            assert not terminated and timestep.discount == 1
            np.testing.assert_array_equal(timestep.last_obs, timestep.obs)


def test_starts_anywhere_and_slowly():
    state, obs = jax.vmap(lambda key: reset(Pendulum(), key))(jax.random.split(KEY, 500))
    assert np.abs(state.theta).max() <= np.pi and np.abs(state.theta_dot).max() <= 1
    assert np.ptp(state.theta) > 6 and np.ptp(state.theta_dot) > 1.9
    np.testing.assert_allclose(obs[:, 0] ** 2 + obs[:, 1] ** 2, 1, rtol=1e-5)


def test_only_the_time_limit_ends_an_episode():
    _, before = step(Pendulum(), KEY, at(time=198), jnp.zeros(1))
    _, limit = step(Pendulum(), KEY, at(time=199), jnp.zeros(1))
    assert not before.done
    assert limit.truncated and not limit.terminated


def test_worst_and_best_reward():
    """-(pi^2 + 8^2/10 + 2^2/1000) at the worst, 0 upright and at rest."""
    _, worst = step(Pendulum(), KEY, at(np.pi, 8.0), jnp.array([5.0]))
    _, best = step(Pendulum(), KEY, at(), jnp.zeros(1))
    np.testing.assert_allclose(worst.reward, -16.2736044, rtol=1e-5)
    assert best.reward == 0


@settings(deadline=None, max_examples=30)
@given(st.floats(-3, 3, width=32), st.floats(-7, 7, width=32), st.floats(-2, 2, width=32))
def test_left_mirrors_right(theta, theta_dot, torque):
    _, one = step(Pendulum(), KEY, at(theta, theta_dot), jnp.array([torque]))
    _, other = step(Pendulum(), KEY, at(-theta, -theta_dot), jnp.array([-torque]))
    mirror = np.array([1, -1, -1])
    np.testing.assert_allclose(one.obs, other.obs * mirror, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one.reward, other.reward, rtol=1e-5, atol=1e-6)


def test_a_batch_of_worlds_is_a_loop_over_them():
    lengths = jnp.array([0.5, 1.0, 2.0])
    worlds = jax.vmap(lambda length: Pendulum(length=length))(lengths)
    keys = jax.random.split(KEY, 3)
    states, _ = jax.jit(jax.vmap(Pendulum.reset))(worlds, keys)
    _, batch = jax.jit(jax.vmap(Pendulum.step))(worlds, keys, states, jnp.ones((3, 1)))
    for i in range(3):
        state = jax.tree.map(lambda x, i=i: x[i], states)
        _, one = step(Pendulum(length=lengths[i]), keys[i], state, jnp.ones(1))
        np.testing.assert_allclose(batch.obs[i], one.obs, rtol=1e-5)


def test_gradient_by_the_torque():
    """d theta_dot' / d tau = 3 dt / (m l^2) while the motor is not at its limit, else 0."""

    def speed(torque):
        return Pendulum(mass=2.0).step(KEY, at(0.3), torque[None])[1].obs[2]

    np.testing.assert_allclose(jax.grad(speed)(jnp.float32(1.0)), 3 * 0.05 / 2, rtol=1e-5)
    assert jax.grad(speed)(jnp.float32(2.5)) == 0


def test_action_space():
    assert Pendulum().action_space == Box(-2.0, 2.0, (1,))
    assert Pendulum(max_torque=1.0).action_space == Box(-1.0, 1.0, (1,))
