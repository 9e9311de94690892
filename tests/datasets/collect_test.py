"""What policies do becomes rows: every environment's own, in order, and cut where it stopped."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from rlax_pref import datasets, envs
from rlax_pref.envs.cartpole import State
from rlax_pref.types import Box, Discrete, Policy

STILL = Policy(lambda key: (), lambda memory, obs, key: (memory, jnp.int32(1)))


@settings(deadline=None, max_examples=30)
@given(data=st.data(), length=st.integers(1, 5), num_envs=st.integers(1, 3))
def test_rows_of_a_rollout(data, length, num_envs):
    """Against a plain loop over environments and steps, whatever ends where."""
    draw = np.random.default_rng(data.draw(st.integers(0, 1000)))
    ends = draw.integers(0, 3, (length, num_envs))
    rollout = envs.Rollout(
        obs_tm1=draw.normal(size=(length, num_envs, 2)),
        a_tm1=draw.integers(0, 9, (length, num_envs)),
        r_t=draw.normal(size=(length, num_envs)),
        terminated_t=ends == 1,
        truncated_t=ends == 2,
        obs_t=draw.normal(size=(length, num_envs, 2)),
    )
    rows = datasets.from_rollout(rollout)
    order = [(t, e) for e in range(num_envs) for t in range(length)]
    for name in ("obs_tm1", "a_tm1", "r_t", "obs_t"):
        expected = [getattr(rollout, name)[at] for at in order]
        np.testing.assert_array_equal(getattr(rows, name), expected)
    np.testing.assert_array_equal(rows.discount_t, [ends[at] != 1 for at in order])
    cut = [ends[t, e] == 2 or (t == length - 1 and ends[t, e] != 1) for t, e in order]
    np.testing.assert_array_equal(rows.truncated_t, cut)
    assert rows.valid_t.all()


def test_collected_written_and_read(tmp_path):
    """Trajectories are whole, and come back from a file bit for bit."""
    env = envs.CartPole()
    data = datasets.collect(env, STILL, jax.random.key(0), 50, num_envs=4)
    assert len(data.r_t) == 52 and data.discount_t.min() == 0
    over = (data.discount_t == 0) | data.truncated_t
    np.testing.assert_array_equal(np.flatnonzero(over)[-1], 51)
    np.testing.assert_array_equal(data.obs_t[:-1][~over[:-1]], data.obs_tm1[1:][~over[:-1]])
    # Every step is the environment's own.
    step = jax.vmap(lambda obs, action: env.step(None, State(obs, 0), action)[1].last_obs)
    np.testing.assert_allclose(step(data.obs_tm1, data.a_tm1), data.obs_t, rtol=1e-5, atol=1e-6)
    datasets.d4rl.save(tmp_path / "still.npz", data)
    back = datasets.load_transitions(tmp_path / "still.npz").data
    for x, y in zip(jax.tree.leaves(back), jax.tree.leaves(data), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("noise", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("space", [Discrete(4), Box(-2.0, 1.0, (3,))])
def test_noise_is_the_share_of_actions_drawn(space, noise):
    """Of 4000 actions; those that are drawn come evenly from all there are."""
    own = jnp.int32(2) if isinstance(space, Discrete) else jnp.full(3, 7.0)
    policy = Policy(lambda key: (), lambda memory, obs, key: (memory, own))
    act = datasets.noisy(policy, space, noise).act
    action = jax.vmap(lambda key: act((), jnp.zeros(1), key)[1])(
        jax.random.split(jax.random.key(1), 4000)
    )
    assert action.dtype == own.dtype
    if isinstance(space, Discrete):
        share = np.bincount(action, minlength=4) / 4000
        np.testing.assert_allclose(share, noise / 4 + (1 - noise) * np.eye(4)[2], atol=0.03)
    else:
        drawn = np.asarray(action)[np.asarray(action)[:, 0] != 7.0]
        np.testing.assert_allclose(len(drawn) / 4000, noise, atol=0.03)
        if noise:
            np.testing.assert_allclose(drawn.mean(), -0.5, atol=0.1)
            assert drawn.min() >= -2.0 and drawn.max() <= 1.0


def test_mixed_quality():
    parts = [
        datasets.collect(envs.CartPole(), STILL, jax.random.key(0), 6, num_envs=2, noise=noise)
        for noise in (0.0, 1.0)
    ]
    both = datasets.concatenate(*parts)
    np.testing.assert_array_equal(both.a_tm1[:6], np.ones(6))
    np.testing.assert_array_equal(both.obs_t[6:], parts[1].obs_t)


def test_what_cannot_be_collected():
    for settings_, what in (
        ({"num_steps": 0}, "num_steps=0"),
        ({"num_steps": 1, "num_envs": 0}, "num_envs=0"),
        ({"num_steps": 1, "noise": 1.5}, "noise=1.5 must be a probability"),
    ):
        with pytest.raises(ValueError, match=what):
            datasets.collect(envs.CartPole(), STILL, jax.random.key(0), **settings_)
