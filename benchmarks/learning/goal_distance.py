"""Do features of values say how far goals are, where those of other learners do not?

Ghosh et al. (2023, arXiv:2304.04782) learn, from data without actions, features that the values of
all goals are linear in. Walks between random places of four rooms are the data. A linear probe
reads the number of steps to a goal from the features of a state: one probe for each goal, fitted to
two thirds of the cells and judged by the share of variance it explains in the others. Features of
the same network are learned as intention-conditioned values, by cloning the walks towards goals
drawn in hindsight, or not at all; the coordinates themselves come along.

    python -m benchmarks.learning.goal_distance --out FILE
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import record
from rlax_pref import buffers, datasets, networks, statistics
from rlax_pref.agents import hindsight, icvf, learning, runner
from rlax_pref.agents.configs import ICVF
from rlax_pref.envs.maze import Maze, distances, four_rooms, wander
from rlax_pref.types import Array, Key, PyTree, Transition

FEATURES = ("coordinates", "random", "cloning", "icvf")


def towards_goals(maze: Maze, config: ICVF, data: Transition, num_updates: int, key: Key) -> PyTree:
    """Parameters of an encoder by which walks are cloned, given states and goals."""
    tower = networks.mlp(
        config.hidden, config.num_features, activation=config.activation, layer_norm=True
    )
    head = networks.policy(maze.action_space, config.hidden, activation=config.activation)
    replay = hindsight.prepare(buffers.from_rows(jax.tree.map(jnp.asarray, data), 1))
    num_state = data.obs_tm1.shape[-1] // 2
    learner = learning.Learner({}, {}, {}, statistics.init(jnp.zeros(num_state)))

    def loss(params: PyTree, key: Key) -> Array:
        key_row, key_goal = jax.random.split(key)
        row = buffers.draw(replay._replace(data=data), key_row, config.batch_size)
        reader = hindsight.Reader(config, num_state, learner, replay.data, row)
        goal = reader.state(reader.draw(key_goal, 0.0, 1.0).row)
        both = [tower.apply(params["state"], x) for x in (reader.state(row), goal)]
        law = head.apply(params["head"], jnp.concatenate(both, axis=-1))
        return -law.log_prob(hindsight.take(replay.data.step.a_tm1, row)).mean()

    optimizer = optax.adam(config.learning_rate)

    def update(carry: tuple[PyTree, Any], key: Key) -> tuple[tuple[PyTree, Any], None]:
        params, state = carry
        direction, state = optimizer.update(jax.grad(loss)(params, key), state)
        return (optax.apply_updates(params, direction), state), None

    key_tower, key_head, key = jax.random.split(key, 3)
    params = {
        "state": tower.init(key_tower, jnp.zeros((1, num_state))),
        "head": head.init(key_head, jnp.zeros((1, 2 * config.num_features))),
    }
    keys = jax.random.split(key, num_updates)
    (params, _), _ = jax.lax.scan(update, (params, optimizer.init(params)), keys)
    return params


def explained(features: np.ndarray, far: np.ndarray, seed: int, ridge: float = 1e-3) -> float:
    """Share of the variance of distances that linear probes explain in cells they did not see.

    Args:
      features: `[C, d]` of cells.
      far: `[G, C]` distances to goals.
      seed: of the split.
      ridge: weight of the squared probe, in units of the features' variance.
    """
    order = np.random.default_rng(seed).permutation(len(features))
    seen, unseen = np.split(order, [2 * len(order) // 3])
    features = features.astype(np.float64)
    features = (features - features[seen].mean(0)) / (features[seen].std(0) + 1e-8)
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    penalty = ridge * len(seen) * np.diag(np.append(np.ones(x.shape[1] - 1), 0.0))
    probe = np.linalg.solve(x[seen].T @ x[seen] + penalty, x[seen].T @ far[:, seen].T)
    error = x[unseen] @ probe - far[:, unseen].T
    spread = far[:, unseen].T - far[:, seen].mean(1)
    return float(1.0 - np.square(error).sum() / np.square(spread).sum())


def run(num_seeds: int, num_updates: int, num_rows: int) -> list[dict[str, Any]]:
    """Measures all features, and returns a line for each."""
    maze = four_rooms()
    endless = maze.replace(terminates=False)  # type: ignore[attr-defined]
    data = datasets.collect(endless, wander(maze), jax.random.key(0), num_rows, noise=0.2)
    data = jax.tree.map(jnp.asarray, data)
    cells = np.argwhere(~np.asarray(maze.walls))
    far = np.asarray(jax.jit(distances)(maze.walls))[tuple(cells.T)][(slice(None), *cells.T)]
    seen = maze.see(jnp.asarray(cells))
    config = ICVF(hidden=(64, 64), learning_rate=1e-3, target_rate=0.02, discount=0.95)
    agent = icvf.make(maze, config, data)
    num_steps = num_updates // config.num_updates

    def features(kind: str, key: Key) -> Array:
        """`[C, d]` of all cells."""
        if kind == "coordinates":
            return seen
        if kind == "cloning":
            params = towards_goals(maze, config, data, num_updates, key)
        else:
            state = agent.init(key)
            if kind == "icvf":
                state, _ = runner.run(agent, state, num_steps)
            params = state.learner.params["value"]
        return icvf.encode(config, params, seen)

    keys, lines = jax.random.split(jax.random.key(1), num_seeds), []
    for kind in FEATURES:
        start = time.perf_counter()
        study = jax.jit(jax.vmap(lambda key, kind=kind: features(kind, key)))
        scores = [explained(x, far, seed) for seed, x in enumerate(np.asarray(study(keys)))]
        line: dict[str, Any] = {
            "features": kind,
            "seeds": num_seeds,
            "updates": num_updates if kind in ("cloning", "icvf") else 0,
            "mean": float(np.mean(scores)),
            "standard_error": float(record.standard_error(scores)),
            "seconds": round(time.perf_counter() - start, 1),
            **record.where(),
        }
        lines.append(line)
        print("{features:12} explain {mean:.3f} +- {standard_error:.3f}".format(**line), flush=True)
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--updates", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=20_000)

    def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
        if args.seeds < 2:
            parser.error("--seeds must be at least 2, for a standard error")
        return run(args.seeds, args.updates, args.rows)

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()
