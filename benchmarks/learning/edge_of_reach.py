"""What do short rollouts of a model without error do to offline actor-critics?

A point moves in a square. Data are random steps in a disc in the middle, with the goal on its
rim, and the model is the world itself. From states of the data the policy is rolled out a few
steps, which is where almost all of its experience comes from. States that only the last step
reaches are asked for their value and never learned about: the edge of reach (Sims et al., 2024,
arXiv:2402.12527).

  sac         two critics: errors at the edge are believed, and feed on themselves
  ravl        ten critics, kept apart, of which the least is believed
  sac, whole  two critics, and rollouts as long as episodes: nothing is at the edge

    python -m benchmarks.learning.edge_of_reach --out FILE [--seeds 5] [--minibatches 4000]

No discounted return is above 1 / (1 - 0.98) = 50, and values leave entropy out. How far apart
critics are at the edge depends on how far it is from the data: where steps are a third as long,
ravl only overestimates more slowly.

FILE gets one JSON line for each method: the mean over the data of the largest critic, as it grew;
the least critic's best of many actions at the edge; and what the policy returns in the world, from
where data begin. Every seed has data of its own; all seeds of a method are one program.
"""

import argparse
import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref.agents import configs, learning, ravl, runner
from rlax_pref.types import Array, Box, Key, TimeStep, Transition

RADIUS, STRIDE, TIME_LIMIT, DISCOUNT = 0.3, 0.3, 40, 0.98
GOAL, WIDTH = (0.3, 0.0), 0.4
NUM_DATA, NUM_LOOKS, NUM_EPISODES = 2000, 10, 32
ROWS = 400  # that rollouts make in a round
COMMON: dict[str, Any] = {
    "discount": DISCOUNT,
    "batch_size": 64,
    "num_updates": 20,
    "soft": False,
    "target_rate": 0.02,
    "temperature": 0.1,
    "keep": 20,
}


class Arm(NamedTuple):
    """What sets a method apart."""

    num_critics: int
    diversity: float
    horizon: int


def arms(horizon: int) -> dict[str, Arm]:
    """The methods, where short rollouts are of this length."""
    return {
        "sac": Arm(2, 0.0, horizon),
        "ravl": Arm(10, 1.0, horizon),
        "sac, whole": Arm(2, 0.0, TIME_LIMIT),
    }


class Point(NamedTuple):
    """Where the point is, in a square from -1 to 1."""

    at: Array  # [2]
    time: Array  # []


def move(at: Array, action: Array, key: Key | None = None) -> tuple[Array, Array, Array]:
    """The world, and the model: the reward is 1 at the goal and falls off around it."""
    to = jnp.clip(at + STRIDE * jnp.clip(action, -1.0, 1.0), -1.0, 1.0)
    reward = jnp.exp(-0.5 * jnp.square((to - jnp.array(GOAL)) / WIDTH).sum())
    return to, reward, jnp.zeros((), bool)


class Square:
    """A point that goes up to `STRIDE` along each axis."""

    action_space = Box(-1.0, 1.0, (2,))

    def reset(self, key: Key) -> tuple[Point, Array]:
        """Begins in the disc."""
        at = disc(key, ())
        return Point(at, jnp.int32(0)), at

    def step(self, key: Key, state: Point, action: Array) -> tuple[Point, TimeStep]:
        """Moves; nothing ends before the time limit."""
        at, reward, _ = move(state.at, action)
        time = state.time + 1
        return Point(at, time), TimeStep(at, reward, jnp.float32(1.0), time >= TIME_LIMIT, at)


def disc(key: Key, shape: tuple[int, ...], radius: float = RADIUS) -> Array:
    """`[*shape, 2]` places, evenly from a disc in the middle."""
    distance, turn = jax.random.uniform(key, (2, *shape))
    angle = 2.0 * jnp.pi * turn
    there = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
    return radius * jnp.sqrt(distance)[..., None] * there


