"""The benchmark of Decision Transformers writes its lines, and its walks are what it says."""

import json

import jax
import numpy as np

from benchmarks import record
from benchmarks.learning import decision_transformer


def test_every_return_asked_for_has_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    out = tmp_path / "lines.jsonl"
    options = "--tasks vectors --methods walk mlp --seeds 2 --rows 640 --minibatches 50"
    decision_transformer.main([*options.split(), "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    asked = ["nothing", *decision_transformer.BY_ASKED]
    assert [line["asked"] for line in lines] == asked
    assert all(-40 <= line["mean"] <= -1 and len(line["each"]) == 2 for line in lines)


def test_walks_are_whole_and_random():
    env = decision_transformer.TASKS["directions"]
    data = jax.jit(lambda key: decision_transformer.record_data(env, key, 3200))(jax.random.key(0))
    last = np.asarray((data.discount_t == 0) | data.truncated_t)
    assert last.reshape(16, 200)[:, -1].all()  # each walker's rows are in a row
    moved = np.abs(np.asarray(data.obs_tm1)[1:] - np.asarray(data.obs_t)[:-1]).max(-1)
    assert np.all(moved[~last[:-1]] == 0)
    lengths = np.diff(np.flatnonzero(np.concatenate([[True], last])))
    assert lengths.max() == decision_transformer.TIME_LIMIT > lengths.min()
    share = np.bincount(np.asarray(data.a_tm1), minlength=4) / 3200
    np.testing.assert_allclose(share, 0.25, atol=0.03)
