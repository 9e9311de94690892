"""Data for agents by name: arrays or a file of them, to those that learn from any."""

import jax
import numpy as np
import pytest

from rlax_pref import agents, datasets, envs
from rlax_pref.types import Transition

SMALL = {"num_envs": 2, "batch_size": 4, "hidden": (4,), "capacity": 10, "collect": False}


@pytest.fixture(scope="module")
def data():
    draw = np.random.default_rng(0)
    obs = draw.normal(size=(11, 4)).astype(np.float32)
    return Transition(
        obs_tm1=obs[:-1],
        a_tm1=draw.integers(0, 2, 10).astype(np.int32),
        r_t=draw.normal(size=10).astype(np.float32),
        discount_t=(np.arange(10) != 4).astype(np.float32),
        truncated_t=np.arange(10) == 9,
        valid_t=np.ones(10, bool),
        obs_t=obs[1:],
    )


def test_a_file_is_as_good_as_its_arrays(data, tmp_path):
    """Both fill the store with the same rows, shared out in their order."""
    datasets.d4rl.save(tmp_path / "data.npz", data)
    for given in (data, tmp_path / "data.npz", str(tmp_path / "data.npz")):
        agent = agents.make("dqn", envs.CartPole(), SMALL, given)
        store = jax.eval_shape(agent.init, jax.random.key(0)).actor.replay.data
        assert store.obs_t.shape == (2, 5, 4)
    store = jax.jit(agent.init)(jax.random.key(0)).actor.replay.data
    for name in ("obs_tm1", "a_tm1", "r_t", "truncated_t", "valid_t", "obs_t"):
        kept = np.asarray(getattr(store, name))
        np.testing.assert_array_equal(kept.reshape(10, *kept.shape[2:]), getattr(data, name))
    np.testing.assert_array_equal(np.asarray(store.discount_t).ravel() == 0, np.arange(10) == 4)


def test_agents_that_take_none(data, tmp_path):
    with pytest.raises(ValueError, match="ppo learns from what it does itself, and takes no data"):
        agents.make("ppo", envs.CartPole(), data=data)
    with pytest.raises(ValueError, match="ppo does not learn from a file of steps; what does: dqn"):
        agents.make("ppo", envs.CartPole(), data=tmp_path / "data.npz")
    with pytest.raises(ValueError, match="dpo learns from a file of texts in the environment te"):
        agents.make("dpo", envs.make("token_lock"), data=tmp_path / "rows.jsonl")
