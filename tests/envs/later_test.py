"""Modules that are put off are imported when they are used, and leave no trace before that."""

import importlib
import subprocess
import sys

import pytest

from rlax_pref.envs._later import put_off

MODULE = "wave"  # of the standard library; nothing here imports it


@pytest.fixture(autouse=True)
def forget() -> None:
    sys.modules.pop(MODULE, None)


def test_comes_when_something_in_it_is_asked_for() -> None:
    with put_off(MODULE):
        import wave
    assert MODULE not in sys.modules
    assert wave.Wave_read.__name__ == "Wave_read"
    assert wave.open is importlib.import_module(MODULE).open
    with pytest.raises(AttributeError, match="no_such_thing"):
        wave.no_such_thing  # noqa: B018


def test_may_be_used_before_it_is_over() -> None:
    with put_off(MODULE):
        from wave import Wave_read
    assert Wave_read is sys.modules[MODULE].Wave_read


def test_what_is_imported_already_stays() -> None:
    with put_off("sys", "importlib"):
        assert sys.modules["sys"] is sys and sys.modules["importlib"] is importlib


def test_nothing_stays_behind_when_an_import_fails() -> None:
    with pytest.raises(RuntimeError), put_off(MODULE):
        raise RuntimeError
    assert MODULE not in sys.modules


def test_an_environment_of_gymnax_does_not_wait_for_pictures() -> None:
    code = (
        "import sys; from rlax_pref import envs; envs.make('gymnax/Breakout-MinAtar');"
        "assert not {'matplotlib.pyplot', 'seaborn', 'scipy.stats'} & set(sys.modules);"
        "import matplotlib.pyplot; matplotlib.pyplot.figure"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
