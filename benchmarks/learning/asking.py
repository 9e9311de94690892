"""Which pairs should people be asked about, and what can be learned from asking while learning?

IPL (Hejna & Sadigh, 2023, arXiv:2305.15363) begins with segments of random actions. Now and then
its policy makes new ones, which replace the oldest, and a scripted teacher says which of two
collected more; there is no other reward. As in PEBBLE (Lee et al., 2021, arXiv:2106.05091), of
several pairs the teacher may be asked about the one on which the critics disagree most, for more
steps in the environment.

    python -m benchmarks.learning.asking --out FILE
        [--task pendulum] [--pairs 128] [--candidates 1 10] [--seeds 3] [--steps 10000]

FILE gets one JSON line for each number of pairs that are kept and of candidates: the true return of
whole episodes of 200 steps without exploring, the labels asked for and the environment's steps. All
seeds of a condition are one program.
"""

import argparse
import time
from functools import partial
from typing import Any

import jax
import numpy as np

from benchmarks import record
from rlax_pref import agents, envs
from rlax_pref.agents import runner
from rlax_pref.types import Array, Key

TIME_LIMIT = 200
NUM_EPISODES = 32
ROUNDS = 16  # collections that replace all pairs
COLLECT_EVERY = 200
LENGTH = 25


@partial(jax.jit, static_argnames=("task", "pairs", "candidates", "steps"))
def train(keys: Key, *, task: str, pairs: int, candidates: int, steps: int) -> Array:
    """`[K]` true returns."""
    env = envs.make(task, time_limit=TIME_LIMIT)
    settings = {
        "num_envs": pairs,
        "batch_size": min(64, pairs),
        "num_rounds": ROUNDS,
        "length": LENGTH,
        "collect_every": COLLECT_EVERY,
        "candidates": candidates,
        "act_steps": 0,
    }
    agent = agents.make("ipl", env, settings)

    def one(key: Key) -> Array:
        key_train, key_judge = jax.random.split(key)
        state, _ = runner.run(agent, agent.init(key_train), steps)
        policy = agent.policy(state.learner)
        return runner.evaluate(env, policy, key_judge, NUM_EPISODES, TIME_LIMIT)["return"].mean()

    return jax.vmap(one)(keys)


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Trains everything, and returns a line for each condition."""
    keys, lines = jax.random.split(jax.random.key(0), args.seeds), []
    new = (args.steps - 1) // COLLECT_EVERY  # collections
    for pairs in args.pairs:
        for candidates in args.candidates:
            begin = time.perf_counter()
            settings = {"pairs": pairs, "candidates": candidates, "steps": args.steps}
            found = np.asarray(train(keys, task=args.task, **settings))
            lines.append(
                {
                    "task": args.task,
                    **settings,
                    "seeds": args.seeds,
                    "labels": pairs + new * pairs // ROUNDS,
                    "env_steps": 2 * LENGTH * (pairs + new * candidates * pairs // ROUNDS),
                    "mean": float(found.mean()),
                    "standard_error": float(record.standard_error(found)),
                    "by_seed": [round(float(x), 1) for x in found],
                    "seconds": round(time.perf_counter() - begin, 1),
                    **record.where(),
                }
            )
            print(
                "{task}: {labels:5} labels, {candidates:2} candidates: "
                "{mean:.1f} +- {standard_error:.1f}".format(**lines[-1]),
                flush=True,
            )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", default="pendulum")
    parser.add_argument("--pairs", nargs="+", type=int, default=[128])
    parser.add_argument("--candidates", nargs="+", type=int, default=[1, 10])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10_000)

    def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
        if args.seeds < 2 or any(pairs % ROUNDS for pairs in args.pairs):
            parser.error(f"--seeds must be at least 2, --pairs multiples of {ROUNDS}")
        return run(args)

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()
