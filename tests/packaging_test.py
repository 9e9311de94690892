"""The wheel, built from an sdist, holds everything as real files and nothing beside rlax_pref."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("rlax_pref", "agents", "envs", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("build", reason="needs the dev extra")
    source = tmp_path_factory.mktemp("source")
    for name in PARTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        options = {"symlinks": True} if (ROOT / name).is_dir() else {}
        copy(ROOT / name, source / name, **options)
    command = [sys.executable, "-m", "build", "--outdir", str(source / "dist"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(path) as file:
        yield file


def test_nothing_but_the_package(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"rlax_pref"}


def test_every_module_is_there(wheel):
    modules = {
        path.relative_to(ROOT).as_posix()
        for folder in ("rlax_pref", "rlax_pref/agents", "rlax_pref/envs")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert "rlax_pref/agents/ppo.py" in modules
    assert modules <= set(wheel.namelist())
    assert wheel.read("rlax_pref/agents/ppo.py") == (ROOT / "agents" / "ppo.py").read_bytes()
    assert "rlax_pref/py.typed" in wheel.namelist()


def test_links_have_become_files(wheel):
    kinds = {name: wheel.getinfo(name).external_attr >> 28 for name in wheel.namelist()}
    assert not [name for name, kind in kinds.items() if kind == 0o12]
