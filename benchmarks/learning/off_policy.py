"""Do agents that learn from stored steps learn what they should, and as well as a peer's?

    python -m benchmarks.learning.off_policy --out FILE
    python -m benchmarks.learning.off_policy --rejax PYTHON --out FILE

Every seed trains for the same environment steps, and is then judged by 128 episodes of its policy
as it is when it does not explore. With an interpreter that has rejax, its agents are trained in the
same tasks, with the settings its authors publish for them. All seeds of an agent are one program.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import record
from rlax_pref import agents, envs
from rlax_pref.agents import runner
from rlax_pref.types import Array, Key

PEER = Path(__file__).parents[1] / "peers" / "rejax_returns.py"


class Task(NamedTuple):
    """An agent, what it is to learn, and how long it has."""

    env: str
    env_steps: int
    settings: Mapping[str, Any]


# Slow copies follow faster where there are only 10,000 steps, chosen among a few, as the peer's
# settings are; supports of Rainbow's returns are made for returns scaled to 10.
TASKS = {
    "dqn": Task("cartpole", 100_000, {}),
    "rainbow": Task("cartpole", 100_000, {"reward_scale": 0.1}),
    "sac": Task("pendulum", 10_000, {"target_rate": 0.02}),
    "td3": Task("pendulum", 10_000, {"target_rate": 0.02}),
}


def ours(name: str, num_seeds: int) -> dict[str, Any]:
    """Trains all seeds of one agent and says how good they are."""
    task = TASKS[name]
    env = envs.make(task.env)
    config = agents.config_from(name, task.settings)
    agent = agents.make(name, env, config)
    num_steps = (task.env_steps - config.warm_up) // config.env_steps

    def one(key: Key) -> Array:
        key_train, key_judge = jax.random.split(key)
        state, _ = runner.run(agent, agent.init(key_train), num_steps)
        policy = agent.policy(state.learner)
        return runner.evaluate(env, policy, key_judge, 128, 500)["return"].mean()

    keys = jax.random.split(jax.random.key(0), num_seeds)
    start = time.perf_counter()
    program = jax.jit(jax.vmap(one)).lower(keys).compile()
    compiled = time.perf_counter()
    returns = np.asarray(program(keys))
    return {
        "env_steps": config.warm_up + num_steps * config.env_steps,
        "returns": np.sort(returns).round(2).tolist(),
        "compile_seconds": round(compiled - start, 2),
        "seconds": round(time.perf_counter() - compiled, 2),
    }


def theirs(python: str, name: str, num_seeds: int) -> dict[str, Any]:
    """The same of rejax, in its own process."""
    command = [python, str(PEER), name, str(num_seeds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def run(names: list[str], num_seeds: int, rejax: str | None) -> list[dict[str, Any]]:
    """Measures one agent after the other, and says how each went."""
    lines = []
    for name in names:
        found = {"rlax_pref": ours(name, num_seeds)}
        if rejax and name != "rainbow":
            found["rejax"] = theirs(rejax, name, num_seeds)
        for library, line in found.items():
            returns = np.array(line["returns"])
            line = {
                "agent": name,
                "task": TASKS[name].env,
                "library": library,
                "settings": dict(TASKS[name].settings) if library == "rlax_pref" else "its own",
                "mean": float(returns.mean().round(2)),
                "standard_error": float(record.standard_error(returns).round(2)),
                **line,
                **record.where(),
            }
            print(
                "{agent:>8} {task:>9} {library:>10}: {mean:.1f} +- {standard_error:.1f} after "
                "{env_steps:,} steps ({seconds} s, {compile_seconds} s to compile)".format(**line),
                flush=True,
            )
            lines.append(line)
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--rejax", metavar="PYTHON", help="an interpreter that has rejax")
    record.run(parser, lambda args: run(args.agents, args.seeds, args.rejax), arguments)


if __name__ == "__main__":
    main()
