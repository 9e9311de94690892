"""What can be learned from the records of others, good and bad: values or imitation?

PPO learns a task and is stopped twice, early and later; what these two policies did, and what
random actions did, is all the data there is. Cloning copies the mixture. Cloning the tenth of the
trajectories with the largest returns copies the best of it, if whole trajectories are good. IQL,
XQL, AWAC and ODICE weigh single steps by what they are worth, and TD3+BC, CQL and Cal-QL ask
critics about actions that are not in the data, held back.

    python -m benchmarks.learning.offline_control --out FILE
        [--tasks cartpole pendulum brax/inverted_pendulum]
        [--seeds 5] [--steps 40000] [--minibatches 10000]

Every seed has data of its own. FILE gets one JSON line for each task and method, and one for each
part of the data: returns of whole episodes, of the policy as it is when it does not explore.
Minibatches are of 64 steps; all else is each agent's default, but for what all agents of a task
share. All seeds of a method are one program.
"""

import argparse
import time
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import agents, datasets, envs
from rlax_pref.agents import configs, cql, dqn, imitation, ppo, runner, td3
from rlax_pref.types import Array, Box, Discrete, Env, Key, Policy, Transition

TIME_LIMIT = 200
NUM_EPISODES = 32
NUM_ENVS = 20  # that record data


class Task(NamedTuple):
    """What to learn, and when PPO is stopped."""

    early: int  # updates of PPO, each 2,048 steps
    later: int
    settings: Mapping[str, Any] = MappingProxyType({})  # of offline agents
    shift: float = 0.0  # that makes rewards positive, as Cal-QL needs where episodes are cut


TASKS = {
    "cartpole": Task(2, 6),
    "pendulum": Task(30, 80, {"reward_scale": 0.1}, shift=1.63),
    "brax/inverted_pendulum": Task(2, 6),
}
COMMON = {"batch_size": 64}
METHODS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "iql": (imitation, "iql", {}),
    "iql, tau .9": (imitation, "iql", {"tau": 0.9}),
    "xql": (imitation, "xql", {}),
    "awac": (imitation, "awac", {}),
    "odice": (imitation, "odice", {}),
    "bc": (imitation, "behaviour_cloning", {}),
    "10% bc": (imitation, "behaviour_cloning", {"share": 0.1}),
    "td3_bc": (td3, "td3_bc", {}),
    "discrete_cql": (dqn, "discrete_cql", {}),
    "cql": (cql, "cql", {}),
    "cql, weight 1": (cql, "cql", {"cql_weight": 1.0}),
    "cal_ql": (cql, "cal_ql", {}),
}
KINDS = {td3: Box, dqn: Discrete, cql: Box}  # of actions, where not all will do


def configure(method: str, task: Task) -> Any:
    """An agent's defaults, but for what agents share here."""
    _, agent, settings = METHODS[method]
    shift = {"reward_shift": task.shift} if agent == "cal_ql" else {}
    return agents.config_from(agent, {**COMMON, **task.settings, **settings, **shift})


def judge(env: Env, policy: Policy, key: Key) -> Array:
    """`[]` return of whole episodes."""
    return runner.evaluate(env, policy, key, NUM_EPISODES, TIME_LIMIT)["return"].mean()


def records(env: Env, task: Task, key: Key, num_steps: int) -> tuple[Transition, Array, Array]:
    """Data `[N, ...]`, the mean returns `[3]` of what made its parts, and the best policy's."""
    key_learn, *keys_act = jax.random.split(key, 5)
    agent = ppo.make(env, configs.PPO(num_envs=16, num_steps=128))
    start = agent.init(key_learn)
    early = runner.run(agent, start, task.early)[0]
    later = runner.run(agent, early, task.later - task.early)[0]
    parts, returns = [], []
    for state, noise, key_act in zip(
        (start, early, later), (1.0, 0.1, 0.1), keys_act, strict=False
    ):
        policy = datasets.noisy(agent.policy(state.learner), env.action_space, noise)
        num = num_steps // 3 // NUM_ENVS
        rollout = envs.rollout(env, policy, key_act, NUM_ENVS, num)
        parts.append(rows(rollout))
        returns.append(judge(env, policy, key_act))
    data = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    return data, jnp.stack(returns), judge(env, agent.policy(later.learner), keys_act[3])


def rows(rollout: envs.Rollout) -> Transition:
    """What was done, one environment after the other; the last trajectory of each is cut off."""
    line = lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:])
    truncated = rollout.truncated_t.at[-1].set(~rollout.terminated_t[-1])
    return Transition(
        obs_tm1=line(rollout.obs_tm1),
        a_tm1=line(rollout.a_tm1),
        r_t=line(rollout.r_t),
        discount_t=1.0 - line(rollout.terminated_t).astype(jnp.float32),
        truncated_t=line(truncated),
        valid_t=jnp.ones(truncated.size, bool),
        obs_t=line(rollout.obs_t),
    )


@partial(jax.jit, static_argnames=("make", "env", "minibatches"))
def study(config: Any, keys: Key, data: Transition, make: Any, env: Env, minibatches: int) -> Array:
    """`[seeds]` returns of what was learned; methods that differ in numbers share a program."""

    def one(key: Key, data: Transition) -> Array:
        key_learn, key_judge = jax.random.split(key)
        agent = make(env, config, data)
        state, _ = runner.run(agent, agent.init(key_learn), minibatches // config.num_updates)
        return judge(env, agent.policy(state.learner), key_judge)

    return jax.vmap(one)(keys, data)


def run(
    names: list[str], methods: list[str], num_seeds: int, num_steps: int, minibatches: int
) -> list[dict[str, Any]]:
    """Measures all methods in all tasks, and says how each went."""
    lines: list[dict[str, Any]] = []

    def say(name: str, method: str, returns: Any, **more: Any) -> None:
        returns = np.asarray(returns)
        lines.append(
            {
                "task": name,
                "method": method,
                "steps": num_steps,
                "seeds": num_seeds,
                "mean": float(returns.mean()),
                "standard_error": float(record.standard_error(returns)),
                "returns": np.sort(returns).round(2).tolist(),
                **more,
                **record.where(),
            }
        )
        print(
            "{task:>10} {method:>14}: {mean:8.1f} +- {standard_error:5.1f}".format(**lines[-1]),
            flush=True,
        )

    for name in names:
        env, task = envs.make(name, time_limit=TIME_LIMIT), TASKS[name]
        keys = jax.random.split(jax.random.key(0), num_seeds)
        data, returns, best = jax.jit(
            jax.vmap(lambda key, env=env, task=task: records(env, task, key, num_steps))
        )(keys)
        for part, each in zip(("random", "early", "later"), returns.T, strict=True):
            say(name, f"data: {part}", each)
        say(name, "ppo, later", best)
        for method in methods:
            module = METHODS[method][0]
            if module in KINDS and not isinstance(env.action_space, KINDS[module]):
                continue
            config = configure(method, task)
            start = time.perf_counter()
            found = np.asarray(study(config, keys, data, module.make, env, minibatches))
            seconds = round(time.perf_counter() - start, 2)
            say(name, method, found, minibatches=minibatches, seconds=seconds)
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40_000, help="of the data of a seed")
    parser.add_argument("--minibatches", type=int, default=10_000)

    def all_of(args: argparse.Namespace) -> list[dict[str, Any]]:
        return run(args.tasks, args.methods, args.seeds, args.steps, args.minibatches)

    record.run(parser, all_of, arguments)


if __name__ == "__main__":
    main()
