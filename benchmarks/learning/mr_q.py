"""Is one set of settings enough, whatever the actions are, and is it the model that does it?

The claim of Fujimoto et al. (2025, arXiv:2501.16142): MR.Q, with the same settings everywhere, is
as good as methods made for a kind of action. Here it learns CartPole, which is discrete, and
Pendulum, which is not, with its defaults in both, after as many steps as DQN, and TD3 and SAC. The
ablation never teaches the encoder, so that all is learned from random features. DQN makes as many
updates as MR.Q does, and explores for a third of the time; TD3 and SAC make twice as many.

With four seeds on CartPole and three on Pendulum the one set of settings does better than DQN and
no worse than the others, and the ablation is within noise of it: tasks of three or four numbers
are too small to tell what the model is good for.

    python -m benchmarks.learning.mr_q --out FILE
"""

import argparse
import time
from typing import Any

import jax
import numpy as np

from benchmarks import record
from rlax_pref import agents, envs
from rlax_pref.agents import runner
from rlax_pref.types import Array, Key

STORE: dict[str, Any] = {"capacity": 20_000, "warm_up": 1000}
AGENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "mr_q": ("mr_q", {}),
    "mr_q, no encoder loss": ("mr_q", {"num_encoder_updates": 0}),
    "dqn": ("dqn", {"num_updates": 4, "epsilon_steps": 3000.0}),
    "td3": ("td3", {}),
    "sac": ("sac", {}),
}
TASKS = {
    "cartpole": (10_000, ("mr_q", "mr_q, no encoder loss", "dqn")),
    "pendulum": (6_000, ("mr_q", "mr_q, no encoder loss", "td3", "sac")),
}
NUM_EPISODES = 16


def measure(name: str, task: str, num_seeds: int, env_steps: int) -> dict[str, Any]:
    """Trains all seeds of one agent in one task and returns its line."""
    env = envs.make(task)
    method, settings = AGENTS[name]
    config = agents.config_from(method, STORE | settings)
    agent = agents.make(method, env, config)
    num_steps = (env_steps - config.warm_up) // config.env_steps

    def one(key: Key) -> tuple[Array, Array]:
        key_train, key_judge = jax.random.split(key)
        state, metrics = runner.run(agent, agent.init(key_train), num_steps)
        policy = agent.policy(state.learner)
        episodes = runner.evaluate(env, policy, key_judge, NUM_EPISODES, 500)
        return episodes["return"].mean(), metrics["return"]

    keys = jax.random.split(jax.random.key(0), num_seeds)
    start = time.perf_counter()
    program = jax.jit(jax.vmap(one)).lower(keys).compile()
    compiled = time.perf_counter()
    returns, curves = jax.tree.map(np.asarray, program(keys))
    return {
        "agent": name,
        "task": task,
        "env_steps": config.warm_up + num_steps * config.env_steps,
        "seeds": num_seeds,
        "mean": float(returns.mean()),
        "standard_error": float(record.standard_error(returns)),
        "returns": np.sort(returns).round(1).tolist(),
        "curve": _thin(curves),
        "compile_seconds": round(compiled - start, 1),
        "seconds": round(time.perf_counter() - compiled, 1),
        **record.where(),
    }


def _thin(curves: np.ndarray) -> list[float | None]:
    """Eight means of the return in training, over seeds and time; None where no episode ended."""
    parts = np.array_split(curves, 8, axis=1)
    return [round(float(np.nanmean(x)), 1) if np.isfinite(x).any() else None for x in parts]


def run(
    names: list[str], tasks: list[str], num_seeds: int, env_steps: int | None
) -> list[dict[str, Any]]:
    """Measures all conditions, and returns a line for each."""
    lines = []
    for task in tasks:
        steps, able = TASKS[task]
        for name in (name for name in able if name in names):
            lines.append(measure(name, task, num_seeds, env_steps or steps))
            print(
                "{task:>8}, {agent:>21}: {mean:7.1f} +- {standard_error:.1f} after {env_steps} "
                "steps ({compile_seconds} s to compile, {seconds} s)".format(**lines[-1]),
                flush=True,
            )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", nargs="+", choices=AGENTS, default=list(AGENTS))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--env-steps", type=int, help="by default a number for each task")
    record.run(
        parser, lambda args: run(args.agents, args.tasks, args.seeds, args.env_steps), arguments
    )


if __name__ == "__main__":
    main()
