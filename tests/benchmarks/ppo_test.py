"""The benchmark of PPO writes one line a task."""

import json

from benchmarks import record
from benchmarks.learning import ppo as benchmark
from rlax_pref.agents import ppo


def test_it_writes_a_line_for_every_task(tmp_path, monkeypatch, capsys):
    config = ppo.Config(num_envs=2, num_steps=16, hidden=(4,))
    tasks = {
        "cartpole": benchmark.Task(64, 5.0, config),
        "pendulum": benchmark.Task(64, 0.0, config, (("time_limit", 20),)),
    }
    monkeypatch.setattr(benchmark, "TASKS", tasks)
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    out = tmp_path / "lines.jsonl"
    benchmark.main(["--tasks", *tasks, "--seeds", "2", "--out", str(out)])
    cartpole, pendulum = (json.loads(line) for line in out.read_text().splitlines())
    assert (cartpole["task"], cartpole["env_steps"], cartpole["learned"]) == ("cartpole", 64, 2)
    assert (pendulum["task"], pendulum["learned"]) == ("pendulum", 0)
    assert -20 * 16.3 < pendulum["mean"] < 0 and len(pendulum["returns"]) == 2
    assert "2 of 2 seeds reach 5" in capsys.readouterr().out
