"""Does asking for more get more? A Decision Transformer and cloning, from random walks.

Chen et al. (2021, arXiv:2106.01345) learn which action was taken given the return that came of it,
and act by asking for a large one. Here walks are random, on an open board with the goal in a
corner; each step costs 1 and walks are cut after 40. Moves are four directions, or any vector.
Whoever clones the walks walks at random; whoever knows what came of a step may do better. What is
earned is measured by what was asked for, down to 0, which nothing ever earned. `mlp` has hidden
layers where returns, observations and actions enter and where actions leave (Shi et al., 2023,
arXiv:2310.20587), and is otherwise the same; which of the two is better is not known beforehand.

    python -m benchmarks.learning.decision_transformer --out FILE [--seeds 6]

FILE gets one JSON line a task, method and return asked for: the mean return of 64 episodes from
anywhere, over seeds; by the shortest ways in four directions that is -4.2. Every seed has walks of
its own, and all seeds are one program.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref.agents import configs, decision_transformer, imitation, off_policy, runner
from rlax_pref.envs import rollout
from rlax_pref.envs.check import sample_action
from rlax_pref.envs.maze import Maze
from rlax_pref.types import Agent, Array, Key, Policy, Transition

SIDE, TIME_LIMIT, NUM_WALKERS, NUM_EPISODES = 5, 40, 16, 64
ASKED = (0.0, -2.0, -4.0, -8.0, -16.0, -32.0)
CORNER = np.zeros((SIDE, SIDE), bool)
CORNER[-1, -1] = True
TASKS = {
    name: Maze(
        jnp.zeros((SIDE, SIDE), bool),
        goals=jnp.asarray(CORNER),
        starts=jnp.asarray(~CORNER),
        time_limit=TIME_LIMIT,
        continuous=name == "vectors",
    )
    for name in ("directions", "vectors")
}
COMMON: dict[str, Any] = {"num_envs": 1, "num_updates": 50, "batch_size": 64, "learning_rate": 1e-3}
SEQUENCE = configs.DecisionTransformer(
    context=5, max_length=TIME_LIMIT, width=32, num_layers=1, ramp_updates=100.0, **COMMON
)
DEEP = dataclasses.replace(SEQUENCE, mlp_embeddings=True, mlp_head=True)
CLONE = configs.BehaviourCloning(**COMMON)


def walk(env: Maze) -> Policy:
    """Does anything, evenly."""
    act = lambda memory, obs, key: (memory, sample_action(env.action_space, key))
    return Policy(lambda key: (), act)


def record_data(env: Maze, key: Key, num_rows: int) -> Transition:
    """Steps of walkers, one after the other; each one's last walk is cut."""
    done = rollout(env, walk(env), key, NUM_WALKERS, num_rows // NUM_WALKERS)
    cut = done.truncated_t.at[-1].set(True) & ~done.terminated_t
    line = lambda x: jnp.swapaxes(x, 0, 1).reshape(-1, *x.shape[2:])
    steps = Transition(
        obs_tm1=done.obs_tm1,
        a_tm1=done.a_tm1,
        r_t=done.r_t,
        discount_t=1.0 - done.terminated_t.astype(jnp.float32),
        truncated_t=cut,
        valid_t=jnp.ones_like(cut),
        obs_t=done.obs_t,
    )
    return jax.tree.map(line, steps)


def judge(env: Maze, policy: Policy, key: Key) -> Array:
    """`[]` mean return."""
    return runner.evaluate(env, policy, key, NUM_EPISODES, TIME_LIMIT)["return"].mean()


def learn(agent: Agent, minibatches: int, key: Key) -> Any:
    """The learner in the end."""
    num_steps = minibatches // COMMON["num_updates"]
    return runner.run(agent, agent.init(key), num_steps)[0].learner


def asking(config: Any, env: Maze, data: Transition, minibatches: int, keys: Key) -> Array:
    """`[1 + ASKED]` what is earned, the best of the data asked for first."""
    make = lambda target: decision_transformer.make(
        env, dataclasses.replace(config, target_return=target), data
    )
    learner = learn(make(jnp.inf), minibatches, keys[0])
    targets = jnp.array([jnp.inf, *ASKED])
    return jax.vmap(lambda target: judge(env, make(target).policy(learner), keys[1]))(targets)


def cloning(share: float, env: Maze, data: Transition, minibatches: int, keys: Key) -> Array:
    """`[2]` what is earned by the likeliest actions, and by actions drawn from their law."""
    config = dataclasses.replace(CLONE, share=share)
    learner = learn(imitation.make(env, config, data), minibatches, keys[0])
    method: off_policy.Method = imitation.method(env.action_space, config)
    policies = method.policy(learner), method.explore(learner, jnp.int32(0))
    return jnp.stack([judge(env, policy, keys[1]) for policy in policies])


def walking(env: Maze, data: Transition, minibatches: int, keys: Key) -> Array:
    """`[1]` what is earned by whoever made the data."""
    return judge(env, walk(env), keys[1])[None]


BY_ASKED = ["best", *ASKED]
METHODS: dict[str, tuple[Callable[..., Array], list[Any]]] = {
    "walk": (walking, ["nothing"]),
    "bc": (partial(cloning, 1.0), ["nothing", "nothing, sampled"]),
    "10% bc": (partial(cloning, 0.1), ["nothing", "nothing, sampled"]),
    "linear": (partial(asking, SEQUENCE), BY_ASKED),
    "mlp": (partial(asking, DEEP), BY_ASKED),
}


def run(
    tasks: list[str], methods: list[str], num_seeds: int, num_rows: int, minibatches: int
) -> list[dict[str, Any]]:
    """Measures one method after the other, and says how each went."""
    lines = []
    for task in tasks:
        env = TASKS[task]
        for name in methods:
            study, conditions = METHODS[name]

            @jax.jit
            @jax.vmap
            def seeds(key: Key, study: Any = study, env: Maze = env) -> Array:
                key_data, *keys = jax.random.split(key, 3)
                return study(env, record_data(env, key_data, num_rows), minibatches, keys)

            start = time.perf_counter()
            earned = np.asarray(seeds(jax.random.split(jax.random.key(0), num_seeds)))
            for asked, each in zip(conditions, earned.T, strict=True):
                lines.append(
                    {
                        "task": task,
                        "method": name,
                        "asked": asked,
                        "seeds": num_seeds,
                        "rows": num_rows,
                        "minibatches": minibatches,
                        "mean": float(each.mean()),
                        "standard_error": float(record.standard_error(each)),
                        "each": each.astype(float).round(2).tolist(),
                        "seconds": round(time.perf_counter() - start, 1),
                        **record.where(),
                    }
                )
                print(
                    "{task:>10} {method:>7}, asked for {asked!s:>16}: {mean:6.2f} "
                    "+- {standard_error:.2f}".format(**lines[-1]),
                    flush=True,
                )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--rows", type=int, default=10_000, help="steps of walks")
    parser.add_argument("--minibatches", type=int, default=1500)
    record.run(
        parser,
        lambda args: run(args.tasks, args.methods, args.seeds, args.rows, args.minibatches),
        arguments,
    )


if __name__ == "__main__":
    main()
