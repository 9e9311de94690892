"""Runs outlive their processes: stopped, killed or continued, they compute the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import rlax_pref
from rlax_pref import checkpoints
from rlax_pref.agents import hooks, runner

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import toy  # noqa: E402

AGENT = toy.make()
ENDLESS = 1_000_000


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts `toy.py` in a process of its own; programs are compiled once for all of them."""
    root = str(Path(rlax_pref.__file__).parents[1])
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("programs")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": root,
    }
    started: list[subprocess.Popen] = []

    def start(*arguments) -> subprocess.Popen:
        command = [sys.executable, str(HERE / "toy.py"), *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finish(process: subprocess.Popen) -> str:
    """What it printed, once it has ended well and without a complaint."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert err == ""
    return out.strip()


def newest(directory: Path) -> int:
    """The step of the newest checkpoint; 0 if there is none."""
    names = [p.name for p in (directory / "checkpoints").glob("[0-9]*")]
    return int(max(names, default="0"))


def logged(directory: Path) -> int:
    """The last step in the log; 0 if there is none."""
    rows = hooks.read_metrics(directory / "metrics.jsonl")
    return rows[-1]["step"] if rows else 0


def wait_for(condition, process: subprocess.Popen, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.002)


def uninterrupted(num_steps: int) -> str:
    return toy.digest(runner.train(AGENT, jax.random.key(0), num_steps, every=50))


@pytest.mark.parametrize("name", ["toy", "ppo"])
def test_stopped_and_resumed_equals_uninterrupted(tmp_path, start, name):
    """Three processes against one, in chunks of another length, the last of them on one core."""
    whole = finish(start(name, tmp_path / "whole", 10, 5, 10))
    finish(start(name, tmp_path / "parts", 2, 2, 2))
    finish(start(name, tmp_path / "parts", 6, 2, 2))
    last = start(name, tmp_path / "parts", 10, 2, 100)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(last.pid, {min(os.sched_getaffinity(0))})
    assert finish(last) == whole


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signals_save_and_stop(tmp_path, start, number, status):
    """Nothing else would have saved; it takes a chunk to stop; nothing is lost."""
    process = start("toy", tmp_path, ENDLESS, 5, ENDLESS, 0.05)
    wait_for(lambda: logged(tmp_path) >= 10, process)
    sent = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 10
    assert process.returncode == status
    step = newest(tmp_path)
    name = signal.Signals(number).name
    assert err == f"rlax_pref: {tmp_path}: stopped by {name} at step {step}, which is saved\n"
    assert step == logged(tmp_path)
    assert step % 5 == 0
    assert finish(start("toy", tmp_path, step + 7, 5, ENDLESS)) == uninterrupted(step + 7)


@pytest.fixture
def interruptible():
    """A shell that starts a process in the background has it ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_second_signal_does_not_wait(interruptible):
    with hooks.Interrupt() as interrupt:
        assert interrupt.received() == 0
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.received() == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_killed_time_and_again(tmp_path, start, capsys):
    """`kill -9` in the midst of training and saving: nothing corrupt, no more than one interval
    of work lost, and at the end the very state of a run that nobody killed.
    """
    every, rng = 2, np.random.default_rng(0)
    like = jax.eval_shape(AGENT.init, jax.random.key(0))
    before = 0
    for kill in range(10):
        process = start("toy", tmp_path, ENDLESS, every, every)
        if kill % 5:  # most of the time goes into saving, so that is where most kills fall
            wait_for(lambda before=before: newest(tmp_path) > before, process)
            time.sleep(rng.uniform(0.0, 0.2))
        else:  # some fall anywhere from the start
            time.sleep(rng.uniform(0.0, 3.0))
        process.kill()
        _, err = process.communicate()
        assert err == ""
        reached = logged(tmp_path)
        if newest(tmp_path):
            step, _ = checkpoints.restore(tmp_path, like)
            assert capsys.readouterr().err == ""  # the newest is sound: none was passed over
            assert step >= before
            assert reached - step <= every
            before = step
    assert before > 10 * every
    state = finish(start("toy", tmp_path, before + 11, 4, 4))
    assert state == uninterrupted(before + 11)
    assert list((tmp_path / "checkpoints").glob(".*")) == []
    steps = [row["step"] for row in hooks.read_metrics(tmp_path / "metrics.jsonl")]
    assert steps == [*range(2, before + 1, 2), before + 4, before + 8, before + 11]
