"""The benchmark of agents that learn from stored steps writes a line for each."""

import json

from benchmarks import record
from benchmarks.learning import off_policy


def test_it_writes_a_line_for_every_agent(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    small = {"num_envs": 4, "batch_size": 8, "capacity": 64, "warm_up": 32, "hidden": (4,)}
    monkeypatch.setitem(off_policy.TASKS, "dqn", off_policy.Task("cartpole", 64, small))
    out = tmp_path / "lines.jsonl"
    off_policy.main(["--agents", "dqn", "--seeds", "2", "--out", str(out)])
    (line,) = (json.loads(row) for row in out.read_text().splitlines())
    assert (line["agent"], line["library"], line["env_steps"]) == ("dqn", "rlax_pref", 64)
    assert len(line["returns"]) == 2 and 8 <= min(line["returns"]) <= line["mean"] <= 500
