"""Can an agent put together halves of trajectories that nobody ever took as a whole?

A point moves through corridors:

    . . . . . T . . .
    . . . . . | . . .       P  a prize of 0.5
    P - J - - C - - D       G  the goal, a prize of 1
    . . | . . | . . .       D  a dead end
    . . S . . G . . .

Of those who began at S, some took the small prize and the others went across C into the dead
end. Only who began at T went from C to the goal. To go from S to G an agent has to find out
that C is worth more than what those who came by made of it on average: IQL with tau 0.9 can, with
tau 0.5 (values of behaviour, improved upon in one step) it should take the small prize, and
cloning, of all or of the best, has nobody to copy on the whole way.

    python -m benchmarks.learning.stitching --out FILE [--seeds 5] [--minibatches 6400]

FILE gets one JSON line for each method: how many of the episodes from S, of the policy as it is
when it does not explore, end at the goal and at the small prize. Every seed has data of its own,
and all seeds of a method are one program.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref.agents import configs, imitation, runner, td3
from rlax_pref.types import Array, Box, Key, TimeStep, Transition

MAP = (  # corridors, in cells
    "          ",
    "      o   ",
    "      o   ",
    " oooooooo ",
    "   o  o   ",
    "   o  o   ",
    "          ",
)
P, S, J, T = (1.5, 3.5), (3.5, 5.5), (3.5, 3.5), (6.5, 1.5)
C, D, G = (6.5, 3.5), (8.5, 3.5), (6.5, 5.5)
SMALL, STRIDE, NEAR, TIME_LIMIT, DISCOUNT = 0.5, 0.5, 0.4, 40, 0.98
SHARES = {"small prize": 0.3, "dead end": 0.45, "goal": 0.25}  # of the trajectories
NUM_EPISODES = 32
COMMON: dict[str, Any] = {"discount": DISCOUNT, "batch_size": 64}


class Point(NamedTuple):
    """Where the point is, x to the right and y down, in cells."""

    at: Array  # [2]
    time: Array  # []


class Corridors:
    """A point that goes up to `STRIDE` cells a step, along each axis unless a wall is there."""

    action_space = Box(-1.0, 1.0, (2,))

    def reset(self, key: Key, start: tuple[float, float] | Array = S) -> tuple[Point, Array]:
        """Begins near S."""
        at = jnp.asarray(start) + jax.random.uniform(key, (2,), minval=-0.3, maxval=0.3)
        return Point(at, jnp.int32(0)), at

    def step(self, key: Key, state: Point, action: Array) -> tuple[Point, TimeStep]:
        """Moves."""
        free = jnp.array([[cell == "o" for cell in row] for row in MAP])
        at = state.at
        for axis in range(2):
            to = at.at[axis].add(STRIDE * jnp.clip(action[axis], -1.0, 1.0))
            column, row = jnp.floor(to).astype(int)
            at = jnp.where(free[row, column], to, at)
        goal, small = (jnp.abs(at - jnp.array(place)).max() < NEAR for place in (G, P))
        time = state.time + 1
        over = goal | small
        return Point(at, time), TimeStep(
            obs=at,
            reward=goal + SMALL * small,
            discount=1.0 - over.astype(jnp.float32),
            truncated=(time >= TIME_LIMIT) & ~over,
            last_obs=at,
        )


def record_data(key: Key, num: int) -> Transition:
    """Steps of `num` walkers, of which each goes where its kind goes, one walker after the other.

    As many rows as walkers can fill; as they fill fewer, they are repeated.
    """
    env, shares = Corridors(), jnp.array(list(SHARES.values()))
    starts, via, ends = (jnp.array(x) for x in ((S, S, T), (J, J, C), (P, D, G)))

    def walk(key: Key) -> Transition:
        key_kind, key_reset, key_walk = jax.random.split(key, 3)
        kind = jax.random.choice(key_kind, 3, p=shares)
        state, obs = env.reset(key_reset, starts[kind])

        def step(carry: Any, key: Key) -> Any:
            state, obs, turned, alive = carry
            turned |= jnp.abs(obs - via[kind]).max() < 0.2
            way = jnp.where(turned, ends[kind], via[kind]) - obs
            action = way / jnp.maximum(jnp.abs(way).max(), 1e-3)
            action = jnp.clip(action + 0.3 * jax.random.normal(key, (2,)), -1.0, 1.0)
            state, timestep = env.step(key, state, action)
            transition = Transition(
                obs_tm1=obs,
                a_tm1=action,
                r_t=timestep.reward,
                discount_t=timestep.discount,
                truncated_t=timestep.truncated,
                valid_t=alive,
                obs_t=timestep.last_obs,
            )
            return (state, timestep.obs, turned, alive & ~timestep.done), transition

        begin = (state, obs, jnp.bool_(False), jnp.bool_(True))
        return jax.lax.scan(step, begin, jax.random.split(key_walk, TIME_LIMIT))[1]

    steps = jax.vmap(walk)(jax.random.split(key, num))
    steps = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), steps)
    row = jnp.argsort(~steps.valid_t)[jnp.arange(steps.valid_t.size) % steps.valid_t.sum()]
    return jax.tree.map(lambda x: x[row], steps)


IMPLICIT: dict[str, Any] = {"inverse_temperature": 20.0, "target_rate": 0.02}
METHODS: dict[str, tuple[Callable[..., Any], Any]] = {
    "iql, tau 0.9": (imitation.make, configs.IQL(tau=0.9, **IMPLICIT, **COMMON)),
    "iql, tau 0.5": (imitation.make, configs.IQL(tau=0.5, **IMPLICIT, **COMMON)),
    "xql": (imitation.make, configs.XQL(temperature=0.1, **IMPLICIT, **COMMON)),
    "odice": (imitation.make, configs.ODICE(lambda_=0.9, reward_scale=10.0, **COMMON)),
    "bc": (imitation.make, configs.BehaviourCloning(**COMMON)),
    "10% bc": (imitation.make, configs.BehaviourCloning(share=0.1, **COMMON)),
    "td3_bc": (td3.make, configs.TD3BC(**COMMON)),
}


def judge(policy: Any, key: Key) -> Array:
    """`[2]` shares of episodes from S that end at the goal, and at the small prize."""
    paid = runner.evaluate(Corridors(), policy, key, NUM_EPISODES, TIME_LIMIT)["return"]
    return jnp.stack([(paid == 1.0).mean(), (paid == SMALL).mean()])


@partial(jax.jit, static_argnames=("make", "walkers", "minibatches"))
def study(config: Any, keys: Key, make: Any, walkers: int, minibatches: int) -> Array:
    """`[seeds, 2]` what became of each seed; methods that differ in numbers share a program."""

    def one(key: Key) -> Array:
        key_data, key_learn, key_judge = jax.random.split(key, 3)
        agent = make(Corridors(), config, record_data(key_data, walkers))
        state, _ = runner.run(agent, agent.init(key_learn), minibatches // config.num_updates)
        return judge(agent.policy(state.learner), key_judge)

    return jax.vmap(one)(keys)


def measure(method: str, num_seeds: int, walkers: int, minibatches: int) -> dict[str, Any]:
    """Trains all seeds of a method and returns its line."""
    make, config = METHODS[method]
    keys = jax.random.split(jax.random.key(0), num_seeds)
    start = time.perf_counter()
    goal, small = np.asarray(study(config, keys, make, walkers, minibatches)).T
    return {
        "method": method,
        "walkers": walkers,
        "minibatches": minibatches,
        "seeds": num_seeds,
        "goal": float(goal.mean()),
        "goal_standard_error": float(record.standard_error(goal)),
        "goals": np.sort(goal).round(2).tolist(),
        "small_prize": float(small.mean()),
        "small_prize_standard_error": float(record.standard_error(small)),
        "seconds": round(time.perf_counter() - start, 2),
        **record.where(),
    }


def run(methods: list[str], num_seeds: int, walkers: int, minibatches: int) -> list[dict[str, Any]]:
    """Measures one method after the other, and says how each went."""
    lines = []
    for method in methods:
        lines.append(measure(method, num_seeds, walkers, minibatches))
        print(
            "{method:>13}: {goal:4.0%} at the goal (+- {goal_standard_error:.0%}), "
            "{small_prize:4.0%} at the small prize".format(**lines[-1]),
            flush=True,
        )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--walkers", type=int, default=300, help="who made the data of a seed")
    parser.add_argument("--minibatches", type=int, default=6400)
    record.run(
        parser,
        lambda args: run(args.methods, args.seeds, args.walkers, args.minibatches),
        arguments,
    )


if __name__ == "__main__":
    main()
