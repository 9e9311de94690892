"""Does it help a learner with few data to begin with what values learned without actions know?

V-PTR (Bhateja et al., 2023, arXiv:2309.13041) in four rooms. Walks between random places are there
in plenty, but without actions (phase 1, ICVF). With actions there are walks to four other goals
(phase 2) and, few of them, to the goal in question (phase 3); every second step of theirs is at
random. Every learner ends with phase 3, conservative Q-learning; they differ in what came before.
Judged by the share of walks from anywhere that reach the goal, and by their mean length.

    python -m benchmarks.learning.value_pretraining --out FILE
"""

import argparse
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import datasets
from rlax_pref.agents import dqn, icvf, pretraining, runner
from rlax_pref.agents.configs import ICVF, DiscreteCQL
from rlax_pref.agents.learning import Learner
from rlax_pref.envs.maze import MOVES, Maze, cell_of, distances, four_rooms, wander
from rlax_pref.types import Array, Key, Policy, PyTree, Transition

GOAL = (11, 10)
OTHER_GOALS = ((2, 2), (2, 10), (10, 2), (8, 8))
VALUES = ICVF(hidden=(64, 64), learning_rate=1e-3, target_rate=0.02, discount=0.95)
ARMS = {  # what came before: an encoder of values, other goals, and whether it stays as it is
    "nothing": (False, False, False),
    "values": (True, False, False),
    "values, frozen": (True, False, True),
    "other goals": (False, True, False),
    "values, other goals": (True, True, False),
}


def settings(freeze: bool) -> DiscreteCQL:
    """Of the learner of phases 2 and 3."""
    return DiscreteCQL(
        **pretraining.settings(VALUES),
        encoder_inputs=2,
        freeze_encoder=freeze,
        hidden=(64, 64),
        learning_rate=1e-3,
        discount=0.95,
        target_rate=0.02,
    )


def seek(maze: Maze) -> Policy:
    """Walks to the goal, by the shortest way."""
    far, moves = distances(maze.walls), jnp.asarray(MOVES, jnp.int32)

    def act(memory: tuple[()], obs: Array, key: Key) -> tuple[tuple[()], Array]:
        cell, goal = cell_of(maze.place(obs[:2])), cell_of(maze.place(obs[2:]))
        row, column = (cell + moves).T
        return memory, jnp.argmin(far[goal[0], goal[1], row, column]).astype(jnp.int32)

    return Policy(lambda key: (), act)


def walks(maze: Maze, policy: Policy, num_rows: int, seed: int, noise: float = 0.5) -> Transition:
    """What a policy does, as so many rows."""
    return datasets.collect(maze, policy, jax.random.key(seed), num_rows, num_envs=4, noise=noise)


def stack(data: list[Transition]) -> Transition:
    """`[seeds, N, ...]` of several."""
    return jax.tree.map(lambda *x: jnp.stack(x), *data)


def encoders(maze: Maze, data: Transition, keys: Key, num_updates: int) -> PyTree:
    """Phase 1: `[seeds]` encoders."""

    def one(key: Key, data: Transition) -> PyTree:
        agent = icvf.make(maze, VALUES, data)
        state, _ = runner.run(agent, agent.init(key), num_updates // VALUES.num_updates)
        return state.learner.params["value"]["state"]

    return jax.jit(jax.vmap(one))(keys, data)


def begin(maze: Maze, data: Transition, keys: Key, encoder: PyTree | None) -> Learner:
    """`[seeds]` learners that know nothing, or but an encoder."""

    def one(key: Key, data: Transition, encoder: PyTree | None) -> Learner:
        state = dqn.make(maze, settings(False), data).init(key)
        return (state if encoder is None else pretraining.start(state, encoder)).learner

    return jax.jit(jax.vmap(one))(keys, data, encoder)


def learn(
    maze: Maze, num_updates: int, freeze: bool, key: Key, before: Learner, data: Transition
) -> tuple[Learner, dict[str, Array]]:
    """Phase 2 or 3, and how well it then walks."""
    key_learn, key_walk = jax.random.split(key)
    config = settings(freeze)
    agent = dqn.make(maze, config, data)
    state = pretraining.go_on(agent.init(key_learn), before)
    state, _ = runner.run(agent, state, num_updates // config.num_updates)
    episodes = runner.evaluate(maze, agent.policy(state.learner), key_walk, 64, 100)
    there = episodes["finished"] & (episodes["length"] < 100)
    return state.learner, {"reached": there.mean(), "steps": episodes["length"].mean()}


def run(num_seeds: int, sizes: list[int], num_updates: int, num_rows: int) -> list[dict[str, Any]]:
    """Measures all arms with all numbers of rows, and returns a line for each."""
    maze = four_rooms()
    nowhere = jnp.zeros(maze.walls.shape, bool)
    target, others = (
        maze.replace(goals=nowhere.at[tuple(np.transpose(cells))].set(True))  # type: ignore[attr-defined]
        for cells in ([GOAL], OTHER_GOALS)
    )
    endless = maze.replace(terminates=False)  # type: ignore[attr-defined]
    seeds = range(num_seeds)
    keys = jax.random.split(jax.random.key(0), num_seeds)
    silent = stack([walks(endless, wander(maze), num_rows, 3 * seed, 0.2) for seed in seeds])
    tasks = stack([walks(others, seek(maze), num_rows, 3 * seed + 1) for seed in seeds])
    few = [stack([walks(target, seek(maze), n, 3 * seed + 2) for seed in seeds]) for n in sizes]
    encoder = encoders(maze, silent, keys, num_updates)
    study = jax.jit(jax.vmap(partial(learn, others, num_updates, False)))
    studies = {x: jax.jit(jax.vmap(partial(learn, target, num_updates, x))) for x in (False, True)}
    plain, known = (begin(target, few[0], keys, x) for x in (None, encoder))
    learners = {(False, False): plain, (True, False): known}
    lines: list[dict[str, Any]] = []
    without: dict[tuple[int, int], Array] = {}

    def note(phase: int, before: str, rows: int, found: dict[str, Array], start: float) -> None:
        """Adds a line; a gain is over what nothing came before, of the same data and starts."""
        base = without.setdefault((phase, rows), found["reached"])
        found = found | {"gain": found["reached"] - base}
        line: dict[str, Any] = {
            "phase": phase,
            "before": before,
            "rows": rows,
            "seeds": num_seeds,
            "updates": num_updates,
            **record.means(found),
            "seconds": round(time.perf_counter() - start, 1),
            **record.where(),
        }
        lines.append(line)
        print(
            "phase {phase}: {rows:6} rows after {before:20} reach {reached:.3f} +- "
            "{reached_standard_error:.3f} in {steps:.1f} +- {steps_standard_error:.1f} "
            "steps, gain {gain:.3f} +- {gain_standard_error:.3f}".format(**line),
            flush=True,
        )

    for values, before in ((False, plain), (True, known)):
        start = time.perf_counter()
        learners[values, True], found = study(keys, before, tasks)
        note(2, "values" if values else "nothing", num_rows, found, start)
    for size, data in zip(sizes, few, strict=True):
        for arm, (values, other, freeze) in ARMS.items():
            start = time.perf_counter()
            _, found = studies[freeze](keys, learners[values, other], data)
            note(3, arm, size, found, start)
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--sizes", nargs="+", type=int, default=[100, 400])
    parser.add_argument("--updates", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=20_000)

    def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
        if args.seeds < 2:
            parser.error("--seeds must be at least 2, for a standard error")
        return run(args.seeds, args.sizes, args.updates, args.rows)

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()
