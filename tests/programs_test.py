"""Programs kept for other processes: the same results, and never those of other code."""

import importlib
import json
import logging
import os
import subprocess
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

import rlax_pref
from rlax_pref import _programs, compilation

DEVICES = jax.devices()[:1]
X = jnp.arange(3.0)


@pytest.fixture
def cache(tmp_path, monkeypatch, caplog):
    """An empty cache, seen from a script, none of whose modules is new. Returns `programs/`."""
    (tmp_path / "script.py").write_text("")
    main = types.ModuleType("__main__")
    main.__file__ = str(tmp_path / "script.py")
    monkeypatch.setitem(sys.modules, "__main__", main)
    monkeypatch.setattr(_programs, "_BEGAN", (tmp_path / "script.py").stat().st_mtime_ns)
    caplog.set_level(logging.INFO, _programs.__name__)
    before = jax.config.values["jax_compilation_cache_dir"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path / "programs"
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


def twice(x):
    return {"twice": 2 * x}


def compile_all(name, function=twice):
    lower = {"function": lambda: jax.jit(function).lower(X)}
    return _programs.compile_all(name, DEVICES, lower)["function"]


def find(name):
    found = _programs.find(name, DEVICES)
    return None if found is None else found["function"]


def test_what_is_kept_is_found(cache):
    assert find("a") is None
    fresh = compile_all("a")
    found = find("a")
    assert find("b") is None
    assert found(X)["twice"].tolist() == fresh(X)["twice"].tolist() == [0, 2, 4]
    assert found.out_info == fresh.out_info


def test_kept_lowers_once(cache):
    lower = [lambda: jax.jit(twice).lower(X), pytest.fail]
    for make in lower:
        assert compilation.kept("a", make)(X)["twice"].tolist() == [0, 2, 4]


def test_without_a_name_or_a_cache_nothing_is_kept(cache):
    assert compile_all(None)(X)["twice"].tolist() == [0, 2, 4]
    jax.config.update("jax_compilation_cache_dir", None)
    compile_all("a")
    assert find("a") is None and not cache.exists()


def test_from_a_notebook_nothing_is_kept(cache, monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    compile_all("a")
    assert find("a") is None and not cache.exists()


def test_a_changed_file_is_noticed_and_what_it_did_not_change_reused(cache, caplog, monkeypatch):
    compile_all("a")
    (path,) = cache.iterdir()
    before = _programs._read(path)
    script = Path(sys.modules["__main__"].__file__)
    script.write_text("# longer")
    assert find("a") is None and str(script) in caplog.text
    monkeypatch.setattr(_programs, "_BEGAN", script.stat().st_mtime_ns)
    monkeypatch.setattr(jax.stages.Lowered, "compile", pytest.fail)
    assert compile_all("a")(X)["twice"].tolist() == [0, 2, 4]
    after = _programs._read(path)
    assert after.files != before.files
    (old,), (new,) = before.programs.values(), after.programs.values()
    assert (old.digest, old.content) == (new.digest, new.content)
    assert find("a") is not None


def test_what_came_out_otherwise_is_compiled(cache):
    compile_all("a")
    assert compile_all("a", lambda x: {"twice": x + x + 1})(X)["twice"].tolist() == [1, 3, 5]
    assert find("a")(X)["twice"].tolist() == [1, 3, 5]


def test_what_is_lowered_alike_and_called_otherwise_is_not_confused(cache):
    def make(which):
        return {"function": lambda: jax.jit(lambda x, y: (x, y)[which] + 1).lower(X, X)}

    for which in (0, 1):
        programs = _programs.compile_all("a", DEVICES, make(which))["function"], find("a")
        for program in programs:
            assert program(X, 10 * X).tolist() == [[1, 2, 3], [1, 11, 21]][which]


def test_a_module_that_was_not_there_is_noticed(cache, tmp_path, monkeypatch):
    compile_all("a")
    (tmp_path / "patches_of_mine.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("patches_of_mine")
    assert find("a") is None
    monkeypatch.delitem(sys.modules, "patches_of_mine")


def test_other_settings_are_other_programs(cache):
    compile_all("a")
    with jax.default_matmul_precision("float32"):
        assert find("a") is None
    assert find("a") is not None


def test_what_may_be_made_from_an_older_file_is_not_kept(cache, caplog, monkeypatch):
    monkeypatch.setattr(_programs, "_BEGAN", _programs._BEGAN - 1)
    compile_all("a")
    assert find("a") is None and "newer than the process" in caplog.text


@pytest.mark.parametrize(
    ("function", "mark"),
    [
        (lambda x: jnp.linalg.cholesky(jnp.diag(x + 1)), "lapack"),
        (lambda x: jax.pure_callback(lambda x: x, x, x), "callback"),
    ],
)
def test_what_is_bound_to_a_process_is_not_kept(cache, caplog, function, mark):
    compile_all("a", function)
    assert find("a") is None and f"only this process has: {mark}" in caplog.text


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
def test_where_others_may_write_nothing_is_kept(cache):
    cache.parent.chmod(0o777)
    compile_all("a")
    assert find("a") is None and not cache.exists()


def test_what_cannot_be_pickled_is_not_kept(cache, caplog):
    @jax.tree_util.register_static
    class Local:
        pass

    compile_all("a", lambda x: (x, Local()))
    assert find("a") is None and "not kept, as " in caplog.text


def test_damage_is_noticed(cache, caplog):
    compile_all("a")
    (path,) = cache.iterdir()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert find("a") is None and f"{path} is damaged" in caplog.text
    compile_all("a")
    assert find("a") is not None


def test_where_nothing_can_be_kept_training_goes_on(cache, caplog):
    cache.write_text("a file where a folder should be")
    assert compile_all("a")(X)["twice"].tolist() == [0, 2, 4]
    assert find("a") is None and "not kept, as " in caplog.text


def test_a_command_given_again_traces_nothing(tmp_path):
    """And computes the same; with another seed it traces nothing, either."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\n"
        "from rlax_pref import _programs, cli\n"
        "_programs._BEGAN = sys.maxsize  # as if no file had been edited just now\n"
        "sys.exit(cli.main())\n"
    )
    small = "--num-envs 2 --num-steps 8 --num-minibatches 2 --hidden 4 --env-steps 32".split()
    traced, losses = [], []
    for run, seed in enumerate((0, 0, 1)):
        own = ["--seed", str(seed), "--directory", str(tmp_path / str(run))]
        done = subprocess.run(
            [sys.executable, str(script), "train", "ppo", *small, *own],
            capture_output=True,
            text=True,
            env=os.environ
            | {
                "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
                "JAX_LOG_COMPILES": "1",
                "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1]),
            },
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        traced.append("Finished tracing chunk" in done.stderr)
        rows = (tmp_path / str(run) / "metrics.jsonl").read_text().splitlines()
        losses.append([json.loads(row)["policy_loss"] for row in rows])
    assert traced == [True, False, False]
    assert losses[0] == losses[1] != losses[2]
