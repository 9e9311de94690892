"""Do policies learn from choices between segments as well without a reward as with one?

CPL learns a policy from choices, IPL critics and a policy, both with no model of rewards and
without acting (Hejna et al., 2023, arXiv:2310.13639 and arXiv:2305.15363). The other way is to
fit rewards to the same choices, and to train PPO on them, which acts as much as it likes. The
controls only imitate: the preferred segments, or all of them.

    python -m benchmarks.learning.segment_preferences --out FILE
        [--tasks cartpole pendulum brax/inverted_pendulum] [--seeds 3] [--pairs 512]
        [--steps 3000] [--updates U] [--length 10]

Segments are of policies of every quality (`benchmarks.learning.judged_behaviour`), and scripted
teachers who never err compare them: by regret, for which a critic of the best policy speaks, or by
the reward collected. Two more conditions are given no segments. CPL and IPL begin with those of
random actions and replace a share of them by their own, now and then, compared by the reward
collected; all in all they ask for several times as many labels (`labels`). FILE gets one JSON line
for each task, teacher and method, and one for each reference: the expert, PPO on the true reward
with as many updates, and random actions. Returns are true ones, of whole episodes of at most 200
steps, without exploring. All seeds of a condition are one program.
"""

import argparse
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from benchmarks.learning import judged_behaviour
from benchmarks.learning.judged_behaviour import World
from rlax_pref import envs, preferences, rewards
from rlax_pref.agents import configs, ppo, preference_segments, runner
from rlax_pref.types import Array, Env, Key, Policy, Preferences, PyTree

TIME_LIMIT = 200
TASKS: dict[str, dict[str, Any]] = {
    "cartpole": {"time_limit": TIME_LIMIT},
    "pendulum": {"time_limit": TIME_LIMIT},
    "brax/inverted_pendulum": {"time_limit": TIME_LIMIT},
}
UPDATES = {
    "cartpole": 50,
    "pendulum": 150,
    "brax/inverted_pendulum": 50,
}  # of PPO, each 2,048 steps
TEACHERS = ("regret", "partial_return")
DIRECT: dict[str, dict[str, Any]] = {  # settings of `configs.segments.PreferenceSegments`
    "cpl": {},
    "cpl_kl": {},
    "ipl": {},
    "segment_bc": {},  # of what is preferred
    "segment_bc_all": {"imitated": "all"},
}
ONLINE = "cpl", "ipl"
COLLECTIONS = 12
ROUNDS = 4  # collections that replace all pairs
POOL = 2  # pairs for each that a seed takes
NUM_EPISODES = 32
EXPERIENCE = {"num_envs": 32, "num_steps": 200, "critic_steps": 2000, "fit_steps": 1500}
Line = dict[str, Any]


def mean_return(env: Env, policy: Policy, key: Key) -> Array:
    """`[]` true return of whole episodes."""
    return runner.evaluate(env, policy, key, NUM_EPISODES, TIME_LIMIT)["return"].mean()


def choices(key: Key, world: World, by_regret: Array, num_pairs: int) -> Preferences:
    """What one teacher says of some of the pairs."""
    key_label, key_pairs = jax.random.split(key)
    worth = jnp.where(by_regret, world.advantage, world.reward)
    u = preferences.partial_return(worth, world.segments.live)
    p_first = preferences.teacher(
        key_label, u[:, 0], u[:, 1], noiseless=True, tolerance=judged_behaviour.TOLERANCE
    )
    pool = Preferences(world.segments, p_first, jnp.ones(p_first.shape))
    return preferences.resample(key_pairs, pool, num_pairs)


def configured(method: str, num_pairs: int, steps: int, **more: Any) -> Any:
    """Settings of a method that learns without a reward."""
    name = method.removesuffix("_all")
    settings: dict[str, Any] = {
        "num_envs": num_pairs,
        "batch_size": min(64, num_pairs),
        "act_steps": 0,
        "num_rounds": ROUNDS,
    }
    if name.startswith("cpl"):
        settings["imitation_steps"] = steps // 4
    return configs.AGENTS[name](**settings | DIRECT[method] | more)


@partial(jax.jit, static_argnames=("method", "num_pairs", "steps"))
def directly(
    env: Env,
    world: World,
    keys: Key,
    by_regret: Array,
    *,
    method: str,
    num_pairs: int,
    steps: int,
) -> dict[str, Array]:
    """`[K]` true returns of a method that learns from given choices alone."""

    def one(key: Key) -> Array:
        key_pairs, key_train, key_judge = jax.random.split(key, 3)
        pairs = choices(key_pairs, world, by_regret, num_pairs)
        agent = preference_segments.make(env, configured(method, num_pairs, steps), pairs)
        state, _ = runner.run(agent, agent.init(key_train), steps)
        return mean_return(env, agent.policy(state.learner), key_judge)

    return {method: jax.vmap(one)(keys)}


