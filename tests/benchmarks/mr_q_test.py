"""The benchmark of MR.Q compares agents with the same steps, and writes a line for each."""

import json

from benchmarks import record
from benchmarks.learning import mr_q


def test_it_writes_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    monkeypatch.setattr(mr_q, "STORE", {"capacity": 64, "warm_up": 64, "batch_size": 8})
    out = tmp_path / "lines.jsonl"
    options = ["--tasks", "cartpole", "--agents", "dqn", "--seeds", "2", "--env-steps", "80"]
    mr_q.main([*options, "--out", str(out)])
    (line,) = (json.loads(line) for line in out.read_text().splitlines())
    assert line["env_steps"] == 80 and len(line["returns"]) == 2 and line["mean"] > 5


def test_every_task_has_a_baseline_and_the_ablation():
    """And MR.Q has the same settings in each."""
    for env_steps, names in mr_q.TASKS.values():
        assert env_steps <= 30_000
        assert {"mr_q", "mr_q, no encoder loss"} < set(names) <= set(mr_q.AGENTS)
    assert mr_q.AGENTS["mr_q"] == ("mr_q", {})
