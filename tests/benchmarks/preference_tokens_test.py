"""The benchmark of preferences between responses writes a line for each method and step size."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import preference_tokens


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    monkeypatch.setattr(preference_tokens, "WHEN", (2, 20))
    monkeypatch.setattr(preference_tokens, "STEP_SIZES", (0.3, 0.0))


def test_it_writes_a_line_for_every_method_and_step_size(short, tmp_path):
    out = tmp_path / "lines.jsonl"
    preference_tokens.main(["--methods", "dpo", "rto", "--seeds", "2", "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(x["method"], x["judge"], x["learning_rate"]) for x in lines] == [
        ("dpo", "exact", 0.3),
        ("dpo", "exact", 0.0),
        ("rto", "exact", 0.3),
        ("rto", "exact", 0.0),
        ("dpo", "erring", 0.3),
        ("dpo", "erring", 0.0),
    ]
    exact, still, rto, _, erring, _ = lines
    assert exact["success"][1] > erring["success"][1] > 0.1 and exact["kl"][1] > 1
    np.testing.assert_allclose(still["success"], 1 / 64, atol=1e-4)  # as it is written, rounded
    assert still["kl"] == [0, 0] and still["right"] == [0.25, 0.25]
    assert exact["judged"] == [512, 512] and rto["judged"] == [640, 1792]


def test_what_a_policy_is_worth_is_exact():
    task = preference_tokens.lock()
    sure = 50.0 * (task.accepted[:, 0, :, None] == jnp.arange(4))
    seen = preference_tokens.look(jnp.where(task.critical[..., None], sure, 0.0))
    np.testing.assert_allclose(seen["success"], 1.0, rtol=1e-5)
    np.testing.assert_allclose(seen["kl"], 3 * np.log(4), rtol=1e-5)


def test_one_seed_has_no_error(short, tmp_path):
    with pytest.raises(SystemExit):
        preference_tokens.main(["--seeds", "1", "--out", str(tmp_path / "lines.jsonl")])
