"""The benchmark of estimators writes a line for each, and its truth is the truth."""

import json

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from benchmarks.learning import off_policy_evaluation as benchmark


def test_it_writes_a_line_for_every_estimator(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    out = tmp_path / "lines.jsonl"
    options = ["--seeds", "40", "--lengths", "4", "--trajectories", "50"]
    benchmark.main([*options, "--out", str(out)])
    lines = {line["estimator"]: line for line in map(json.loads, out.read_text().splitlines())}
    assert list(lines) == list(benchmark.ESTIMATORS)
    spread = {name: line["standard_deviation"] for name, line in lines.items()}
    assert spread["dm"] < spread["snpdis"] < spread["pdis"] < spread["tis"]
    assert abs(lines["dm"]["bias"]) > 5 * lines["dm"]["bias_standard_error"]
    assert spread["fqe"] < spread["dr"]
    for name in ("tis", "pdis", "dr", "fqe", "fqe_dr", "coarse_dr"):
        assert abs(lines[name]["bias"]) < 4 * lines[name]["bias_standard_error"]


def test_the_truth_is_what_acting_earns():
    logs = jax.jit(benchmark.act, static_argnums=(1, 2))(jax.random.key(0), 6, 20_000)
    powers = benchmark.DISCOUNT ** np.arange(6)[:, None]
    earned = (powers * np.asarray(logs.reward)).sum(0)
    exact = benchmark.values_of(jnp.float32(benchmark.BEHAVIOUR), 6, benchmark.SLIP)[1][0].mean()
    np.testing.assert_allclose(earned.mean(), exact, atol=4 * earned.std() / 20_000**0.5)
