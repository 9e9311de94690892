"""What networks learn from choices: the whole of the benchmark, tiny."""

import json

import pytest

from benchmarks import record
from benchmarks.learning import beyond_tables, judged_behaviour
from rlax_pref.agents import ppo

TINY = beyond_tables.Settings(
    updates=10, length=4, num_envs=2, num_steps=30, fit_steps=20, critic_steps=20, hidden=(4,)
)


def test_it_writes_a_line_for_every_condition(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    monkeypatch.setattr(beyond_tables, "Settings", lambda **given: TINY)
    monkeypatch.setattr(beyond_tables, "NUM_TEST", 20)
    monkeypatch.setattr(judged_behaviour, "NUM_EPISODES", 2)
    monkeypatch.setattr(
        ppo,
        "Config",
        lambda **given: type(ppo.DEFAULT)(
            num_envs=2, num_steps=8, num_minibatches=1, num_epochs=1, hidden=(4,), **given
        ),
    )
    out, plot = tmp_path / "lines.jsonl", tmp_path / "plot.png"
    options = ["--tasks", "cartpole", "--sizes", "30", "--seeds", "2"]
    beyond_tables.main([*options, "--out", str(out), "--plot", str(plot)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line.get("reference") for line in lines[:3]] == ["expert", "random", "true_reward"]
    kinds = [(line["score"], line["absorbing"]) for line in lines[3:]]
    assert kinds == [
        ("regret", "with"),
        ("regret", "without"),
        ("partial_return", "with"),
        ("partial_return", "without"),
    ]
    for line in lines[3:]:
        assert line["pairs"] == 30 and line["task"] == "cartpole"
        assert 8 <= line["greedy"]["return"]["mean"] <= 500
        assert 0 <= line["as_reward"]["ended"]["mean"] <= 1
    # All live segments collect alike in CartPole: without ends, every choice is a tie.
    assert lines[-1]["ties"]["mean"] == 1 and lines[-1]["accuracy_alike"]["mean"] is None
    assert lines[3]["ties"]["mean"] < 0.1
    assert plot.stat().st_size > 1000


def test_an_unknown_task_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        beyond_tables.main(["--tasks", "chess", "--out", str(tmp_path / "lines.jsonl")])
