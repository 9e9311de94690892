"""The benchmark of policies that denoise, tiny."""

import json

import numpy as np

from benchmarks import record
from benchmarks.learning import denoising as benchmark

TINY = {"num_steps": 2, "hidden": (4,), "warm_up": 2, "num_judged": 4}


def test_it_writes_a_line_for_every_condition(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    monkeypatch.setattr(benchmark, "SHARED", TINY | {"num_envs": 4, "batch_size": 4})
    monkeypatch.setattr(benchmark, "EVEN", {"d3po": {}, "prdp": {}})
    monkeypatch.setattr(benchmark, "METHODS", {"prdp": ("prdp", {})})
    monkeypatch.setattr(benchmark, "AT_RATES", {"prdp": ("prdp", {})})
    monkeypatch.setattr(benchmark, "PRICES", (0.1, 10.0))
    monkeypatch.setattr(benchmark, "RATES", (1e-3,))
    monkeypatch.setattr(benchmark, "NUM_OBS", 2)
    monkeypatch.setattr(benchmark, "NUM_ACTIONS", 8)
    monkeypatch.setattr(benchmark, "OFTEN", 500)
    out = tmp_path / "lines.jsonl"
    benchmark.main(["--seeds", "2", "--steps", "10", "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    kinds = [(line["part"], line["method"]) for line in lines]
    prices = [("prices", "best"), ("prices", "prdp")] * 2
    assert kinds == [("methods", "reference"), ("methods", "prdp"), *prices, ("rates", "prdp")]
    first, learned, best, _, dear, *_ = lines
    assert first["divergence"] == 0 < learned["divergence"]
    assert np.shape(learned["curve"]) == (2, 10)
    # What is best earns more than the first chain, and goes further for it where that is cheap.
    assert best["reward"] > first["reward"] and best["divergence"] > dear["divergence"] > 0
    assert dear["divergence"] < 0.01
