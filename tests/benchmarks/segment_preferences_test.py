"""The benchmark of policies from choices between segments, tiny."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import asking
from benchmarks.learning import segment_preferences as benchmark
from rlax_pref.agents import ppo
from rlax_pref.types import Segments

TINY = {"num_envs": 2, "num_steps": 30, "critic_steps": 20, "fit_steps": 20, "hidden": (4,)}


def test_it_writes_a_line_for_every_method(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    monkeypatch.setattr(benchmark, "EXPERIENCE", TINY)
    monkeypatch.setattr(benchmark, "NUM_EPISODES", 2)
    monkeypatch.setattr(benchmark, "DIRECT", {"cpl": {}, "segment_bc_all": {"imitated": "all"}})
    monkeypatch.setattr(benchmark, "ONLINE", ("cpl",))
    monkeypatch.setattr(
        ppo,
        "Config",
        lambda **given: type(ppo.DEFAULT)(
            num_envs=2, num_steps=8, num_minibatches=1, num_epochs=1, hidden=(4,), **given
        ),
    )
    out = tmp_path / "lines.jsonl"
    options = ["--seeds", "2", "--pairs", "8", "--steps", "30", "--updates", "10", "--length", "4"]
    benchmark.main(["--tasks", "cartpole", *options, "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    rewarded = ["reward_greedily", "reward_then_ppo"]
    expected = [(None, x) for x in ("expert", "random", "true_reward")]
    for teacher in benchmark.TEACHERS:
        expected += [(teacher, x) for x in ("cpl", "segment_bc_all", *rewarded)]
    expected += [("partial_return", "cpl_online")]
    assert [(line["teacher"], line["method"]) for line in lines] == expected
    for line in lines:
        assert 8 <= line["mean"] <= 200, line["method"]
        assert len(line["by_seed"]) == (1 if line["method"] == "expert" else 2)
    assert lines[3]["labels"] == 8
    assert lines[-1]["labels"] == 8 + 14 * 2  # collections within 30 steps, a quarter each


def test_teachers_choose_by_what_they_know():
    """One by the reward, the other by the advantage, and neither by what is not live."""
    num, length = 6, 3
    live = jnp.ones((num, 2, length), bool).at[:, 0, 2].set(False)
    segments = Segments(jnp.zeros((num, 2, length + 1, 1)), jnp.zeros((num, 2, length)), live)
    advantage = jnp.zeros((num, 2, length)).at[:, 0, 2].set(9.0).at[:, 1, 0].set(1.0)
    world = benchmark.World(segments, jnp.ones((num, 2, length)).at[:, 1].set(0.5), advantage)
    by = lambda regret: benchmark.choices(jax.random.key(0), world, jnp.array(regret), 4).p_first
    np.testing.assert_array_equal(by(False), np.ones(4))  # 2 against 1.5
    np.testing.assert_array_equal(by(True), np.zeros(4))  # 0 against 1


def test_an_unknown_task_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        benchmark.main(["--tasks", "chess", "--out", str(tmp_path / "lines.jsonl")])


def test_asking_writes_a_line_for_every_condition(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    returns = lambda keys, *, task, pairs, candidates, steps: np.array([-1.0, -3.0]) * candidates
    monkeypatch.setattr(asking, "train", returns)
    out = tmp_path / "lines.jsonl"
    asking.main(["--pairs", "32", "--seeds", "2", "--steps", "401", "--out", str(out)])
    one, ten = (json.loads(line) for line in out.read_text().splitlines())
    assert one["labels"] == ten["labels"] == 32 + 2 * 2
    assert (one["env_steps"], ten["env_steps"]) == (2 * 25 * 36, 2 * 25 * (32 + 40))
    assert (one["mean"], one["standard_error"], ten["mean"]) == (-2.0, 1.0, -20.0)
