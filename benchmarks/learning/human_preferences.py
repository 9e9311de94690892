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
import json
import os
import pathlib
import tempfile
import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref import compilation, metrics, preferences, rewards, tabular
from rlax_pref.datasets import knox
from rlax_pref.envs import grid
from rlax_pref.types import Array, Fit, Key, Preferences, Segments

DISCOUNT = 0.999  # of policies and their returns; people's choices are explained with 1
LIBRARY_WEIGHTS = (-1.0, 50.0, -50.0, 1.0, -2.0)
MODELS = ("partial_return", "regret", "expected_return")
Line = dict[str, Any]


class Problem(NamedTuple):
    """What all conditions share."""

    world: grid.GridWorld
    mdp: tabular.TabularMDP
    reward: Array  # [S, A]
    library: rewards.Library


def scores(problem: Problem, segments: Segments) -> dict[str, Array]:
    """What each model of choice says segments are worth under the true reward, `[N, 2]` each."""
    value = tabular.value_iteration(problem.mdp, problem.reward, 1.0)
    v_first, v_last = value[segments.state[..., 0]], value[segments.state[..., -1]]
    r_t, live_t = tabular.lookup(problem.reward, segments), segments.live
    return {
        "partial_return": preferences.partial_return(r_t, live_t),
        "regret": preferences.regret(r_t, live_t, v_first, v_last),
        "expected_return": preferences.expected_return(r_t, live_t, v_last),
    }


def learn(model: str, problem: Problem, key: Key, pairs: Preferences) -> Fit[Array]:
    """A reward from choices, if people choose by this model."""
    if model == "partial_return":
        return rewards.fit_partial_return(key, pairs, problem.mdp.features)
    score: Any = model  # the names are the same
    return rewards.fit_regret(key, pairs, problem.mdp.features, problem.library, score=score)


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


def extract(problem: Problem, weights: Array) -> Array:
    """The true scaled return of what is optimal for learned weights `[F]`."""
    learned = jnp.matmul(problem.mdp.features, weights, precision="highest")
    policy = tabular.optimal(problem.mdp, learned, DISCOUNT).policy
    return tabular.scaled_return(problem.mdp, problem.reward, policy, DISCOUNT)


@partial(jax.jit, static_argnums=0)
def study(model: str, problem: Problem, pairs: Preferences, keys: Key) -> dict[str, Array]:
    """Explains the choices with the true reward, and learns a reward from them with each key."""
    u = scores(problem, pairs.segments)[model]
    z = u[:, 0] - u[:, 1]
    fits = jax.vmap(lambda key: learn(model, problem, key, pairs))(keys)
    return metrics.likelihood(z, pairs.p_first)._asdict() | {
        "accuracy": metrics.accuracy(z, pairs.p_first),
        "scaled_return": jax.vmap(lambda weights: extract(problem, weights))(fits.params),
        "loss": fits.loss,
        "weights": fits.params,
    }


def measure(model: str, problem: Problem, human: knox.HumanStudy, keys: Key) -> Line:
    """One line of the result."""
    start = time.perf_counter()
    result = jax.tree.map(np.asarray, study(model, problem, human.preferences, keys))
    return {
        "condition": human.report.name,
        "model": model,
        "n": human.report.num,
        "nll": float(result["nll"]),
        "scale": float(result["scale"]),
        "scaled_return": float(np.median(result["scaled_return"])),
        "accuracy": float(result["accuracy"]),
        "seeds": len(keys),
        "scaled_return_by_seed": result["scaled_return"].tolist(),
        "loss_by_seed": result["loss"].tolist(),
        "weights_by_seed": result["weights"].tolist(),
        "seconds": round(time.perf_counter() - start, 2),
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
    }


def write_lines(path: pathlib.Path, lines: list[Line]) -> None:
    """Writes all lines or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def main() -> None:
    """Reads the folder, studies every condition, prints a table and writes the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with the choices")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="file for JSON lines")
    parser.add_argument("--seeds", type=int, default=5, help="learned rewards a condition")
    args = parser.parse_args()
    compilation.enable_cache()
    key_library, key_fit = jax.random.split(jax.random.key(0))
    conditions = knox.find_human(args.data)
    problem = load_problem(args.data, key_library)
    keys = jax.random.split(key_fit, args.seeds)
    lines = []
    for path in conditions.values():
        human = knox.load_human(path, problem.world)
        print(f"\n{human.report}\n{'model':>18}    nll  scale  scaled return")
        for model in MODELS:
            line = measure(model, problem, human, keys)
            lines.append(line)
            print("{model:>18}  {nll:.4f}  {scale:.3f}  {scaled_return:.3f}".format(**line))
    write_lines(args.out, lines)
    print(f"\nwrote {len(lines)} lines to {args.out}")


if __name__ == "__main__":
    main()
