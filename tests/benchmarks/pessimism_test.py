"""The benchmarks of what critics think of the unseen write their lines; their worlds are right."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import edge_of_reach, steering


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Runs a benchmark and returns its lines."""
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)

    def run(benchmark, *options):
        out = tmp_path / "lines.jsonl"
        benchmark.main([*options, "--seeds", "2", "--out", str(out)])
        return [json.loads(line) for line in out.read_text().splitlines()]

    return run


def test_edge_of_reach_writes_a_line_for_every_method(write, monkeypatch):
    small = {"hidden": (4,), "batch_size": 8, "num_updates": 1}
    monkeypatch.setattr(edge_of_reach, "COMMON", edge_of_reach.COMMON | small)
    (line,) = write(edge_of_reach, "--methods", "ravl", "--minibatches", "10")
    assert line["method"] == "ravl" and line["num_critics"] == 10
    assert len(line["q"]) == len(line["q_edge"]) == edge_of_reach.NUM_LOOKS
    assert 0 <= line["return"] <= edge_of_reach.TIME_LIMIT


def test_data_are_in_the_disc():
    data = edge_of_reach.record_data(jax.random.key(0))
    distance = np.linalg.norm(data.obs_tm1, axis=-1)
    assert distance.max() <= edge_of_reach.RADIUS
    np.testing.assert_allclose(np.mean(distance**2), edge_of_reach.RADIUS**2 / 2, rtol=0.1)
    assert np.all(data.discount_t == 1) and np.all(data.truncated_t)


def test_the_square_is_bounded_and_pays_most_at_the_goal():
    at, reward, over = edge_of_reach.move(jnp.array([0.75, -0.95]), jnp.array([0.5, -3.0]))
    np.testing.assert_allclose(at, [0.9, -1.0])
    goal = jnp.array(edge_of_reach.GOAL)
    assert reward < edge_of_reach.move(goal, jnp.zeros(2))[1] == 1 and not over


def test_steering_writes_a_line_for_every_condition(write, monkeypatch):
    small = {"hidden": (4,), "batch_size": 8, "num_updates": 2}
    monkeypatch.setattr(steering, "COMMON", steering.COMMON | small)
    for name in ("NUM_WALKERS", "NUM_EPISODES"):
        monkeypatch.setattr(steering, name, 2)
    monkeypatch.setattr(steering, "NUM_CONTEXTS", 16)
    monkeypatch.setattr(steering, "EXTRACTIONS", ("best_of_n",))
    lines = write(steering, "--minibatches", "4")
    assert [line["condition"] for line in lines] == ["K = 1", "K = 5", "K = 10", "best_of_n"]
    assert all(0 <= line["there"] <= 1 for line in lines[:3])
    assert 0 <= lines[3]["greedy"] <= 1


def test_the_best_arm_pays_one():
    arms = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    bandit = steering.Bandit(arms)
    reward = bandit.reward(jnp.array([0.6, 0.8]))
    np.testing.assert_allclose(reward, [np.exp(-0.8), 1.0], rtol=1e-6)
    _, timestep = bandit.step(jax.random.key(0), jnp.array([0.6, 0.8]), 0)
    assert timestep.terminated and timestep.reward == reward[0]
