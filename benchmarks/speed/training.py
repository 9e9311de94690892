"""How fast do agents train, beside their peers and beside what none can do without?

    python -m venv peers && peers/bin/pip install '.[peers]'
    python -m benchmarks.speed.training --out FILE --peers peers/bin/python

`--purejaxrl DIR` and `--stoix DIR`, checkouts of PureJaxRL and Stoix, have them take part, too.
Every program runs in a process of its own, with the same network and settings, and all take turns
round by round, so that whatever else the machine does hits them alike. Reported are medians:
environment steps a second (of all seeds together), the ratio to each peer and to the floor pair by
pair, seconds to compile with no cache, seconds from a cold process to the end of the first update
with an empty cache and with what that left in it, peak memory, and what the policies earn that each
turn begins anew and leads to: a fast learner that does not learn does not count. (brax goes on with
one training, whose end counts.)
"""

import argparse
import dataclasses
import functools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import record
from benchmarks.speed import table
from benchmarks.speed.programs import PROGRAMS, Others, Peer, Places, command, first_update
from rlax_pref import agents, plots

EPISODES = 64


class Row(NamedTuple):
    """What is trained, and for how long."""

    agent: str
    env: str
    known_as: str  # among peers
    env_steps: int
    settings: Mapping[str, Any]
    peers: tuple[str, ...] = ("rejax", "PureJaxRL", "Stoix")
    num_seeds: int = 1
    also: tuple[str, ...] = ()  # other ways to run this project's agent


PPO = {
    "num_steps": 128,
    "learning_rate": 2.5e-4,
    "entropy_weight": 0.01,
    "normalize_obs": False,
    "normalize_reward": False,
}
DQN = {
    "batch_size": 128,
    "num_updates": 1,
    "capacity": 10_000,
    "warm_up": 2000,
    "hidden": (120, 84),
    "activation": "relu",
    "learning_rate": 5e-4,
    "max_grad_norm": float("inf"),
    "target_rate": 0.01,
    "double": False,
}
SAC = {
    "num_envs": 1,
    "num_updates": 1,
    "batch_size": 256,
    "capacity": 10_000,
    "warm_up": 256,
    "learning_rate": 3e-3,
    "target_rate": 0.02,
}


def _cartpole(num_envs: int, env_steps: int, rate: float = 2.5e-4, **more: Any) -> Row:
    settings = PPO | {"num_envs": num_envs, "learning_rate": rate}
    return Row("ppo", "cartpole", "CartPole-v1", env_steps, settings, **more)


ROWS = {
    "PPO, CartPole, 4 environments": _cartpole(4, 500_000, also=(table.ALONE,)),
    "PPO, CartPole, 64 environments": _cartpole(64, 1_000_000),
    "PPO, CartPole, 1024 environments": _cartpole(1024, 2_000_000, 2.5e-3),
    "PPO, CartPole, 16 seeds of 4": _cartpole(4, 100_000, num_seeds=16, also=(table.SPREAD,)),
    "DQN, CartPole, 8 environments": Row(
        "dqn", "cartpole", "CartPole-v1", 200_000, DQN, ("rejax", "PureJaxRL"), also=(table.ALONE,)
    ),
    "SAC, Pendulum, 1 environment": Row(
        "sac", "pendulum", "Pendulum-v1", 10_000, SAC, ("rejax", "Stoix")
    ),
    "PPO, MinAtar Breakout, 64 environments": Row(
        "ppo",
        "gymnax/Breakout-MinAtar",
        "Breakout-MinAtar",
        500_000,
        PPO | {"num_envs": 64, "num_minibatches": 8, "activation": "relu", "learning_rate": 2e-3},
    ),
    "PPO, brax ant, 128 environments": Row(
        "ppo",
        "brax/ant",
        "brax/ant",
        2**15,
        PPO | {"num_envs": 128, "num_steps": 32, "normalize_obs": True, "entropy_weight": 0.0},
        ("rejax", "brax"),
    ),
}