@partial(jax.jit, static_argnames=("method", "num_pairs", "steps", "length"))
def online(
    env: Env, keys: Key, *, method: str, num_pairs: int, steps: int, length: int
) -> dict[str, Array]:
    """`[K]` true returns of a method that makes its own segments, compared by their rewards."""
    every = steps // (COLLECTIONS + 1)
    more = {"imitation_steps": every} if method == "cpl" else {}
    config = configured(method, num_pairs, steps, length=length, collect_every=every, **more)
    agent = preference_segments.make(env, config)

    def one(key: Key) -> Array:
        key_train, key_judge = jax.random.split(key)
        state, _ = runner.run(agent, agent.init(key_train), steps)
        return mean_return(env, agent.policy(state.learner), key_judge)

    return {f"{method}_online": jax.vmap(one)(keys)}


@partial(jax.jit, static_argnames=("num_pairs", "updates", "fit_steps"))
def rewarded(
    env: Env,
    world: World,
    keys: Key,
    by_regret: Array,
    *,
    num_pairs: int,
    updates: int,
    fit_steps: int,
) -> dict[str, Array]:
    """`[K]` true returns of what learns a reward first, and of greed on it as on an advantage."""

    def one(key: Key) -> dict[str, Array]:
        key_pairs, key_fit, key_train, key_judge = jax.random.split(key, 4)
        pairs = choices(key_pairs, world, by_regret, num_pairs)
        model = rewards.ensemble(env.action_space)
        fit = rewards.fit_ensemble(key_fit, pairs, model, num_steps=fit_steps)

        def f(params: PyTree, obs: Array, action: Array) -> Array:
            return model.apply(params, obs, action).mean(0)

        config = judged_behaviour.configuration(updates)
        agent = ppo.make(envs.Rewarded(env, f, fit.params), config)
        state, _ = runner.run(agent, agent.init(key_train), updates)
        greedy = rewards.greedy(partial(f, fit.params), env.action_space)
        return {
            "reward_then_ppo": mean_return(env, agent.policy(state.learner), key_judge),
            "reward_greedily": mean_return(env, greedy, key_judge),
        }

    return jax.vmap(one)(keys)


def run(
    task: str, num_seeds: int, num_pairs: int, steps: int, settings: judged_behaviour.Settings
) -> list[Line]:
    """Measures one task, and prints a table as it goes."""
    env = envs.make(task, **TASKS[task])
    key_world, key_seeds = jax.random.split(jax.random.key(0))
    keys = jax.random.split(key_seeds, num_seeds)
    about = {"task": task, "seeds": num_seeds, "pairs": num_pairs, "steps": steps}
    about |= {"updates": settings.updates, "length": settings.length}
    lines: list[Line] = []
    print(f"\n{task}")
    began = time.perf_counter()

    def note(measured: dict[str, Array], **kind: Any) -> None:
        nonlocal began
        known = jax.tree.map(np.float64, measured)  # waits for them
        seconds = round(time.perf_counter() - began, 1)  # compiling included
        for name, returns in known.items():
            line = {**about, "method": name, **kind, **summary(returns), "seconds": seconds}
            lines.append(line | record.where())
            print(row(line), flush=True)
        began = time.perf_counter()

    world, expert = judged_behaviour.prepare(
        env, key_world, num_pairs=POOL * num_pairs, settings=settings
    )
    known = judged_behaviour.references(env, keys, updates=settings.updates)
    known["expert"] = {"return": expert["return"][None]}
    note({name: each["return"] for name, each in known.items()}, teacher=None, labels=0)
    for teacher in TEACHERS:
        kind = {"teacher": teacher, "labels": num_pairs}
        given = env, world, keys, jnp.array(teacher == "regret")
        for method in DIRECT:
            note(directly(*given, method=method, num_pairs=num_pairs, steps=steps), **kind)
        settled = {"updates": settings.updates, "fit_steps": settings.fit_steps}
        note(rewarded(*given, num_pairs=num_pairs, **settled), **kind)
    collections = (steps - 1) // (steps // (COLLECTIONS + 1))
    labels = num_pairs + collections * (num_pairs // ROUNDS)
    for method in ONLINE:
        made = online(
            env, keys, method=method, num_pairs=num_pairs, steps=steps, length=settings.length
        )
        note(made, teacher="partial_return", labels=labels)
    return lines


def summary(returns: np.ndarray) -> Line:
    """Mean, standard error and values of `[K]` returns."""
    return {
        "mean": float(returns.mean()),
        "standard_error": float(record.standard_error(returns)),
        "by_seed": [round(float(x), 2) for x in returns],
    }


def row(line: Line) -> str:
    """A line of the table."""
    return (
        f"  {line['teacher'] or '':<16}{line['method']:<18}{line['labels']:>6,} labels"
        f"{line['mean']:9.1f} +- {line['standard_error']:5.1f}"
    )


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--steps", type=int, default=3000, help="of Adam, without a reward")
    parser.add_argument("--updates", type=int, help="of PPO; by default what suits the task")
    parser.add_argument("--length", type=int, default=10, help="steps in a segment")

    def measure(args: argparse.Namespace) -> list[Line]:
        lines = []
        for task in args.tasks:
            updates = args.updates or UPDATES[task]
            settings = judged_behaviour.Settings(updates=updates, length=args.length, **EXPERIENCE)
            lines += run(task, args.seeds, args.pairs, args.steps, settings)
        return lines

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()
