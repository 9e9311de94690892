"""The benchmark on people's choices runs on any folder of conditions."""

import json

import jax
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import human_preferences
from rlax_pref import preferences
from rlax_pref.envs import grid


def write_condition(folder, name, num, key):
    """Choices of a teacher who is indifferent, in the published layout."""
    world = grid.delivery()
    segments = preferences.sample_segments(key, world.tabular(), (num, 2), 3)
    state, action = np.asarray(segments.state), np.asarray(segments.action)
    start = np.stack(np.divmod(state[..., :1], 10), axis=-1)
    pairs = np.concatenate([start, grid.MOVES[action]], axis=2)
    stem = f"{name}_full_filtered_"
    np.save(folder / f"{stem}segment_pairs.npy", pairs)
    np.save(folder / f"{stem}X.npy", np.zeros((num, 3)))
    np.save(folder / f"{stem}Y.npy", np.full(num, 0.5))


def test_it_writes_a_line_for_every_condition_and_model(tmp_path, monkeypatch, capsys):
    for i, name in enumerate(("Made-Up", "Another")):
        write_condition(tmp_path, name, 12, jax.random.key(i))
    out = tmp_path / "results" / "lines.jsonl"
    monkeypatch.setattr(human_preferences, "STEPS", 20)
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    human_preferences.main(["--data", str(tmp_path), "--out", str(out), "--seeds", "2"])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["condition"], line["model"]) for line in lines] == [
        (condition, model)
        for condition in ("Another", "Made-Up")
        for model in ("partial_return", "regret", "expected_return")
    ]
    for line in lines:
        assert line["n"] == 12 and line["seeds"] == len(line["scaled_return_by_seed"]) == 2
        assert line["nll"] == pytest.approx(np.log(2)) and line["scale"] == 0
        assert line["scaled_return"] <= 1.001
        assert line["accuracy"] is None  # nothing was decided
    assert "12 (100.0 %)" in capsys.readouterr().out
    assert [path.name for path in out.parent.iterdir()] == ["lines.jsonl"]


def test_an_unsound_folder_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    with pytest.raises(SystemExit) as error:
        human_preferences.main(["--data", str(tmp_path), "--out", str(tmp_path / "out.jsonl")])
    assert error.value.code == 1
    message = capsys.readouterr().err
    assert "no condition found" in message and "Traceback" not in message
    assert not (tmp_path / "out.jsonl").exists()
