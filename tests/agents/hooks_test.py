"""Hooks see what they should, say it plainly, and change nothing."""

import itertools
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.agents import hooks, runner
from rlax_pref.types import TrainState

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import toy  # noqa: E402

AGENT = toy.make()
KEY = jax.random.key(0)


def test_summary_by_hand():
    metrics = {
        "loss": np.array([1.0, 2.0, 6.0]),
        "episodes": np.array([1, 0, 3]),
        "return": np.array([10.0, np.nan, 30.0]),
        "length": np.array([4.0, np.nan, 8.0]),
        "true_return": np.array([1.0, np.nan, np.inf]),
        "env_steps": np.array([8, 8, 8]),
        "bad": np.array([1.0, np.nan, 1.0]),
        "eval_return": np.float32(5),
    }
    assert hooks.summary(metrics) == {
        "loss": 3.0,
        "episodes": 4.0,
        "return": 25.0,  # (1 * 10 + 3 * 30) / 4
        "length": 7.0,
        "true_return": None,
        "bad": None,
        "eval_return": 5.0,
    }


def test_summary_where_no_episode_ended():
    metrics = {"episodes": np.zeros(3), "return": np.full(3, np.nan)}
    assert hooks.summary(metrics) == {"episodes": 0.0, "return": None}


@settings(deadline=None, max_examples=50)
@given(
    counts=st.lists(st.integers(0, 4), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=4),
    seed=st.integers(0, 99),
)
def test_summaries_of_chunks_add_up_to_that_of_the_whole(counts, cuts, seed):
    """However a run is cut, episodes weigh the same: compared with a loop over episodes."""
    episodes = np.array(counts)
    returns = np.where(episodes > 0, np.random.default_rng(seed).normal(size=12), np.nan)
    total, number = 0.0, 0
    for count, value in zip(counts, returns, strict=True):
        for _ in range(count):
            total, number = total + float(value), number + 1
    edges = [0, *sorted(cuts), 12]
    parts = [
        hooks.summary({"episodes": episodes[a:b], "return": returns[a:b]})
        for a, b in itertools.pairwise(edges)
        if a < b
    ]
    assert sum(part["episodes"] for part in parts) == number
    summed = sum(part["episodes"] * part["return"] for part in parts if part["episodes"])
    np.testing.assert_allclose(summed, total, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(chunks=st.lists(st.integers(1, 9), min_size=1, max_size=20), every=st.integers(1, 12))
def test_due_once_for_each_multiple_reached(chunks, every):
    due, step, state = hooks.Due(every), 0, TrainState(None, None, None, 0)
    for n in chunks:
        expected = any(s % every == 0 for s in range(step + 1, step + n + 1))
        step += n
        metrics = {"eval_return": np.float32(1), "loss": np.zeros(n)}
        assert due(state._replace(step=step), metrics) == expected


def test_due_needs_a_rhythm():
    with pytest.raises(ValueError, match="every=0: must be at least 1 step"):
        hooks.Due(0)


def test_finite_names_what_is_not():
    finite, state = hooks.Finite(), TrainState(None, None, None, np.int32(6))
    finite(state, {"loss": np.ones(2), "return": np.array([np.nan, 1.0])})
    with pytest.raises(FloatingPointError, match="loss is not finite at step 6"):
        finite(state, {"loss": np.array([1.0, np.nan])})


def test_progress_in_plain_lines(capsys):
    with hooks.Progress(30, seconds=0, terminal=False) as progress:
        runner.train(AGENT, KEY, 30, every=10, hooks=[progress])
    lines = capsys.readouterr().err.splitlines()
    assert [line[:4] for line in lines] == [" 33%", " 66%", "100%"]
    assert all("steps" in line and "return" in line for line in lines)
    assert "240 steps" in lines[-1]
    assert "steps/s" in lines[-1]
    assert "0:00:00 left" in lines[-1]


def test_progress_tells_the_time(monkeypatch, capsys):
    """10 steps of 8 in the first second, then 10 more an hour: 80 more steps take 8 hours."""
    clock = iter([100.0, 3700.0])
    monkeypatch.setattr(hooks.time, "monotonic", lambda: next(clock))
    progress = hooks.Progress(100, seconds=0, terminal=False)
    for step in (10, 20):
        progress(TrainState(None, None, None, step), {"env_steps": np.full(10, 8)})
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == " 20%  160 steps  0.0222 steps/s  8:00:00 left"


def test_progress_keeps_quiet_between(capsys):
    with hooks.Progress(30, seconds=1000, terminal=False) as progress:
        runner.train(AGENT, KEY, 30, every=5, hooks=[progress])
    assert len(capsys.readouterr().err.splitlines()) == 2  # the first and the last


def test_progress_in_a_terminal(capsys):
    with hooks.Progress(30, terminal=True) as progress:
        runner.train(AGENT, KEY, 30, every=10, hooks=[progress])
    assert "100%" in capsys.readouterr().err


# The log -------------------------------------------------------------------------------------


def test_log_has_a_line_a_chunk(tmp_path):
    with hooks.MetricsLog(tmp_path) as log:
        runner.train(AGENT, KEY, 12, every=3, hooks=[log])
    rows = toy.read_log(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    assert [row["env_steps"] for row in rows] == [24, 48, 72, 96]
    assert rows == hooks.read_metrics(tmp_path / "metrics.jsonl")
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert {"loss", "return", "length", "episodes"} <= rows[0].keys()


def test_log_reaches_the_file_at_once(tmp_path):
    seen = []
    with hooks.MetricsLog(tmp_path) as log:
        look = lambda state, metrics: seen.append(len(hooks.read_metrics(log.path)))
        runner.train(AGENT, KEY, 6, every=2, hooks=[log, look])
    assert seen == [1, 2, 3]


def test_log_has_null_where_no_episode_ended(tmp_path):
    metrics = {"loss": np.ones(1), "return": np.array([np.nan]), "episodes": np.zeros(1)}
    with hooks.MetricsLog(tmp_path) as log:
        log(TrainState(None, None, None, np.int32(1)), metrics)
    assert toy.read_log(log.path)[0]["return"] is None


def test_log_drops_lines_of_lost_work(tmp_path):
    with hooks.MetricsLog(tmp_path) as log:
        middle = runner.train(AGENT, KEY, 6, every=2, hooks=[log])
        runner.train(AGENT, middle, 12, every=2, hooks=[log])
    first = hooks.read_metrics(log.path)
    with log.path.open("a") as file:
        file.write('{"step": 14, "env_')  # cut short by a crash
    with hooks.MetricsLog(tmp_path, step=6) as log:
        runner.train(AGENT, middle, 12, every=2, hooks=[log])
    second = hooks.read_metrics(log.path)
    assert [row["step"] for row in second] == [2, 4, 6, 8, 10, 12]
    drop = lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert drop(first) == drop(second)
    seconds = [row["seconds"] for row in second]
    assert seconds == sorted(seconds)


def test_log_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    with hooks.MetricsLog(tmp_path, tensorboard=True) as log:
        runner.train(AGENT, KEY, 4, every=2, hooks=[log])
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()
