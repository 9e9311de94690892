"""Fixtures of tests that drive agents."""

import sys
from functools import partial
from pathlib import Path

import jax
import pytest

from rlax_pref.agents import runner

sys.path.insert(0, str(Path(__file__).parent))
import toy


@pytest.fixture(scope="session")
def twenty() -> list:
    """What 20 steps of the toy agent come to, in one scan."""
    agent = toy.make()
    run = jax.jit(partial(runner.run, agent, num_steps=20))
    return toy.bits(run(jax.jit(agent.init)(jax.random.key(0)))[0])
