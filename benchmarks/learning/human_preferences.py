"""Which model of choice explains real people, and which reward does it teach?

For every condition of the human study (Knox et al., 2022, arXiv:2206.02231; Hatgis-Kessell et al.,
2025, arXiv:2501.06416) and every model of choice: the likelihood of people's choices given the true
reward, with one free scale, and the scaled return of the policy that is optimal for the reward
learned from the choices (1 is optimal, 0 is uniformly random).

    python -m benchmarks.learning.human_preferences --data DIR --out FILE

DIR holds `human/<condition>.npz` or the published `.npy` files. Where it also has `delivery.npz`,
its board, weights and successor features are used; otherwise the delivery task is built in, and a
library of policies is solved for. FILE gets one JSON line a condition and model.

Settings: Adam on all pairs at once, 5000 steps, learning rate 2 for partial return and 0.5 for the
others, median over seeds, which are trained as one program.
"""

import argparse
import pathlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import metrics, preferences, rewards, tabular
from rlax_pref.datasets import knox
from rlax_pref.envs import grid
from rlax_pref.types import Array, Fit, Key, Preferences

DISCOUNT = 0.999  # of policies and their returns; people's choices are explained with 1
LIBRARY_WEIGHTS = (-1.0, 50.0, -50.0, 1.0, -2.0)
STEPS = 5000  # of each fit
MODELS = ("partial_return", "regret", "expected_return")
Line = dict[str, Any]


class Problem(NamedTuple):
    """What all conditions share."""

    world: grid.GridWorld
    mdp: tabular.TabularMDP
    reward: Array  # [S, A]
    policies: rewards.Library


@jax.jit
def explain(problem: Problem, pairs: Preferences) -> dict[str, dict[str, Array]]:
    """How well each model of choice explains the choices, given the true reward."""
    segments, live_t = pairs.segments, pairs.segments.live
    value = tabular.value_iteration(problem.mdp, problem.reward, 1.0)
    v_first, v_last = value[segments.state[..., 0]], value[segments.state[..., -1]]
    r_t = tabular.lookup(problem.reward, segments)
    scores = {
        "partial_return": preferences.partial_return(r_t, live_t),
        "regret": preferences.regret(r_t, live_t, v_first, v_last),
        "expected_return": preferences.expected_return(r_t, live_t, v_last),
    }

    def measure(u: Array) -> dict[str, Array]:
        z = u[:, 0] - u[:, 1]
        best = metrics.likelihood(z, pairs.p_first)
        return {**best._asdict(), "accuracy": metrics.accuracy(z, pairs.p_first)}

    return {model: measure(u) for model, u in scores.items()}


@partial(jax.jit, static_argnums=0)
def learn(model: str, problem: Problem, keys: Key, pairs: Preferences) -> Fit[Array]:
    """A reward from the choices for each key, if people choose by this model."""
    features, library = problem.mdp.features, problem.policies
    if model == "partial_return":
        fit = partial(rewards.fit_partial_return, features=features)
    else:
        score: Any = model  # the names are the same
        fit = partial(rewards.fit_regret, features=features, library=library, score=score)
    return jax.vmap(lambda key: fit(key, pairs, num_steps=STEPS))(keys)


@jax.jit
def extract(problem: Problem, weights: Array) -> Array:
    """The true scaled returns of what is optimal for learned weights, `[seeds, F] -> [seeds]`."""

    def one(w: Array) -> Array:
        learned = jnp.matmul(problem.mdp.features, w, precision="highest")
        policy = tabular.optimal(problem.mdp, learned, DISCOUNT).policy
        return tabular.scaled_return(problem.mdp, problem.reward, policy, DISCOUNT)

    return jax.vmap(one)(weights)


def load_problem(folder: pathlib.Path, key: Key) -> Problem:
    """The delivery task from the folder, or else the one built in."""
    path, psi = folder / "delivery.npz", None
    if path.exists():
        board, weights, psi = knox.load_task(path)
        world = grid.grid_world(board, weights)
    else:
        world = grid.delivery()
    mdp, reward = world.tabular(), world.rewards()
    if psi is not None:
        library = rewards.Library(jnp.asarray(psi), jnp.ones(len(psi), bool))
    else:
        solve = jax.jit(partial(rewards.policy_library, weights=LIBRARY_WEIGHTS, discount=DISCOUNT))
        library = solve(key, mdp, without=reward)
    return Problem(world, mdp, reward, library)


def study(problem: Problem, human: knox.HumanStudy, keys: Key) -> Iterator[Line]:
    """The lines of one condition, one a model."""
    explained = explain(problem, human.preferences)
    for model in MODELS:
        start = time.perf_counter()
        fits = learn(model, problem, keys, human.preferences)
        returns = np.asarray(extract(problem, fits.params))
        yield {
            "condition": human.report.name,
            "model": model,
            "n": human.report.num,
            **{name: number(x) for name, x in explained[model].items()},
            "scaled_return": number(np.median(returns)),
            "seeds": len(keys),
            "scaled_return_by_seed": returns.tolist(),
            "loss_by_seed": fits.loss.tolist(),
            "weights_by_seed": fits.params.tolist(),
            "seconds": round(time.perf_counter() - start, 2),
            **record.where(),
        }


def number(x: Array | np.floating) -> float | None:
    """What JSON can hold; there is no accuracy, say, where all choices are ties."""
    return float(x) if np.isfinite(x) else None


def run(folder: pathlib.Path, num_seeds: int) -> list[Line]:
    """Studies every condition in the folder, and prints a table."""
    key_library, key_fit = jax.random.split(jax.random.key(0))
    problem = load_problem(folder, key_library)
    keys = jax.random.split(key_fit, num_seeds)
    lines = []
    for path in knox.find_human(folder).values():
        human = knox.load_human(path, problem.world)
        print(f"\n{human.report}\n{'model':>18}    nll  scale  scaled return")
        for line in study(problem, human, keys):
            lines.append(line)
            print("{model:>18}  {nll:.4f}  {scale:.3f}  {scaled_return:.3f}".format(**line))
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with the choices")
    parser.add_argument("--seeds", type=int, default=5, help="learned rewards a condition")

    record.run(parser, lambda args: run(args.data, args.seeds), arguments)


if __name__ == "__main__":
    main()
