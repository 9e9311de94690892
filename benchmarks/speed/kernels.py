"""How many kernels does XLA compile for an agent's first update, and how long does it take?

    python -m benchmarks.speed.kernels --out FILE [--rows "ppo, cartpole" ...]

On a CPU a kernel takes XLA some milliseconds, however small it is, but kernels that are the same
are compiled once. So the number of different kernels is what a first update waits for. Each agent's
beginning and first step are compiled as one program, once with JAX's own keys and once with those
of `runner.run`, which draw the same numbers, and the compiled programs are read.
"""

import argparse
import re
import time
from collections import Counter
from typing import Any

import jax
import numpy as np

from benchmarks import record
from rlax_pref import agents, envs
from rlax_pref.agents import loop
from rlax_pref.types import Agent, Key

ROWS = {
    "ppo, cartpole": ("ppo", "cartpole"),
    "dqn, cartpole": ("dqn", "cartpole"),
    "sac, pendulum": ("sac", "pendulum"),
    "rloo, addition": ("rloo", "addition"),
    "ppo, brax/ant": ("ppo", "brax/ant"),
}


def kernels(program: str) -> Counter[str]:
    """The kernels of a compiled program, whatever they are called, and how often it has each."""
    bodies = dict(re.findall(r"^%(\S+) \([^\n]*\{\n(.*?)^\}", program, re.M | re.S))
    called = re.findall(r" fusion\(.*calls=%([\w.\-]+)", program)
    return Counter(_anonymous(bodies[name]) for name in called)


def _anonymous(body: str) -> str:
    """Numbers its values in the order in which they are named, and drops where they are from."""
    names: dict[str, str] = {}
    body = re.sub(r", metadata=\{[^}]*\}", "", body)
    return re.sub(r"%[\w.\-]+", lambda name: names.setdefault(name[0], f"%{len(names)}"), body)


def by_jax(agent: Agent, key: Key) -> Any:
    """A beginning and a step with JAX's own keys."""
    return agent.step(agent.init(key))


def by_runner(agent: Agent, key: Key) -> Any:
    """A beginning and a step as `runner.train` takes them."""
    return loop.run(agent, loop.born(agent)(key), 1)


def measure(name: str, repeats: int) -> list[dict[str, Any]]:
    """A line for each kind of keys."""
    agent_name, env_name = ROWS[name]
    agent, key = agents.make(agent_name, envs.make(env_name)), jax.random.key(0)
    lines = []
    for keys, first_update in (("JAX's", by_jax), ("the runner's", by_runner)):
        seconds = []
        for _ in range(repeats):
            jax.clear_caches()
            lowered = jax.jit(lambda key, f=first_update: f(agent, key)).lower(key)
            start = time.process_time()
            program = lowered.compile()
            seconds.append(time.process_time() - start)
        found = kernels(program.as_text())
        lines.append(
            {
                "row": name,
                "keys": keys,
                "kernels": found.total(),
                "different": len(found),
                "compile_cpu_seconds": round(float(np.median(seconds)), 2),
                **record.where(),
            }
        )
        print(
            "{row:>16}, {keys:>12} keys: {kernels} kernels, {different} different, "
            "{compile_cpu_seconds} s of CPUs".format(**lines[-1]),
            flush=True,
        )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--repeats", type=int, default=3)

    def run(args: argparse.Namespace) -> list[dict[str, Any]]:
        jax.config.update("jax_enable_compilation_cache", False)
        return [line for row in args.rows for line in measure(row, args.repeats)]

    record.run(parser, run, arguments)


if __name__ == "__main__":
    main()