def record_data(key: Key) -> Transition:
    """Single random steps from places in the disc."""
    key_at, key_act = jax.random.split(key)
    at = disc(key_at, (NUM_DATA,))
    action = jax.random.uniform(key_act, (NUM_DATA, 2), minval=-1.0, maxval=1.0)
    to, reward, _ = jax.vmap(move)(at, action)
    yes = jnp.ones(NUM_DATA, bool)
    return Transition(at, action, reward, jnp.ones(NUM_DATA), yes, yes, to)


@partial(jax.jit, static_argnames=("arm", "minibatches"))
def study(keys: Key, arm: Arm, minibatches: int) -> dict[str, Array]:
    """What became of all seeds, `[seeds, ...]`."""
    env = Square()
    config = configs.RAVL(**COMMON, **arm._asdict(), num_rollouts=ROWS // arm.horizon // 4 * 4)
    critic = learning.critics(env.action_space, config, arm.num_critics)

    def one(key: Key) -> dict[str, Array]:
        key_data, key_learn, key_look, key_judge = jax.random.split(key, 4)
        data = record_data(key_data)
        agent = ravl.make(env, config, data, move)
        reach = RADIUS + arm.horizon * STRIDE if arm.horizon < TIME_LIMIT else 1.0
        angle = jax.random.uniform(key_look, (64, 1)) * 2.0 * jnp.pi
        edge = reach * jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
        edge = jnp.broadcast_to(edge, (32, 64, 2))
        any_action = jax.random.uniform(key_look, edge.shape, minval=-1.0, maxval=1.0)

        def part(state: Any, _: None) -> tuple[Any, tuple[Array, Array]]:
            rounds = minibatches // config.num_updates // NUM_LOOKS
            state, _ = runner.run(agent, state, rounds)
            params = state.learner.params["critic"]
            q = critic.apply(params, (data.obs_tm1, data.a_tm1)).max(0).mean()
            q_edge = critic.apply(params, (edge, any_action)).min(0).max(0).mean()
            return state, (q, q_edge)

        state, (q, q_edge) = jax.lax.scan(part, agent.init(key_learn), None, NUM_LOOKS)
        policy = agent.policy(state.learner)
        found = runner.evaluate(env, policy, key_judge, NUM_EPISODES, TIME_LIMIT)
        return {"q": q, "q_edge": q_edge, "return": found["return"].mean()}

    return jax.vmap(one)(keys)


def run(methods: list[str], num_seeds: int, minibatches: int, horizon: int) -> list[dict[str, Any]]:
    """Measures all methods, and says how each went."""
    lines: list[dict[str, Any]] = []
    keys = jax.random.split(jax.random.key(0), num_seeds)
    for method in methods:
        arm, start = arms(horizon)[method], time.perf_counter()
        found = {k: np.asarray(x) for k, x in study(keys, arm, minibatches).items()}
        error = {k: np.round(record.standard_error(x), 3).tolist() for k, x in found.items()}
        mean = {k: np.round(x.mean(0), 3).tolist() for k, x in found.items()}
        lines.append(
            {
                "method": method,
                **arm._asdict(),
                "minibatches": minibatches,
                "seeds": num_seeds,
                **mean,
                **{f"{k}_standard_error": x for k, x in error.items()},
                "bound": round(1.0 / (1.0 - DISCOUNT), 3),
                "seconds": round(time.perf_counter() - start, 2),
                **record.where(),
            }
        )
        print(
            f"{method:>10}: q {mean['q'][-1]:10.1f} +- {error['q'][-1]:.1f}, at the edge "
            f"{mean['q_edge'][-1]:10.1f}, return {mean['return']:6.2f} +- {error['return']:.2f}",
            flush=True,
        )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(arms(1))
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minibatches", type=int, default=4000)
    parser.add_argument("--horizon", type=int, default=1, help="steps of short rollouts")

    def all_of(args: argparse.Namespace) -> list[dict[str, Any]]:
        return run(args.methods, args.seeds, args.minibatches, args.horizon)

    record.run(parser, all_of, arguments)


if __name__ == "__main__":
    main()
