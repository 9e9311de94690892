"""Do values of options tell a policy of subgoals the way where values of steps do not?

The claim of Ahn et al. (2025, arXiv:2505.12737): hundreds of steps from a goal, discounted values
of steps hardly differ from here to the next subgoal, so that a policy of subgoals is led by their
errors; values of options, each of which counts as one step, do differ. Walks between random places
of a long folded corridor are the data. HIQL and OTA share all settings and the low-level policy;
they differ in the value behind the policy of subgoals. Both get the same, small, number of
minibatches, so that values which take longer to spread lose by that, too. Judged on the way from
end to end: how often that value is larger where the subgoal would be than here, as it always is in
truth, and by how much beside its own spread; how often the policy finds the goal within twice the
way, and how much of the way it goes.

    python -m benchmarks.learning.long_corridor --out FILE
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import datasets, envs
from rlax_pref.agents import hiql, runner
from rlax_pref.agents.configs import HIQL, OTA
from rlax_pref.envs.maze import Maze, cell_of, corridor, distances, wander
from rlax_pref.types import Agent, Array, Key

METHODS: dict[str, type[HIQL]] = {"hiql": HIQL, "ota": OTA}
SPEED, SUBGOAL_STEPS = 0.125, 25
HOP = round(SUBGOAL_STEPS * SPEED)  # cells to a subgoal
NUM_EPISODES = 8  # in each direction


def settings(method: str) -> HIQL:
    """The same for both, but for the options."""
    return METHODS[method](
        hidden=(64, 64),
        batch_size=128,
        num_updates=100,
        learning_rate=1e-3,
        target_rate=0.05,
        expectile=0.9,
        subgoal_steps=SUBGOAL_STEPS,
        option_steps=SUBGOAL_STEPS if method == "ota" else 0,
        p_trajectory_high=0.5,
        greedy=False,
    )


def way(far: Array) -> np.ndarray:
    """`[C, 2]` cells from one end to the other."""
    start = np.asarray(far[0, 0])
    cells = np.argwhere(np.isfinite(start))
    return cells[np.argsort(start[tuple(cells.T)])]


def high_advantages(maze: Maze, cells: np.ndarray, config: HIQL, params: Any) -> Array:
    """`[2, C - HOP]` of subgoals on the way, from far to near; there and back."""
    value = hiql.make_networks(maze.action_space, config).value
    behind = params["option_value" if config.option_steps else "value"]

    def along(cells: np.ndarray) -> Array:
        seen = maze.see(jnp.asarray(cells))
        v = value(behind, seen, jnp.broadcast_to(seen[-1], seen.shape)).mean(0)
        return v[HOP:] - v[:-HOP]

    return jnp.stack([along(cells), along(cells[::-1])])


def travel(maze: Maze, far: Array, agent: Agent, learner: Any, key: Key) -> dict[str, Array]:
    """How often goals are found and what share of the way is gone, from end to end and anywhere."""
    lane = lambda row: jnp.zeros_like(maze.walls).at[row].set(True)

    def there(key: Key, **where: Array) -> tuple[Array, Array]:
        task = maze.replace(**where)  # type: ignore[attr-defined]
        num_steps = int(maze.time_limit)
        steps = envs.rollout(task, agent.policy(learner), key, NUM_EPISODES, num_steps)
        found = steps.terminated_t.any(0)
        half = steps.obs_t.shape[-1] // 2
        at, goals = (cell_of(maze.place(x)) for x in jnp.split(steps.obs_t, [half], axis=-1))
        left = far[goals[..., 0], goals[..., 1], at[..., 0], at[..., 1]]  # [T, E]
        return found.mean(), jnp.where(found, 1.0, 1.0 - left.min(0) / left[0]).mean()

    keys = jax.random.split(key, 3)
    forth = there(keys[0], starts=lane(0), goals=lane(-1))
    back = there(keys[1], starts=lane(-1), goals=lane(0))
    anywhere = there(keys[2])
    return {
        "found": (forth[0] + back[0]) / 2,
        "gone": (forth[1] + back[1]) / 2,
        "found_anywhere": anywhere[0],
        "gone_anywhere": anywhere[1],
    }


def run(num_seeds: int, num_updates: int, num_rows: int, num_lanes: int) -> list[dict[str, Any]]:
    """Measures both, and returns a line for each."""
    maze = corridor(num_lanes, speed=SPEED, num_waves=3)
    far = jax.jit(distances)(maze.walls)
    cells = way(far)
    endless = maze.replace(terminates=False)  # type: ignore[attr-defined]
    data = datasets.collect(endless, wander(maze, far), jax.random.key(0), num_rows, noise=0.1)
    keys, lines = jax.random.split(jax.random.key(1), num_seeds), []
    for method in METHODS:
        start = time.perf_counter()
        config = settings(method)
        agent = hiql.make(maze, config, data)
        num_steps = num_updates // config.num_updates

        def learn(state: Any, agent: Agent = agent, num_steps: int = num_steps) -> Any:
            return runner.run(agent, state, num_steps)[0].learner

        def judge(learner: Any, key: Key, agent: Agent = agent, config: HIQL = config) -> Any:
            by = high_advantages(maze, cells, config, learner.params)
            return by, travel(maze, far, agent, learner, key)

        learner = jax.jit(jax.vmap(learn))(jax.jit(jax.vmap(agent.init))(keys))
        by, ways = jax.tree.map(np.asarray, jax.jit(jax.vmap(judge))(learner, keys))
        half = by.shape[-1] // 2
        measured = {
            "right": (by > 0).mean((1, 2)),
            "right_far": (by[..., :half] > 0).mean((1, 2)),
            "right_near": (by[..., half:] > 0).mean((1, 2)),
            "signal_far": by[..., :half].mean((1, 2)) / by[..., :half].std((1, 2)),
        } | ways
        line: dict[str, Any] = {
            "method": method,
            "way_in_steps": int((len(cells) - 1) / SPEED),
            "seeds": num_seeds,
            "updates": num_updates,
        }
        for name, x in measured.items():
            line |= {name: float(x.mean()), f"{name}_error": float(record.standard_error(x))}
        lines.append(line | {"seconds": round(time.perf_counter() - start, 1)} | record.where())
        print(
            "{method:5} right {right:.3f} +- {right_error:.3f}, of those far away {right_far:.3f} "
            "+- {right_far_error:.3f}; found {found:.2f} +- {found_error:.2f}, gone {gone:.2f} +- "
            "{gone_error:.2f}; anywhere found {found_anywhere:.2f} +- "
            "{found_anywhere_error:.2f}".format(**lines[-1]),
            flush=True,
        )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=6000)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--lanes", type=int, default=5)

    def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
        if args.seeds < 2:
            parser.error("--seeds must be at least 2, for a standard error")
        return run(args.seeds, args.updates, args.rows, args.lanes)

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()
