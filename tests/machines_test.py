"""Devices and processes: what is settled before JAX looks for them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rlax_pref
from rlax_pref import machines


def test_before_and_after_jax_has_looked():
    script = """
import jax
from rlax_pref import machines
try:
    machines.join()
except ValueError as error:
    print(error)
machines.split_cpu(3)
print(jax.device_count())
machines.split_cpu(2)
print(jax.device_count())
"""
    names = ("XLA_FLAGS", "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env={name: x for name, x in os.environ.items() if name not in names}
        | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    message, *counts = done.stdout.splitlines()
    assert "Where no cluster says who is who, set JAX_COORDINATOR_ADDRESS=host:port" in message
    assert counts == ["3", "3"]


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted by Linux")
@pytest.mark.parametrize("number", [1, 3])
def test_threads(number):
    script = f"""
import os
import jax
from rlax_pref import machines
machines.limit_threads({number})
jax.numpy.ones(3).block_until_ready()
own = [open(f"/proc/self/task/{{task}}/comm").read() for task in os.listdir("/proc/self/task")]
print(sum("XLAEigen" in name for name in own))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ
        | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == number


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match="threads=0: there is at least 1"):
        machines.limit_threads(0)
