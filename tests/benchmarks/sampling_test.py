"""The benchmark of sampling writes a line for either way, and both write the same tokens."""

import json

from benchmarks import record
from benchmarks.speed import sampling


def test_it_writes_a_line_for_either_way(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    out = tmp_path / "lines.jsonl"
    small = "--responses 3 --lengths 5 --vocabularies 7 --width 8 --layers 1 --rounds 1"
    sampling.main([*small.split(), "--out", str(out)])
    cached, recomputed = (json.loads(line) for line in out.read_text().splitlines())
    assert (cached["way"], recomputed["way"]) == ("cached", "recomputed")
    assert cached["same_tokens"] > 0.9
    assert cached["tokens_per_second"] > 0
