"""The gymnax adapter is gymnax's own step without its reset, and refuses what it cannot adapt."""

import sys

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import networks
from rlax_pref.envs import CartPole, Gymnax
from rlax_pref.envs import cartpole as own
from rlax_pref.envs.check import sample_action
from rlax_pref.types import Box, Discrete

KEY = jax.random.key(0)


def shortened(name, limit):
    env = Gymnax(name)
    return Gymnax(name, env.params.replace(max_steps_in_episode=limit))


@pytest.mark.parametrize("name", ["CartPole-v1", "MountainCarContinuous-v0", "FrozenLake-misc"])
def test_is_gymnaxs_own_step(name):
    """Same states, both ends told apart, and the observation from before gymnax's reset."""
    env = shortened(name, 12)
    theirs, params = env.env, env.params

    def follow(state, key):
        key_action, key = jax.random.split(key)
        action = sample_action(env.action_space, key_action)
        key_step = jax.random.split(key)[0]  # theirs splits for its reset
        _, ours = env.step(key_step, state, action)
        _, state, reward, terminated, truncated, info = theirs.step(key, state, action, params)
        return state, (ours, reward, terminated, truncated, info["final_observation"])

    state, obs = env.reset(KEY)
    np.testing.assert_array_equal(obs, theirs.reset(KEY, params)[0])
    keys = jax.random.split(jax.random.key(1), 60)
    _, (ours, reward, terminated, truncated, last_obs) = jax.lax.scan(follow, state, keys)
    np.testing.assert_array_equal(ours.terminated, terminated)
    np.testing.assert_array_equal(ours.truncated, truncated & ~terminated)
    np.testing.assert_allclose(ours.reward, reward, rtol=1e-6)
    np.testing.assert_allclose(ours.last_obs, last_obs, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(ours.obs, ours.last_obs)
    assert ours.done.any()


def test_zeros_and_ones_are_bool():
    """They lose nothing, and networks take them as they are."""
    env = Gymnax("Breakout-MinAtar")
    state, obs = env.reset(KEY)
    theirs, _ = env.env.reset(KEY, env.params)
    assert obs.dtype == bool and obs.any() and not obs.all()
    np.testing.assert_array_equal(obs.astype(theirs.dtype), theirs)
    _, timestep = env.step(KEY, state, jnp.int32(0))
    assert timestep.obs.dtype == bool and timestep.last_obs.dtype == bool
    network = networks.actor_critic(env.action_space, (4,))
    params = network.init(KEY, obs.ravel())
    law, value = network.apply(params, obs.ravel())
    other_law, other_value = network.apply(params, theirs.ravel())
    np.testing.assert_allclose(law.logits, other_law.logits, rtol=1e-6)
    np.testing.assert_allclose(value, other_value, rtol=1e-6)


def test_is_our_cartpole():
    env, ours = Gymnax("CartPole-v1"), CartPole()
    theirs_step, ours_step = jax.jit(env.step), jax.jit(ours.step)
    theirs_state, obs = env.reset(KEY)
    ours_state = own.State(obs, jnp.int32(0))
    for i in range(40):
        action = jnp.int32(i % 3 == 0)
        theirs_state, theirs = theirs_step(KEY, theirs_state, action)
        ours_state, mine = ours_step(KEY, ours_state, action)
        np.testing.assert_allclose(theirs.last_obs, mine.last_obs, rtol=1e-4, atol=1e-5)
        assert theirs.terminated == mine.terminated
        assert theirs.reward == mine.reward or theirs.terminated
        if mine.done:
            break
    assert mine.terminated


def test_parameters_are_leaves():
    default = Gymnax("CartPole-v1").params

    @jax.vmap
    def worlds(gravity):
        return Gymnax("CartPole-v1", default.replace(gravity=gravity))

    batch = worlds(jnp.array([1.6, 9.8]))
    keys = jnp.stack([KEY, KEY])
    state, _ = jax.vmap(Gymnax.reset)(batch, keys)
    _, timestep = jax.jit(jax.vmap(Gymnax.step))(batch, keys, state, jnp.array([1, 1]))
    one = Gymnax("CartPole-v1", default.replace(gravity=1.6))
    _, expected = one.step(KEY, one.reset(KEY)[0], 1)
    np.testing.assert_allclose(timestep.obs[0], expected.obs, rtol=1e-6)
    assert not np.allclose(timestep.obs[0], timestep.obs[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("CartPole-v1", Discrete(2)),
        ("Pendulum-v1", Box(-2.0, 2.0, (1,))),
        ("Reacher-misc", Box(-1.0, 1.0, (2,))),
    ],
)
def test_action_spaces(name, space):
    assert Gymnax(name).action_space == space


def test_takes_an_environment_object():
    env, params = gymnax.make("Catch-bsuite")
    adapted = Gymnax(env, params)
    assert adapted.env is env and adapted.params is params
    state, obs = adapted.reset(KEY)
    _, timestep = adapted.step(KEY, state, jnp.int32(1))
    assert timestep.obs.shape == obs.shape


def test_unknown_name_gets_a_suggestion():
    with pytest.raises(ValueError, match="Did you mean 'CartPole-v1'"):
        Gymnax("CartPole-v0")


class Space:
    def __init__(self, low, high):
        self.low, self.high, self.shape = low, high, np.shape(low)

    def __repr__(self):
        return "Space(uneven)"


class Old:
    """The interface from before 1.0: no `is_truncated`, and one 'done'."""

    default_params = None
    reset_env = step_env = action_space = print


class Uneven(Old):
    is_truncated = print

    def action_space(self, params):
        return Space(np.array([-1.0, -2.0]), np.array([1.0, 2.0]))


def test_refuses_the_interface_from_before_1_0():
    with pytest.raises(ValueError, match=r"Old has no is_truncated.*pip install 'gymnax>=1.0' six"):
        Gymnax(Old())


def test_refuses_uneven_boxes():
    with pytest.raises(ValueError, match=r"Uneven: actions must be .* not Space\(uneven\)"):
        Gymnax(Uneven())


def test_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnax", None)
    message = r"gymnax/CartPole-v1 needs the package 'gymnax': pip install 'rlax_pref\[gymnax\]'"
    with pytest.raises(ImportError, match=message):
        Gymnax("CartPole-v1")


def test_package_that_gymnax_forgot_is_named(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.split(".")[0] == "gymnax"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "gymnax").mkdir()
    (tmp_path / "gymnax" / "__init__.py").write_text("import six_that_is_missing")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match="needs the package 'six_that_is_missing'"):
        Gymnax("CartPole-v1")
