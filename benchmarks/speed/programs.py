"""Programs that are measured, each in a process of its own where its library is installed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from benchmarks.speed import table

PEERS = Path(__file__).parents[1] / "peers"


class Program(NamedTuple):
    """A file in `benchmarks/peers`, and what it needs."""

    file: str
    needs: tuple[str, ...] = ()  # of `Places`
    devices: int = 1  # that share the seeds
    threads: int | None = None  # by default one a core


PROGRAMS = {
    "rlax_pref": Program("ours.py"),
    table.SPREAD: Program("ours.py", devices=os.cpu_count() or 1),
    table.ALONE: Program("ours.py", threads=1),
    "floor": Program("floor.py"),
    "rejax": Program("rejax_agents.py", ("peers",)),
    "PureJaxRL": Program("purejaxrl_agents.py", ("peers", "purejaxrl")),
    "Stoix": Program("stoix_agents.py", ("peers", "stoix")),
    "brax": Program("brax_ppo.py"),
}


class Places(NamedTuple):
    """Where peers are."""

    peers: str | None = None  # an interpreter
    purejaxrl: str | None = None  # a checkout
    stoix: str | None = None  # a checkout


def command(name: str, asked: Mapping[str, Any], places: Places) -> list[str] | None:
    """How to start a program; None if what it needs was not given."""
    file, needs, devices, threads = PROGRAMS[name]
    if any(getattr(places, need) is None for need in needs):
        return None
    python = cast(str, places.peers) if "peers" in needs else sys.executable
    checkout = next((getattr(places, need) for need in needs if need != "peers"), None)
    more = {"checkout": checkout, "devices": devices, "threads": threads}
    return [python, str(PEERS / file), json.dumps({**asked, **more})]


class Peer:
    """A program in its own process, ready to take turns."""

    def __init__(self, command: list[str], cache: str | None = None) -> None:
        """Starts it and waits until it is ready.

        Args:
          command: as a list of words.
          cache: directory of compiled programs to begin with and to add to; by default none.

        Raises:
          RuntimeError: it died.
        """
        env = {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_ENABLE_COMPILATION_CACHE": "false"}
        if cache:
            env["JAX_ENABLE_COMPILATION_CACHE"] = "true"
            env["JAX_COMPILATION_CACHE_DIR"] = cache
            env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | env,
        )
        self.compile_seconds = self.hear()["compile_seconds"]
        self.seconds: list[float] = []
        self.peak_megabytes = 0.0

    def hear(self) -> dict[str, Any]:
        """What it says next, in JSON; other libraries print other things besides.

        Raises:
          RuntimeError: it died.
        """
        for line in cast(IO[str], self.process.stdout):
            if line.startswith("{"):
                return json.loads(line)
        errors = cast(IO[str], self.process.stderr).read()
        raise RuntimeError(f"{' '.join(map(str, self.process.args))} failed:\n{errors[-2000:]}")

    def turn(self) -> None:
        """Has it train once."""
        stdin = cast(IO[str], self.process.stdin)
        stdin.write("\n")
        stdin.flush()
        line = self.hear()
        self.seconds.append(line["seconds"])
        self.peak_megabytes = line["peak_megabytes"]

    def end(self) -> list[float] | None:
        """How good it became in every turn, if it can say."""
        cast(IO[str], self.process.stdin).close()
        found = self.hear()["returns"]
        self.process.wait()
        return found

    def kill(self) -> None:
        """Ends it now."""
        self.process.kill()
        self.process.communicate()


def first_update(command: list[str], cache: str) -> float:
    """Seconds from a cold process to the end of its first turn."""
    start = time.perf_counter()
    peer = Peer(command, cache)
    peer.turn()
    seconds = time.perf_counter() - start
    peer.kill()
    return seconds


class Others:
    """How many cores are kept busy by anyone but some processes and this one."""

    def __init__(self, processes: Iterable[int]) -> None:
        self.processes = (os.getpid(), *processes)
        self.start, self.spent = time.perf_counter(), self._spent()

    def cores(self) -> float | None:
        """Since the beginning, on average; None where the system does not say."""
        if self.spent is None:
            return None
        spent = cast(float, self._spent()) - self.spent
        return round(max(spent, 0.0) / (time.perf_counter() - self.start), 2)

    def _spent(self) -> float | None:
        """Seconds of cores."""
        try:
            user, nice, system = Path("/proc/stat").read_text().split()[1:4]
            own = [
                sum(
                    map(
                        int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
                    )
                )
                for pid in self.processes
            ]
        except OSError:
            return None
        return (int(user) + int(nice) + int(system) - sum(own)) / os.sysconf("SC_CLK_TCK")
