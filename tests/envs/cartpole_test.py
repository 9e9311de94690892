"""CartPole against Gymnasium's implementation, mechanics by hand, and its two kinds of end."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.envs import CartPole
from rlax_pref.envs.cartpole import State
from rlax_pref.types import Discrete

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)
reset = jax.jit(CartPole.reset)
step = jax.jit(CartPole.step)


def at(x=0.0, x_dot=0.0, theta=0.0, theta_dot=0.0, time=0):
    return State(jnp.array([x, x_dot, theta, theta_dot], jnp.float32), jnp.int32(time))


def test_is_gymnasiums_cartpole_step_by_step():
    oracle = gymnasium.make("CartPole-v1").unwrapped
    oracle.reset(seed=0)
    rng = np.random.default_rng(0)
    ends = 0
    for episode in range(5):
        state, obs = reset(CartPole(), jax.random.key(episode))
        assert np.abs(obs).max() <= 0.05
        oracle.steps_beyond_terminated = None
        done = False
        while not done:
            action = int(rng.integers(2))
            oracle.state = np.asarray(obs, np.float64)
            state, timestep = step(CartPole(), KEY, state, action)
            expected, reward, terminated, _, _ = oracle.step(action)
            obs = timestep.obs
            np.testing.assert_allclose(obs, expected, rtol=1e-5, atol=1e-6)
            assert timestep.reward == reward == 1
            assert timestep.terminated == terminated
            assert not timestep.truncated
            done = bool(timestep.done)
        ends += terminated
    assert ends == 5


def test_one_push_from_rest_by_hand():
    """Upright and at rest, u = F / M, theta_acc = -u / (l (4/3 - m/M)), x_acc = u - m l .../M."""
    state, timestep = step(CartPole(), KEY, at(), 1)
    u = 10 / 1.1
    theta_acc = -u / (0.5 * (4 / 3 - 0.1 / 1.1))
    expected = [0, 0.02 * (u - 0.05 * theta_acc / 1.1), 0, 0.02 * theta_acc]
    np.testing.assert_allclose(timestep.obs, expected, rtol=1e-5)
    assert state.time == 1
    np.testing.assert_array_equal(timestep.last_obs, timestep.obs)


@pytest.mark.parametrize(
    ("state", "terminated"),
    [
        (at(x=2.39), False),
        (at(x=2.39, x_dot=1.0), True),
        (at(x=-2.39, x_dot=-1.0), True),
        (at(theta=np.radians(11.9)), False),
        (at(theta=np.radians(11.9), theta_dot=1.0), True),
        (at(theta=np.radians(-11.9), theta_dot=-1.0), True),
    ],
)
def test_terminates_off_the_track_or_leaning_too_far(state, terminated):
    _, timestep = step(CartPole(), KEY, state, 0)
    assert timestep.terminated == terminated
    assert timestep.discount == 1 - terminated
    assert timestep.reward == 1


def test_time_limit_truncates_unless_it_fell_anyway():
    _, before = step(CartPole(), KEY, at(time=498), 0)
    _, limit = step(CartPole(), KEY, at(time=499), 0)
    _, fallen = step(CartPole(), KEY, at(time=499, x=2.39, x_dot=1.0), 0)
    assert not before.done
    assert limit.truncated and not limit.terminated
    assert fallen.terminated and not fallen.truncated
    _, short = step(CartPole(time_limit=3), KEY, at(time=2), 0)
    assert short.truncated


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-0.25, 0.25, width=32), min_size=4, max_size=4), st.integers(0, 1))
def test_left_mirrors_right(values, action):
    _, one = step(CartPole(), KEY, at(*values), action)
    _, other = step(CartPole(), KEY, at(*(-v for v in values)), 1 - action)
    np.testing.assert_allclose(one.obs, -other.obs, rtol=1e-6, atol=1e-7)
    assert one.discount == other.discount


def test_a_batch_of_worlds_is_a_loop_over_them():
    gravities = jnp.array([1.6, 9.8, 20.0])
    worlds = jax.vmap(lambda gravity: CartPole(gravity=gravity))(gravities)
    keys = jax.random.split(KEY, 3)
    states, _ = jax.jit(jax.vmap(CartPole.reset))(worlds, keys)
    states = states._replace(motion=states.motion.at[:, 2].set(0.1))
    _, batch = jax.jit(jax.vmap(CartPole.step))(worlds, keys, states, jnp.array([0, 1, 1]))
    for i, action in enumerate([0, 1, 1]):
        state = jax.tree.map(lambda x, i=i: x[i], states)
        _, one = step(CartPole(gravity=gravities[i]), keys[i], state, action)
        np.testing.assert_allclose(batch.obs[i], one.obs, rtol=1e-6)
    assert len(np.unique(batch.obs[:, 3])) == 3


def test_gradient_by_the_force_is_a_difference_quotient():
    def speed(force):
        return CartPole(force=force).step(KEY, at(theta=0.1), 1)[1].obs[1]

    quotient = (speed(11.0) - speed(9.0)) / 2
    np.testing.assert_allclose(jax.grad(speed)(10.0), quotient, rtol=1e-4)


def test_action_space():
    assert CartPole().action_space == Discrete(2)
