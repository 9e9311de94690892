"""Who may write checkpoints, and what is said when they cannot be saved."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import jax.numpy as jnp
import pytest

from rlax_pref import checkpoints
from rlax_pref.checkpoints import CheckpointError, Checkpoints, LockedError

STATE = {"x": jnp.arange(3.0)}


@pytest.fixture
def run(tmp_path) -> Path:
    """A run directory with checkpoints 100, 200 and 300."""
    with Checkpoints(tmp_path / "run") as saved:
        for step in (100, 200, 300):
            saved.save(step, STATE)
    return tmp_path / "run"


# One writer -----------------------------------------------------------------------------------


def test_second_writer_is_refused_and_readers_are_not(run):
    with Checkpoints(run):
        with pytest.raises(LockedError, match=rf"another process \(pid {os.getpid()}\) is writing"):
            Checkpoints(run).__enter__()
        assert checkpoints.restore(run, STATE)[0] == 300
    with Checkpoints(run):
        pass


def test_lock_of_another_process_and_of_a_dead_one(run):
    """While the other lives it is named; once it was killed, its lock stands in nobody's way."""
    hold = textwrap.dedent(
        f"""
        import sys
        from rlax_pref.checkpoints import Checkpoints
        with Checkpoints({str(run)!r}):
            print("held", flush=True)
            sys.stdin.read()
        """
    )
    other = subprocess.Popen(
        [sys.executable, "-c", hold],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(checkpoints.__file__).parents[1])},
    )
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockedError, match=rf"another process \(pid {other.pid}\) is writing"):
            Checkpoints(run).__enter__()
    finally:
        other.kill()
        other.wait()
        other.stdin.close()
        other.stdout.close()
    assert (run / "LOCK").read_text() == str(other.pid)
    with Checkpoints(run):
        assert (run / "LOCK").read_text() == str(os.getpid())


def test_save_outside_with(tmp_path):
    with pytest.raises(CheckpointError, match="inside `with Checkpoints"):
        Checkpoints(tmp_path).save(1, STATE)


# When it cannot be saved ----------------------------------------------------------------------


def test_full_disk(run):
    """A disk that takes no more bytes: a plain error, and what was saved stays."""
    pytest.importorskip("resource")
    script = textwrap.dedent(
        f"""
        import resource, sys
        import jax.numpy as jnp
        from rlax_pref.checkpoints import CheckpointError, Checkpoints
        with Checkpoints({str(run)!r}) as saved:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
            try:
                saved.save(400, {{"x": jnp.sin(jnp.arange(100_000.0))}})
            except CheckpointError as error:
                print(error, file=sys.stderr)
                sys.exit(3)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(checkpoints.__file__).parents[1])},
        timeout=120,
    )
    assert done.returncode == 3, done.stderr
    assert re.search(r"^cannot save .*000000000400: .*", done.stderr, re.MULTILINE)
    assert sorted(p.name[-3:] for p in (run / "checkpoints").iterdir()) == ["100", "200", "300"]
    assert checkpoints.restore(run, STATE)[0] == 300


def test_unusable_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write to"):
        Checkpoints(tmp_path / "file" / "run").__enter__()


def test_configuration(tmp_path):
    with pytest.raises(ValueError, match="keep=0: at least one"):
        Checkpoints(tmp_path, keep=0)
    with pytest.raises(ValueError, match="config must be something JSON can hold"):
        Checkpoints(tmp_path, config={"f": print})
