"""The brax adapter: raw physics, falls apart from time limits, and every start a new one."""

import os
import subprocess
import sys
import warnings

import brax.envs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brax.envs.wrappers import training

from rlax_pref.envs import AutoReset, Brax, check_env
from rlax_pref.envs.registry import ENVS
from rlax_pref.types import Box

KEY = jax.random.key(0)


def test_fast_by_hand():
    """Each positive action adds dt = .02 to the speed; the reward is the place reached."""
    env = Brax("fast", time_limit=3)
    state, obs = env.reset(KEY)
    np.testing.assert_array_equal(obs, [0, 0])
    place = 0.0
    for i, (action, speed) in enumerate([(1.0, 0.02), (-1.0, 0.02), (0.5, 0.04)]):
        state, timestep = env.step(KEY, state, jnp.array([action]))
        place += 0.02 * speed
        np.testing.assert_allclose(timestep.obs, [place, speed], rtol=1e-5)
        np.testing.assert_allclose(timestep.reward, place, rtol=1e-5)
        assert timestep.truncated == (i == 2)
        assert not timestep.terminated


def test_fast_keeps_the_contract():
    with pytest.warns(UserWarning, match="same start"):  # it has no chance in it
        check_env(Brax("fast", time_limit=4))


def test_time_limit_is_a_leaf():
    worlds = jax.vmap(lambda limit: Brax("fast", time_limit=limit))(jnp.array([1, 2]))
    keys = jax.random.split(KEY, 2)
    state, _ = jax.vmap(Brax.reset)(worlds, keys)
    _, timestep = jax.vmap(Brax.step)(worlds, keys, state, jnp.zeros((2, 1)))
    np.testing.assert_array_equal(timestep.truncated, [True, False])


def test_falls_terminate_and_every_start_is_new():
    """A pole that is pushed to one side falls, or the limit comes first; both many times."""
    env = AutoReset(Brax("inverted_pendulum", time_limit=10))

    def run(key, push):
        key_begin, key_run = jax.random.split(key)
        state, obs = env.reset(key_begin)

        def advance(state, key):
            return env.step(key, state, jnp.full(env.action_space.shape, push))

        return obs, jax.lax.scan(advance, state, jax.random.split(key_run, 40))[1]

    runs = jax.jit(jax.vmap(run))
    first, timestep = runs(jax.random.split(KEY, 2), jnp.array([0.0, 1.0]))
    assert timestep.truncated[0].sum() == 4 and not timestep.terminated[0].any()
    assert timestep.terminated[1].sum() > 4
    assert not np.any(timestep.terminated & timestep.truncated)
    for i in range(2):
        done = np.asarray(timestep.done[i])
        starts = np.concatenate([np.asarray(first[i])[None], np.asarray(timestep.obs[i])[done]])
        assert len(np.unique(starts, axis=0)) == done.sum() + 1
        assert np.all(np.abs(starts) < 0.1)
        np.testing.assert_array_equal(timestep.obs[i][~done], timestep.last_obs[i][~done])
    fallen = timestep.last_obs[1][np.asarray(timestep.terminated[1])]
    assert np.all(np.abs(fallen[:, 1]) > 0.2)  # rad: how far it leans when brax calls it fallen


def test_does_not_change_the_state_it_is_given():
    """Some of brax's environments write into the dicts of the state; the adapter does not."""

    class Scribbles(brax.envs.fast.Fast):
        def reset(self, rng):
            return super().reset(rng).replace(metrics={"steps": jnp.zeros(())})

        def step(self, state, action):
            state.metrics.update(steps=state.metrics["steps"] + 1)
            return super().step(state, action)

    env = Brax(Scribbles())
    state, _ = env.reset(KEY)
    after, _ = env.step(KEY, state, jnp.zeros(1))
    assert state.brax.metrics["steps"] == 0 and after.brax.metrics["steps"] == 1


def test_actions_are_clipped():
    class Echo(brax.envs.fast.Fast):
        def step(self, state, action):
            return super().step(state, action).replace(reward=action[0])

    env = Brax(Echo())
    state, _ = env.reset(KEY)
    assert env.action_space == Box(-1.0, 1.0, (1,))
    assert env.step(KEY, state, jnp.array([3.0]))[1].reward == 1
    assert env.step(KEY, state, jnp.array([-3.0]))[1].reward == -1


@pytest.mark.parametrize(
    "wrap",
    [
        lambda env: training.EpisodeWrapper(env, 1000, 1),
        training.AutoResetWrapper,
        lambda env: training.VmapWrapper(env, 2),
        lambda env: brax.envs.Wrapper(training.AutoResetWrapper(env)),
    ],
)
def test_refuses_braxs_own_resetting(wrap):
    with pytest.raises(ValueError, match=r"wrapped in brax's \w+Wrapper; pass the raw one"):
        Brax(wrap(brax.envs.fast.Fast()))


def test_refuses_observations_of_several_arrays():
    env = Brax("fast", obs_mode="dict_state")
    with pytest.raises(ValueError, match="Fast: the observation must be one array, not dict"):
        env.reset(KEY)


def test_names_that_do_not_work():
    with pytest.raises(ValueError, match="Did you mean 'ant'"):
        Brax("aunt")
    if brax.__version__ == "0.14.2":
        with pytest.raises(ValueError, match=r"brax/swimmer does not run: brax 0\.14\.2"):
            Brax("swimmer")


def test_is_quiet():
    """No word about the optional packages of brax, nor about its maintenance."""
    code = "from rlax_pref.envs import Brax; Brax('inverted_pendulum')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout == ""
    assert "maintained" not in result.stderr
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Brax("reacher")


@pytest.mark.skipif("RLAX_PREF_SLOW" not in os.environ, reason="minutes; set RLAX_PREF_SLOW=1")
def test_every_robot_keeps_the_contract():
    for name in ENVS:
        if name.startswith("brax/") and name not in ("brax/fast", "brax/swimmer"):
            check_env(Brax(name.removeprefix("brax/"), time_limit=4), num_steps=8)