def measure(name: str, places: Places, rounds: int) -> list[dict[str, Any]]:
    """A line for each program."""
    row = ROWS[name]
    config = agents.config_from(row.agent, row.settings)
    steps = row.env_steps // config.env_steps * config.env_steps
    asked = {
        "agent": row.agent,
        "settings": dataclasses.asdict(config),
        "env_steps": steps,
        "num_seeds": row.num_seeds,
        "episodes": EPISODES,
        "first": False,
    }
    # The end of the warm-up is one step earlier for some than for others.
    first = {"first": True, "env_steps": getattr(config, "warm_up", -config.env_steps)}
    first["env_steps"] += 2 * config.env_steps
    peers, begin = {}, {}
    for who in ("rlax_pref", *row.also, "floor", *row.peers):
        own = asked | {"env": row.known_as if who in row.peers else row.env}
        start = command(who, own, places)
        if start is None:
            continue
        try:
            peers[who] = Peer(start)
        except RuntimeError as error:
            if who not in row.peers:
                raise
            print(f"{name}: without {who}, as {error}", flush=True)
        else:
            if who != "floor":
                begin[who] = command(who, own | first, places)
    starts = _starts(begin, min(rounds, 3))
    others = Others(peer.process.pid for peer in peers.values())
    for turn in range(rounds + 1):
        for peer in peers.values():
            peer.turn()
        if not turn:  # the first turn warms up
            for peer in peers.values():
                peer.seconds.clear()
    busy = others.cores()
    lines = []
    for who, peer in peers.items():
        ratio = np.array(peer.seconds) / np.array(peers["rlax_pref"].seconds)
        cold, cached = starts.get(who, (None, None))
        earned = peer.end()
        lines.append(
            {
                "row": name,
                "program": who,
                "env_steps_per_second": round(
                    steps * row.num_seeds / float(np.median(peer.seconds))
                ),
                "rlax_pref_is_faster_by": round(float(np.median(ratio)), 3),
                "compile_seconds": round(peer.compile_seconds, 2),
                "first_update_seconds": cold,
                "first_update_seconds_cached": cached,
                "peak_megabytes": round(peer.peak_megabytes),
                "return": None if earned is None else round(float(np.mean(earned)), 1),
                "return_standard_error": _error(earned),
                "rounds": rounds,
                "cores": os.cpu_count(),
                "cores_busy_with_others": busy,
                "env_steps": steps,
                "num_seeds": row.num_seeds,
                "settings": {k: v for k, v in row.settings.items() if v != float("inf")},
                **record.where(),
            }
        )
    return lines


def _error(returns: list[float] | None) -> float | None:
    """Of the mean of several."""
    if returns is None or len(returns) < 2:
        return None
    return round(float(record.standard_error(np.array(returns))), 1)


def _starts(commands: Mapping[str, Any], rounds: int) -> dict[str, list[float]]:
    """Seconds to the first update, with an empty cache and with what that left in it: medians."""
    seconds: dict[str, list[list[float]]] = {who: [] for who in commands}
    for _ in range(rounds):
        for who, start in commands.items():
            with tempfile.TemporaryDirectory() as cache:
                seconds[who].append([first_update(start, cache) for _ in range(2)])
    return {who: np.median(x, axis=0).round(2).tolist() for who, x in seconds.items()}


def run(names: list[str], places: Places, rounds: int, out: Path) -> list[dict[str, Any]]:
    """Measures one row after the other; what was measured is kept if a later one fails."""
    lines: list[dict[str, Any]] = []
    for name in names:
        lines += measure(name, places, rounds)
        record.write_lines(out, lines)
        print(table.full([line for line in lines if line["row"] == name]), flush=True)
    return lines


def draw(path: Path, lines: list[dict[str, Any]]) -> None:
    """Draws how fast each program is beside this project's."""
    groups: dict[str, dict[str, float]] = {}
    for line in lines:
        faster = 1.0 / line["rlax_pref_is_faster_by"]
        groups.setdefault(line["row"].replace(", ", "\n"), {})[line["program"]] = faster
    plots.bars(
        path,
        groups,
        names=list(PROGRAMS),
        ylabel="steps a second, of rlax_pref's",
        title="Training on the same settings; the floor is rollouts and gradients alone",
    )


def _interpreter(text: str) -> str:
    if not (Path(text).is_file() and os.access(text, os.X_OK)):
        raise argparse.ArgumentTypeError(
            f"{text} is not a Python interpreter: make one with "
            f"`python -m venv peers && peers/bin/pip install '.[peers]'`"
        )
    return text


CHECKOUTS = {  # a file that each has, and where it is from
    "purejaxrl": ("purejaxrl/ppo.py", "https://github.com/luchris429/purejaxrl"),
    "stoix": ("stoix/systems/ppo/anakin/ff_ppo.py", "https://github.com/EdanToledo/Stoix"),
}


def _checkout(name: str, text: str) -> str:
    file, url = CHECKOUTS[name]
    if not (Path(text) / file).is_file():
        raise argparse.ArgumentTypeError(f"{text} has no {file}: it must be a checkout of {url}")
    return str(Path(text).resolve())


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--peers", metavar="PYTHON", type=_interpreter, help="an interpreter with the extra `peers`"
    )
    for name, (_, url) in CHECKOUTS.items():
        read = functools.partial(_checkout, name)
        parser.add_argument(f"--{name}", metavar="DIR", type=read, help=f"a checkout of {url}")
    record.run(
        parser,
        lambda args: run(
            args.rows, Places(args.peers, args.purejaxrl, args.stoix), args.rounds, args.out
        ),
        arguments,
        draw=draw,
    )


if __name__ == "__main__":
    main()
