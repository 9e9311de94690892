"""Learned from preferences by networks, is it an optimal advantage or a reward?

The questions of "Learning Optimal Advantage from Preferences and Mistaking it for Reward" (Knox et
al., 2023, arXiv:2310.02456) where states cannot be counted. Scripted people compare segments of
behaviour of mixed quality, by regret, for which a critic of a well-trained policy speaks, or by
the reward collected. An ensemble of networks learns from their choices as if they compared partial
returns. What it has learned is then acted on greedily, as on an advantage, and PPO is trained on
it, as on a reward. Does it matter whether segments that go on past an end are among those compared?

    python -m benchmarks.learning.beyond_tables --out FILE [--plot FILE]
        [--tasks cartpole brax/inverted_pendulum gymnax/Acrobot-v1] [--sizes 500 2000]
        [--labels noiseless] [--seeds 4] [--updates 100] [--length 10]

In the first two tasks an episode ends by failing, in the third by reaching the goal: a constant
that choices leave open does good or harm accordingly. FILE gets one JSON line for each task, size,
kind of person and condition, and one for each reference: the expert, PPO on the true reward with
as many updates, and random actions. Returns are true ones, of whole episodes of at most 500 steps.

Who acts in the segments, and who says what they are worth, is in
`benchmarks.learning.judged_behaviour`. All seeds of a condition are one program, which all
conditions of a size share.
"""

import argparse
import itertools
import pathlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from benchmarks.learning.judged_behaviour import (
    TIME_LIMIT,
    TOLERANCE,
    Line,
    Settings,
    World,
    configuration,
    prepare,
    references,
    returns,
)
from rlax_pref import envs, metrics, plots, preferences, rewards
from rlax_pref.agents import ppo, runner
from rlax_pref.envs.check import sample_action
from rlax_pref.types import Array, Env, Key, Preferences, Segments

TASKS: dict[str, dict[str, Any]] = {
    "cartpole": {"time_limit": TIME_LIMIT},
    "brax/inverted_pendulum": {"time_limit": TIME_LIMIT},
    "gymnax/Acrobot-v1": {},  # has the same limit
}
SCORES = ("regret", "partial_return")
LABELS = ("noiseless", "stochastic")
CONDITIONS = {"with": True, "without": False}  # segments that go on past an end
USES = {"greedy": "greedy on it", "as_reward": "PPO on it"}
POOL = 3  # pairs for each that the largest size needs
NUM_TEST = 500  # pairs kept aside
NUM_ACTIONS = 32  # random ones, of which the highest is looked for


# What is learned ----------------------------------------------------------------------------


@partial(jax.jit, static_argnames=("num_pairs", "noiseless", "settings"))
def study(
    env: Env,
    world: World,
    keys: Key,
    by_regret: Array,
    absorbing: Array,
    *,
    num_pairs: int,
    noiseless: bool,
    settings: Settings,
) -> dict[str, Any]:
    """Learns from the choices of one kind of person, and measures; leaves lead with `[K]`."""

    def one(key: Key) -> dict[str, Any]:
        key_label, key_pairs, key_fit, key_max, key_greedy, key_train, key_judge = jax.random.split(
            key, 7
        )
        worth = jnp.where(by_regret, world.advantage, world.reward)
        u = preferences.partial_return(worth, world.segments.live)
        p_first = preferences.teacher(
            key_label, u[:, 0], u[:, 1], noiseless=noiseless, tolerance=TOLERANCE
        )
        pool = Preferences(world.segments, p_first, jnp.ones(p_first.shape))
        test, rest = _part(pool, slice(NUM_TEST)), _part(pool, slice(NUM_TEST, None))
        keep = absorbing | ~preferences.has_absorbing(rest.segments)
        pairs = preferences.resample(key_pairs, rest, num_pairs, keep=keep)

        model = rewards.ensemble(env.action_space, hidden=settings.hidden)
        fit = rewards.fit_ensemble(key_fit, pairs, model, num_steps=settings.fit_steps)
        f = lambda params, obs, action: model.apply(params, obs, action).mean(0)
        learned = partial(f, fit.params)
        u = rewards.score_segments(model, fit.params, test.segments).mean(0)
        z, whole = u[:, 0] - u[:, 1], ~preferences.has_absorbing(test.segments)
        agent = ppo.make(envs.Rewarded(env, f, fit.params), configuration(settings.updates))
        state, _ = runner.run(agent, agent.init(key_train), settings.updates)
        return {
            "loss": fit.loss,
            "accuracy": metrics.accuracy(z, test.p_first),
            "accuracy_alike": metrics.accuracy(z, jnp.where(whole, test.p_first, 0.5)),
            "ties": jnp.mean(pairs.p_first == 0.5),
            "max": highest(learned, env, test.segments, key_max),
            "greedy": returns(env, rewards.greedy(learned, env.action_space), key_greedy),
            "as_reward": returns(env, agent.policy(state.learner), key_judge),
        }

    return jax.vmap(one)(keys)


def highest(f: Callable[[Array, Array], Array], env: Env, segments: Segments, key: Key) -> Array:
    """`[]` mean over the live states of the highest f of some random actions."""
    obs = segments.state[..., :-1, :]

    def at(key: Key) -> Array:
        action = sample_action(env.action_space, key)
        return f(obs, jnp.broadcast_to(action, (*obs.shape[:-1], *action.shape)))

    every = jax.lax.map(at, jax.random.split(key, NUM_ACTIONS))
    return every.max(0).mean(where=segments.live)


