"""How fast does PPO train, beside its peers and beside what no PPO can do without?

    python -m benchmarks.speed.training --out FILE [--rejax PYTHON] [--rounds 5]

Everything is measured in a process of its own, with the same network and settings, and all take
turns round by round, so that whatever else the machine does hits them alike. Reported are medians:
environment steps a second (of all seeds together), the ratio to each peer and to the floor pair by
pair, seconds to compile with no cache, peak memory, and what the policy earns in the end: a fast
learner that does not learn does not count.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from benchmarks import record

PEERS = Path(__file__).parents[1] / "peers"
COMMON = {"num_steps": 128, "num_epochs": 4, "num_minibatches": 4, "learning_rate": 2.5e-4}
ROWS: dict[str, dict[str, Any]] = {
    "4 environments": {"num_envs": 4, "num_seeds": 1, "env_steps": 500_000},
    "64 environments": {"num_envs": 64, "num_seeds": 1, "env_steps": 1_000_000},
    "1024 environments": {"num_envs": 1024, "num_seeds": 1, "env_steps": 2_000_000},
    "16 seeds": {"num_envs": 4, "num_seeds": 16, "env_steps": 100_000},
}


class Peer:
    """A program in its own process, ready to take turns."""

    def __init__(self, command: list[str]) -> None:
        silent = {"JAX_ENABLE_COMPILATION_CACHE": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | silent,
        )
        self.compile_seconds = self.hear()["compile_seconds"]
        self.seconds: list[float] = []
        self.peak_megabytes = 0.0

    def hear(self) -> dict[str, Any]:
        """What it says next.

        Raises:
          RuntimeError: it died.
        """
        line = cast(IO[str], self.process.stdout).readline()
        if not line:
            errors = cast(IO[str], self.process.stderr).read()
            raise RuntimeError(f"{' '.join(map(str, self.process.args))} failed:\n{errors[-2000:]}")
        return json.loads(line)

    def turn(self) -> None:
        """Has it train once."""
        stdin = cast(IO[str], self.process.stdin)
        stdin.write("\n")
        stdin.flush()
        line = self.hear()
        self.seconds.append(line["seconds"])
        self.peak_megabytes = line["peak_megabytes"]

    def end(self) -> float:
        """How good it became."""
        cast(IO[str], self.process.stdin).close()
        found = self.hear()["return"]
        self.process.wait()
        return found


def measure(name: str, rejax: str | None, rounds: int) -> list[dict[str, Any]]:
    """A line for each program."""
    asked = COMMON | ROWS[name]
    batch = asked["num_envs"] * asked["num_steps"]
    asked["env_steps"] = asked["env_steps"] // batch * batch
    ask = lambda **more: json.dumps(asked | more)
    ours = str(PEERS / "ours_ppo.py")
    commands = {
        "rlax_pref": [sys.executable, ours, ask(what="agent")],
        "floor": [sys.executable, ours, ask(what="floor")],
    }
    if rejax:
        commands["rejax"] = [rejax, str(PEERS / "rejax_ppo.py"), ask()]
    peers = {who: Peer(command) for who, command in commands.items()}  # one after the other
    for turn in range(rounds + 1):
        for peer in peers.values():
            peer.turn()
        if not turn:  # the first turn warms up
            for peer in peers.values():
                peer.seconds.clear()
    lines = []
    steps = asked["env_steps"] * asked["num_seeds"]
    for who, peer in peers.items():
        ratio = np.array(peer.seconds) / np.array(peers["rlax_pref"].seconds)
        line = {
            "row": name,
            "program": who,
            "env_steps_per_second": round(steps / float(np.median(peer.seconds))),
            "rlax_pref_is_faster_by": round(float(np.median(ratio)), 3),
            "compile_seconds": round(peer.compile_seconds, 2),
            "peak_megabytes": round(peer.peak_megabytes),
            "return": round(peer.end(), 1),
            "rounds": rounds,
            "load": os.getloadavg()[0],
            **asked,
            **record.where(),
        }
        print(
            "{row:>18} {program:>10}: {env_steps_per_second:>9,} steps/s "
            "(x{rlax_pref_is_faster_by}), {compile_seconds} s to compile, {peak_megabytes} MB, "
            "return {return}".format(**line),
            flush=True,
        )
        lines.append(line)
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rejax", metavar="PYTHON", help="an interpreter that has rejax")
    record.run(
        parser,
        lambda args: [line for row in args.rows for line in measure(row, args.rejax, args.rounds)],
        arguments,
    )


if __name__ == "__main__":
    main()
