"""The benchmark of large vocabularies writes a line for each way of every loss."""

import json

from benchmarks import record
from benchmarks.speed import vocabulary


def run(tmp_path, monkeypatch, settings):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    out = tmp_path / "lines.jsonl"
    vocabulary.main([*settings.split(), "--out", str(out)])
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_it_writes_a_line_for_each_way(tmp_path, monkeypatch):
    small = "--losses law --tokens 128 --width 4 --vocabularies 8192 --rounds 2"
    lines = run(tmp_path, monkeypatch, small)
    assert [line["way"] for line in lines] == ["plain", "chunked"]
    assert [line["loss"] for line in lines] == ["law", "law"]
    for line in lines:
        assert line["largest_difference"] < 1e-5
        assert line["cpu_seconds"] > 0


def test_it_may_ask_for_memory_alone(tmp_path, monkeypatch):
    small = "--losses ppo --tokens 2048 --width 4 --vocabularies 8192 --rounds 0"
    plain, chunked, remat = run(tmp_path, monkeypatch, small)
    assert chunked["scratch_megabytes"] < plain["scratch_megabytes"] / 4
    assert remat["scratch_megabytes"] < chunked["scratch_megabytes"]
    assert "cpu_seconds" not in plain
