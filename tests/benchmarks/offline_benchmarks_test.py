"""The benchmarks of learning from records write their lines, and their worlds are what they say."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import offline_control, orthogonal_gradient, stitching


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Runs a benchmark and returns its lines."""
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)

    def run(benchmark, *options):
        out = tmp_path / "lines.jsonl"
        benchmark.main([*options, "--seeds", "2", "--out", str(out)])
        return [json.loads(line) for line in out.read_text().splitlines()]

    return run


def test_offline_control_writes_a_line_for_every_condition(write, monkeypatch):
    task = offline_control.Task(1, 2, {"hidden": (4,)})
    monkeypatch.setattr(offline_control, "TASKS", {"cartpole": task})
    monkeypatch.setattr(offline_control, "TIME_LIMIT", 20)
    options = ["--steps", "240", "--minibatches", "16"]
    lines = write(offline_control, *options, "--methods", "bc", "td3_bc", "cql", "cal_ql")
    parts = ["data: random", "data: early", "data: later", "ppo, later"]
    assert [line["method"] for line in lines] == [*parts, "bc"]  # others act continuously
    assert all(1 <= line["mean"] <= 20 for line in lines)


def test_cal_ql_sees_no_negative_reward():
    """Where an episode is cut, what would have followed counts as 0, which is less."""
    worst = {"cartpole": 1.0, "pendulum": -(np.pi**2 + 0.1 * 8**2 + 0.001 * 2**2)}
    for name, reward in worst.items():
        config = offline_control.configure("cal_ql", offline_control.TASKS[name])
        assert config.reward_scale * reward + config.reward_shift >= 0
    assert offline_control.configure("cql", offline_control.TASKS["pendulum"]).reward_shift == 0


def test_stitching_writes_a_line_for_every_method(write):
    lines = write(stitching, "--methods", "bc", "10% bc", "--walkers", "8", "--minibatches", "16")
    assert [line["method"] for line in lines] == ["bc", "10% bc"]
    assert all(0 <= line["goal"] + line["small_prize"] <= 1 for line in lines)


def test_nobody_goes_from_the_start_to_the_goal():
    data = jax.jit(stitching.record_data, static_argnums=1)(jax.random.key(0), 40)
    assert np.all(data.valid_t)
    last = np.asarray((data.discount_t == 0) | data.truncated_t)
    assert not np.any((data.discount_t == 0) & data.truncated_t)
    begins = np.asarray(data.obs_tm1)[1:][last[:-1]]
    ends = np.asarray(data.obs_t)[last][1:]
    paid = np.asarray(data.r_t)[last][1:]
    from_s = np.abs(begins[: len(ends)] - stitching.S).max(-1) < 0.5
    assert 0 < from_s.mean() < 1
    assert set(np.round(paid[from_s], 1)) == {0.0, 0.5}
    assert np.all(paid[~from_s] == 1.0)
    assert np.all(np.abs(ends[paid == 1.0] - stitching.G).max(-1) < stitching.NEAR)
    np.testing.assert_array_equal(np.asarray(data.r_t)[~last], 0.0)


def test_walls_stop_the_point():
    step = jax.jit(stitching.Corridors().step)
    start = stitching.Point(jnp.array(stitching.S), jnp.int32(0))
    state, timestep = step(jax.random.key(0), start, jnp.array([9.0, 9.0]))
    np.testing.assert_array_equal(state.at, start.at)
    assert timestep.reward == 0 and timestep.discount == 1
    state, _ = step(jax.random.key(0), start, jnp.array([9.0, -9.0]))
    np.testing.assert_allclose(state.at - start.at, [0.0, -stitching.STRIDE])


def test_orthogonal_gradient_writes_a_line_for_every_condition(write):
    lines = write(orthogonal_gradient, "--networks", "table", "--minibatches", "16")
    assert [line["method"] for line in lines] == list(orthogonal_gradient.METHODS)
    assert all(line["regret_without_limits"] >= 0 for line in lines)


def test_values_of_the_grid():
    """With all actions the best value is what so many steps cost; without some it is less."""
    steps = np.add.outer(np.arange(7), np.arange(7))[::-1, ::-1].ravel()
    cost = -(1 - orthogonal_gradient.DISCOUNT**steps) / (1 - orthogonal_gradient.DISCOUNT)
    best = jax.jit(orthogonal_gradient.best_values)
    np.testing.assert_allclose(best(np.ones((49, 4), bool)), cost, atol=1e-4)
    _, allowed = orthogonal_gradient.draw(jax.random.key(0), True)
    assert np.all(allowed.any(-1)) and not np.all(allowed)
    assert np.all(best(allowed) <= cost + 1e-4)
    v = jax.jit(orthogonal_gradient.evaluate)(jnp.full((49, 4), 0.25))
    assert np.all(v[:48] < cost[:48])
