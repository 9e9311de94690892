"""A record holds what happened, in order, episode after episode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.envs import CartPole, rollout
from rlax_pref.types import Policy

pytestmark = pytest.mark.usefixtures("strict")

ENV = CartPole(time_limit=12)
COUNTER = Policy(lambda key: jnp.int32(0), lambda memory, obs, key: (memory + 1, memory % 2))
RIGHT = Policy(lambda key: (), lambda memory, obs, key: (memory, jnp.int32(1)))


def record(policy, key):
    return rollout(ENV, policy, key, 3, 30)


def test_what_is_recorded_is_what_the_environment_does():
    """Every step, done again by hand, leads where the record says."""
    seen = jax.jit(lambda key: record(RIGHT, key))(jax.random.key(0))
    assert seen.obs_tm1.shape == (30, 3, 4)
    x, x_dot, theta, theta_dot = jnp.moveaxis(seen.obs_tm1, -1, 0)
    # Explicit Euler: positions move by the speeds of the state that is acted in.
    np.testing.assert_allclose(seen.obs_t[..., 0], x + ENV.dt * x_dot, atol=1e-6)
    np.testing.assert_allclose(seen.obs_t[..., 2], theta + ENV.dt * theta_dot, atol=1e-6)
    np.testing.assert_array_equal(seen.r_t, 1)
    np.testing.assert_array_equal(seen.a_tm1, 1)
    # Pushed one way only, the pole falls within the time limit, and all begins anew.
    assert seen.terminated_t.sum() >= 6 and not seen.truncated_t.any()
    done = np.asarray(seen.terminated_t)[:-1]
    goes_on = np.asarray(seen.obs_tm1[1:] == seen.obs_t[:-1]).all(-1)
    np.testing.assert_array_equal(goes_on, ~done)
    assert np.abs(np.asarray(seen.obs_tm1[1:])[done]).max() <= ENV.max_start


def test_memory_begins_anew_with_every_episode():
    seen = jax.jit(lambda key: record(COUNTER, key))(jax.random.key(1))
    done = np.asarray(seen.terminated_t | seen.truncated_t)
    assert seen.truncated_t.any()
    for env in range(3):
        age = 0
        for time in range(30):
            assert int(seen.a_tm1[time, env]) == age % 2
            age = 0 if done[time, env] else age + 1


def test_policies_observe_what_their_actions_brought():
    """A step pays 1: to count what was paid is to count steps."""
    counter = Policy(
        lambda key: jnp.float32(0.0),
        lambda memory, obs, key: (memory, (memory % 2).astype(jnp.int32)),
        lambda memory, timestep: memory + timestep.reward,
    )
    seen = jax.jit(lambda key: record(counter, key))(jax.random.key(1))
    expected = jax.jit(lambda key: record(COUNTER, key))(jax.random.key(1))
    np.testing.assert_array_equal(seen.a_tm1, expected.a_tm1)


def test_policies_are_a_batch_axis():
    def one(action, key):
        return record(Policy(lambda key: (), lambda memory, obs, key: (memory, action)), key)

    seen = jax.jit(jax.vmap(one))(jnp.array([0, 1]), jax.random.split(jax.random.key(2), 2))
    assert seen.r_t.shape == (2, 30, 3)
    np.testing.assert_array_equal(seen.a_tm1[0], 0)
    np.testing.assert_array_equal(seen.a_tm1[1], 1)


def test_gradients_flow_through_the_world():
    def reached(gravity):
        env = CartPole(gravity=gravity)
        return rollout(env, RIGHT, jax.random.key(0), 1, 3).obs_t[-1, 0, 3]

    gradient = jax.jit(jax.grad(reached))(9.8)
    assert np.isfinite(gradient) and gradient != 0
