"""The benchmark of large vocabularies writes a line for either way."""

import json

from benchmarks import record
from benchmarks.speed import vocabulary


def test_it_writes_a_line_for_either_way(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    out = tmp_path / "lines.jsonl"
    small = "--tokens 64 --width 4 --vocabularies 8192 --rounds 2"
    vocabulary.main([*small.split(), "--out", str(out)])
    plain, chunked = (json.loads(line) for line in out.read_text().splitlines())
    assert (plain["way"], chunked["way"]) == ("plain", "chunked")
    assert chunked["scratch_megabytes"] < plain["scratch_megabytes"]
    assert plain["largest_difference"] < 1e-5