def _part(tree: Preferences, rows: slice) -> Preferences:
    part: Preferences = jax.tree.map(lambda x: x[rows], tree)
    return part


# What is written ----------------------------------------------------------------------------


def run(
    task: str, sizes: list[int], labels: list[str], num_seeds: int, settings: Settings
) -> list[Line]:
    """Measures one task, and prints a table as it goes."""
    env = envs.make(task, **TASKS[task])
    key_world, key_seeds = jax.random.split(jax.random.key(0))
    keys = jax.random.split(key_seeds, num_seeds)
    about = {"task": task, "seeds": num_seeds, **settings._asdict()}
    print(f"\n{task}: true return, and the share of episodes that end before their time limit")
    began = time.perf_counter()
    num_pairs = NUM_TEST + POOL * max(sizes)
    world, expert = prepare(env, key_world, num_pairs=num_pairs, settings=settings)
    achieved = references(env, keys, updates=settings.updates)
    achieved["expert"] = jax.tree.map(lambda x: x[None], expert)
    lines = []
    for name, measured in jax.tree.map(np.float64, achieved).items():
        lines.append({**about, "reference": name, **summary(measured)})
        print(f"  {name:<46}{cell(lines[-1])}", flush=True)
    seconds = time.perf_counter() - began
    lines = [{**line, "seconds": round(seconds, 1), **record.where()} for line in lines]
    for num, noise, score, condition in itertools.product(sizes, labels, SCORES, CONDITIONS):
        began = time.perf_counter()
        measured = study(
            env,
            world,
            keys,
            jnp.array(score == "regret"),
            jnp.array(CONDITIONS[condition]),
            num_pairs=num,
            noiseless=noise == "noiseless",
            settings=settings,
        )
        kind = {"pairs": num, "labels": noise, "score": score, "absorbing": condition}
        line = {**about, **kind, **summary(jax.tree.map(np.float64, measured))}
        seconds = time.perf_counter() - began  # compiling included, for the first of a size
        lines.append({**line, "seconds": round(seconds, 1), **record.where()})
        print(row(lines[-1]), flush=True)
    return lines


def summary(measured: Any) -> Any:
    """Each measure `[K]` as its mean, its standard error and its values, where they are numbers."""
    if isinstance(measured, dict):
        return {name: summary(x) for name, x in measured.items()}
    known = measured[np.isfinite(measured)]
    return {
        "mean": float(known.mean()) if known.size else None,
        "standard_error": float(record.standard_error(known)) if known.size else None,
        "by_seed": [round(float(x), 4) if np.isfinite(x) else None for x in measured],
    }


def cell(measured: Line) -> str:
    """A return with its standard error, and the share of episodes that ended."""
    value, ended = measured["return"], measured["ended"]
    return f"{value['mean']:7.0f} +- {value['standard_error']:3.0f} ({ended['mean']:4.0%})"


def row(line: Line) -> str:
    """A line of the table: accuracy, the highest action's mean, and both uses."""
    return (
        "  {pairs:>6,} {labels:<10} {score:<14} {absorbing:>7} abs.".format(**line)
        + f"  right {line['accuracy']['mean'] or float('nan'):4.0%}"
        + f"  max {line['max']['mean']:5.1f}"
        + "".join(f"  {use}{cell(line[use])}" for use in USES)
    )


def draw(path: pathlib.Path, lines: list[Line]) -> None:
    """Scaled true return by the number of pairs compared by regret, a panel a task."""
    panels: dict[str, list[plots.Curve]] = {}
    for task in dict.fromkeys(line["task"] for line in lines):
        own = [line for line in lines if line["task"] == task]
        level = {x["reference"]: x["return"]["mean"] for x in own if "reference" in x}
        span = level["expert"] - level["random"]
        curves = panels.setdefault(task, [])
        for (color, (use, said)), condition in itertools.product(
            enumerate(USES.items()), CONDITIONS
        ):
            shown = [
                line
                for line in own
                if line.get("score") == "regret"
                and line["absorbing"] == condition
                and line["labels"] == own[-1]["labels"]
            ]
            returned = [line[use]["return"] for line in shown]
            curves.append(
                plots.Curve(
                    f"{said}, {condition}",
                    x=[line["pairs"] for line in shown],
                    y=[(value["mean"] - level["random"]) / span for value in returned],
                    error=[value["standard_error"] / span for value in returned],
                    color=color,
                    dashed=not CONDITIONS[condition],
                )
            )
    plots.panels(
        path,
        panels,
        xlabel="pairs compared by regret",
        ylabel="true return: 0 is random, 1 the expert",
        title="What networks learn, with and without segments that go on past an end",
        ylim=(-0.1, 1.1),
        xscale="log",
    )


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=["noiseless"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--updates", type=int, default=100, help="of PPO; 2,048 steps each")
    parser.add_argument("--length", type=int, default=10, help="steps in a segment")

    def measure(args: argparse.Namespace) -> list[Line]:
        settings = Settings(updates=args.updates, length=args.length)
        return [
            line
            for task in args.tasks
            for line in run(task, args.sizes, args.labels, args.seeds, settings)
        ]

    record.run(parser, measure, arguments, draw=draw)


if __name__ == "__main__":
    main()
