"""The benchmark of training: programs take turns in processes of their own."""

import json
import os
import sys

import pytest

from benchmarks import record
from benchmarks.speed import training

FAKE = """
import sys, time
sys.path.insert(0, sys.argv[1])
import turns

def make():
    time.sleep(0.05)
    rounds = []
    return lambda: rounds.append(time.sleep(0.01)) or len(rounds), lambda last: 10.0 * last

turns.take(make)
"""


def test_a_peer_takes_turns():
    peer = training.Peer([sys.executable, "-c", FAKE, str(training.PEERS)])
    assert peer.compile_seconds >= 0.05
    for _ in range(3):
        peer.turn()
    assert len(peer.seconds) == 3 and min(peer.seconds) >= 0.01
    assert peer.peak_megabytes > 1
    assert peer.end() == 30.0
    assert peer.process.returncode == 0


def test_a_peer_that_dies_says_why():
    with pytest.raises(RuntimeError, match="no such thing"):
        training.Peer([sys.executable, "-c", "raise SystemExit('no such thing')"])


@pytest.mark.skipif("RLAX_PREF_SLOW" not in os.environ, reason="a minute; set RLAX_PREF_SLOW=1")
def test_it_writes_a_line_for_every_program(tmp_path, monkeypatch):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    tiny = {"num_envs": 4, "num_seeds": 2, "env_steps": 2048}
    monkeypatch.setitem(training.ROWS, "4 environments", tiny)
    out = tmp_path / "lines.jsonl"
    training.main(["--rows", "4 environments", "--rounds", "2", "--out", str(out)])
    agent, floor = (json.loads(line) for line in out.read_text().splitlines())
    assert (agent["program"], floor["program"]) == ("rlax_pref", "floor")
    assert agent["env_steps_per_second"] > 0 and agent["rlax_pref_is_faster_by"] == 1.0
    assert 8 < agent["return"] < 500
