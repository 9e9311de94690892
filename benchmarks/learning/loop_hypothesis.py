"""When does it harm to take a learned optimal advantage for a reward?

After "Learning Optimal Advantage from Preferences and Mistaking it for Reward" (Knox et al., 2023,
arXiv:2310.02456, figure 5). The hypothesis: what matters is the largest return, under the learned
table, of a loop: staying in place, or there and back. If it is positive, who takes the table for a
reward loops for ever, which is worse than acting greedily on it where the optimum is to terminate,
and better where the optimum is to loop; if it is negative, the other way round. How often is this
what happens, among the cases where the two policies differ?

    python -m benchmarks.learning.loop_hypothesis --data DIR --out FILE [--plot FILE]
        [--sizes 10 100] [--labels noiseless stochastic] [--seeds 3]

DIR holds `loop_mdps/MDP_<id>.npz`, with pairs of segments of one step (`pairs1`) and of two
(`pairs2`). FILE gets one JSON line for each length, size and kind of labels, with the results of
every world and seed, and at last a summary: matches among the cases where the clipped scaled
returns differ by 0.1 or more, and the binomial test of a fair coin's doing as well. Cases of one
world are related, so the same is said of worlds, by the majority of their cases. Settings as in
`optimal_advantage`.
"""

import argparse
import math
import pathlib
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from benchmarks.learning import worlds
from benchmarks.learning.worlds import Choices, Worlds
from rlax_pref import plots, tabular
from rlax_pref.types import Array, Key

LENGTHS = {1: "pairs1", 2: "pairs2"}
LABELS = ("noiseless", "stochastic")
DIFFERS = 0.1  # in clipped scaled return
Line = dict[str, Any]


@partial(jax.jit, static_argnames=("kinds", "num_pairs"))
def study(
    every: Worlds, keys: Key, *, kinds: tuple[Choices, ...], num_pairs: int
) -> dict[str, Array]:
    """Learns tables and looks at their loops.

    Returns:
      `[M, K, C]` the scaled returns "greedy" and "as_reward", and "loop", the largest return of a
      loop; `[M, K]` "ends", whether the optimum is to terminate.
    """

    def job(world: Worlds, key: Key) -> dict[str, Array]:
        key_choices, key_learn = jax.random.split(key)
        true = worlds.truth(world)
        p_first = worlds.choose(key_choices, true, world.segments, kinds)
        tables = worlds.learn(key_learn, true, world.segments, p_first, world.keep, num_pairs)
        return {
            **jax.vmap(partial(worlds.extract, true))(tables),
            "loop": jax.vmap(partial(largest_loop, true.mdp))(tables),
            "ends": ends(true),
        }

    return worlds.over(job, every, keys)


def largest_loop(mdp: tabular.TabularMDP, table: Array) -> Array:
    """`[]` the largest return, under a table `[S, A]`, of staying in place or of there and back."""
    possible = (mdp.transition > 0) & ~mdp.terminal[:, None, None]
    step = jnp.where(possible, table[..., None], -jnp.inf).max(1)  # [S, S] the best way there
    stays = jnp.eye(len(step), dtype=bool)
    return jnp.where(stays, step, step + step.T).max()


def ends(true: worlds.Truth) -> Array:
    """`[]` bool, whether the optimum is to terminate, from where episodes begin."""
    enters = true.mdp.transition @ true.mdp.terminal.astype(jnp.float32)
    reached = tabular.evaluate(true.mdp, enters, true.optimum.policy, worlds.DISCOUNT)
    return tabular.mean_return(true.mdp, reached) > 0.5


