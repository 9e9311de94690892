"""The compilation cache: private, and used."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rlax_pref
from rlax_pref import compilation


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compilation.cache_directory() == tmp_path / "rlax_pref" / "jax"
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "here"))
    assert compilation.cache_directory() == tmp_path / "here"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
def test_others_must_not_write_there(monkeypatch, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(shared))
    with pytest.raises(PermissionError, match="chmod 700"):
        compilation.enable_cache()


def test_programs_are_kept(tmp_path):
    script = (
        "import jax\n"
        "from rlax_pref import compilation\n"
        "path = compilation.enable_cache(min_seconds=0.0)\n"
        "assert path.stat().st_mode & 0o777 == 0o700\n"
        "jax.jit(lambda x: x @ x)(jax.numpy.ones((3, 3)))\n"
        "assert any(path.iterdir())\n"
    )
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "new"),
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1]),
    }
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=120)
    assert done.returncode == 0
