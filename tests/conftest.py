"""Fixtures that any test may ask for. Compiled programs are kept: compiling is what tests wait for.

The settings are environment variables, so that processes that a test starts share the cache, and
they are made before JAX is imported.
"""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rlax_pref" / "tests"
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _CACHE.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(_CACHE)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
os.environ.setdefault(
    "JAX_DISABLE_MOST_OPTIMIZATIONS", "1"
)  # tests run little of what they compile
if version("jaxlib").startswith("0.10."):  # others need not know them, and end where they do not
    # Loops made by LLVM alone and in one piece compile in half the time, and run a little slower.
    quick = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {quick}".strip()

import jax  # noqa: E402
import pytest  # noqa: E402

import rlax_pref  # noqa: E402

AGENTS = Path(__file__).parent / "agents"


@pytest.fixture(scope="module", autouse=True)
def forget() -> Iterator[None]:
    """Drops a module's programs: each maps memory, and the system allows a process only so many."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="module")
def strict() -> Iterator[None]:
    """Makes silent broadcasting an error; `pytestmark = pytest.mark.usefixtures("strict")`."""
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """The published worlds and choices, where there are any."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "knox"
    folder = Path(os.environ.get("RLAX_PREF_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no published data in {folder}; set RLAX_PREF_DATA to their folder")
    return folder


@pytest.fixture
def on_four_devices() -> Callable[..., str]:
    """Runs a script where JAX sees 4 CPU devices, given `tests/agents` and further arguments."""

    def run(script: str, *arguments: object) -> str:
        command = [sys.executable, "-c", textwrap.dedent(script), str(AGENTS)]
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