def judge(measured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By case, `[M, K, C]`: the difference of the two policies, and if it counts and is right."""
    clipped = {name: measured[name].clip(-1, 1) for name in ("greedy", "as_reward")}
    difference = clipped["as_reward"] - clipped["greedy"]
    foretold = (measured["loop"] > 0) != measured["ends"][..., None]  # the reward does better
    counts = np.abs(difference) >= DIFFERS
    return {
        "difference": difference,
        "counts": counts,
        "matches": counts & (foretold == (difference > 0)),
    }


def coin(matches: int, cases: int) -> float:
    """The probability that a fair coin matches as often or more often."""
    return sum(math.comb(cases, k) for k in range(matches, cases + 1)) / 2**cases


def lines_of(measured: dict[str, np.ndarray], labels: list[str], about: Line) -> list[Line]:
    """One line for each kind of labels, from the measures of one length and size."""
    judged = judge(measured)
    lines = []
    for j, noise in enumerate(labels):
        cases = {name: x[..., j] for name, x in (measured | judged).items() if x.ndim == 3}
        lines.append(
            {
                **about,
                "labels": noise,
                "matching": int(cases["matches"].sum()),
                "differing": int(cases["counts"].sum()),
                "cases": cases["counts"].size,
                "ends": measured["ends"][:, 0].tolist(),
                **{name: x.tolist() for name, x in cases.items() if x.dtype == bool},
                **{
                    name: np.round(x.astype(float), 4).tolist()
                    for name, x in cases.items()
                    if x.dtype != bool
                },
                **record.where(),
            }
        )
    return lines


def summarise(lines: list[Line]) -> Line:
    """What all lines say together."""
    gather = lambda name: np.stack([line[name] for line in lines], axis=-1)  # [M, K, lines]
    counts, matches = gather("counts"), gather("matches")
    stops = np.array(lines[0]["ends"])
    where = {"where_terminating_is_optimal": stops, "where_looping_is_optimal": ~stops}
    by_world = matches.sum((1, 2)), counts.sum((1, 2))
    differing_worlds = by_world[1] > 0
    agreeing_worlds = differing_worlds & (2 * by_world[0] > by_world[1])
    total = int(matches.sum()), int(counts.sum())
    worlds_total = int(agreeing_worlds.sum()), int(differing_worlds.sum())
    return {
        "summary": "loop hypothesis",
        "cases": counts.size,
        "matching": total[0],
        "differing": total[1],
        "binomial_p": coin(*total),
        **{
            name: {"matching": int(matches[them].sum()), "differing": int(counts[them].sum())}
            for name, them in where.items()
        },
        "worlds_matching": worlds_total[0],
        "worlds_differing": worlds_total[1],
        "worlds_binomial_p": coin(*worlds_total),
    }


def run(folder: pathlib.Path, sizes: list[int], labels: list[str], num_seeds: int) -> list[Line]:
    """Measures every length and size, and prints a table as it goes; the summary comes last."""
    began = time.perf_counter()
    kinds = tuple(Choices("regret", noise) for noise in labels)
    lines = []
    for length, field in LENGTHS.items():
        sources = worlds.find(folder, "loop_mdps", field, from_ends=True)
        every = worlds.stack(sources)
        if not lines:
            print(f"{len(sources)} worlds, {num_seeds} seeds\nsteps   pairs  labels      matching")
        for num_pairs in sizes:
            key = jax.random.fold_in(jax.random.key(length), num_pairs)
            keys = worlds.seeds(key, len(sources), num_seeds)
            start = time.perf_counter()
            measured = jax.tree.map(
                np.asarray, study(every, keys, kinds=kinds, num_pairs=num_pairs)
            )
            about = {
                "steps": length,
                "pairs": num_pairs,
                "seeds": num_seeds,
                "worlds": [source.name for source in sources],
                "seconds": round(time.perf_counter() - start, 2),
            }
            for line in lines_of(measured, labels, about):
                lines.append(line)
                print(
                    "{steps:>5} {pairs:>7}  {labels:<10}  {matching} of {differing} that differ, "
                    "of {cases}".format(**line),
                    flush=True,
                )
    summary = summarise(lines)
    print(
        "\n{matching} of {differing} cases as foretold (a fair coin: p = {binomial_p:.1e}); "
        "{worlds_matching} of {worlds_differing} worlds (p = {worlds_binomial_p:.1e})".format(
            **summary
        )
    )
    print(f"{time.perf_counter() - began:.0f} s in all")
    return [*lines, summary]


def draw(path: pathlib.Path, lines: list[Line]) -> None:
    """Every case: the loop's return, and which policy did better."""
    lines = lines[:-1]
    stops = np.array(lines[0]["ends"])
    panels = {}
    for name, them in {"terminating": stops, "looping": ~stops}.items():
        panels[f"{name} is optimal ({them.sum()} worlds)"] = [
            plots.Curve(
                noise,
                x=np.ravel([np.array(line["loop"])[them] for line in own]),
                y=np.ravel([np.array(line["difference"])[them] for line in own]),
                color=color,
            )
            for color, noise in enumerate(dict.fromkeys(line["labels"] for line in lines))
            if (own := [line for line in lines if line["labels"] == noise])
        ]
    plots.panels(
        path,
        panels,
        xlabel="largest return of a loop, as learned",
        ylabel="as a reward minus greedily, scaled return",
        title="What was learned is taken for a reward: its loops tell what comes of it",
        xscale="symlog",
        points=True,
    )


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=pathlib.Path, required=True, help="folder that holds loop_mdps/"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100])
    parser.add_argument("--labels", nargs="+", choices=LABELS, default=list(LABELS))
    parser.add_argument("--seeds", type=int, default=3, help="data sets for each world")

    def measure(args: argparse.Namespace) -> list[Line]:
        return run(args.data, args.sizes, args.labels, args.seeds)

    record.run(parser, measure, arguments, draw=draw)


if __name__ == "__main__":
    main()
