"""The benchmark of lambda writes a line for each value."""

import json

import pytest

from benchmarks import record
from benchmarks.learning import gae_lambda


def test_it_writes_a_line_for_every_lambda(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    out = tmp_path / "lines.jsonl"
    options = ["--env", "cartpole", "--lambdas", "0", "1", "--seeds", "2", "--env-steps", "4096"]
    gae_lambda.main([*options, "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["lambda_"], line["env_steps"]) for line in lines] == [(0, 4096), (1, 4096)]
    assert all(9 < line["mean"] < 500 and line["standard_error"] > 0 for line in lines)
    assert lines[0]["mean"] != lines[1]["mean"]


def test_one_seed_has_no_error(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    with pytest.raises(SystemExit):
        gae_lambda.main(["--seeds", "1", "--out", str(tmp_path / "lines.jsonl")])
