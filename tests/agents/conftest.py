"""Fixtures of tests that drive agents."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import pytest

import rlax_pref
from rlax_pref.agents import runner

sys.path.insert(0, str(Path(__file__).parent))
import toy


@pytest.fixture(scope="session")
def twenty() -> list:
    """What 20 steps of the toy agent come to, in one scan."""
    agent = toy.make()
    run = jax.jit(partial(runner.run, agent, num_steps=20))
    return toy.bits(run(jax.jit(agent.init)(jax.random.key(0)))[0])


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
                "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} "
                "--xla_force_host_platform_device_count=4",
                "JAX_PLATFORMS": "cpu",
                "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1]),
            },
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
