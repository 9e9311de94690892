"""Fixtures of tests that need devices of their own."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import rlax_pref


@pytest.fixture
def on_four_devices() -> Callable[..., str]:
    """Runs a script, given this folder and further arguments, where JAX sees 4 CPU devices."""

    def run(script: str, *arguments: object) -> str:
        command = [sys.executable, "-c", textwrap.dedent(script), str(Path(__file__).parent)]
        done = subprocess.run(
            [*command, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env=os.environ
            | {
                "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
                "JAX_PLATFORMS": "cpu",
                "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1]),
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
