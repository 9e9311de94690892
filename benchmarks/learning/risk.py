"""Does a stock beside the state buy a better worst case, and cost nothing where none is asked for?

The claim of Pires et al. (2025, arXiv:2501.13028): utilities of the whole return, such as its
conditional value at risk, can be maximised step by step once the state says what was earned so
far. On a 5 x 5 board the way to the goal through a corridor takes 4 steps, and each of its three
cells costs 10 more one time in ten; the way around takes 8. So the corridor has the better mean,
-7, and the way around the better worst case, -8. For each share of worst returns, D-eta-N (with
the start it finds best) is compared with QR-DQN, which learns the same quantiles but goes by their
mean, by the conditional value at risk of many episodes. With the share 1 that is the mean, and
both should do alike. D-eta-N from stock 0 shows what the start is good for.

    python -m benchmarks.learning.risk --out FILE
"""

import argparse
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import agents
from rlax_pref.agents import runner
from rlax_pref.types import Array, Discrete, Key, Numeric, TimeStep

SIZE = 5
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))  # up, down, left, right
AGENTS = ("dqn, quantiles", "stock_dqn", "stock_dqn from 0")
NUM_EPISODES = 1000
SETTINGS = {
    "num_envs": 8,
    "num_updates": 2,
    "batch_size": 64,
    "capacity": 40_000,
    "warm_up": 1000,
    "hidden": (64, 64),
    "discount": 1.0,
    "learning_rate": 1e-3,
    "target_rate": 0.01,
    "critic": "quantiles",
    "num_atoms": 32,
    "epsilon_end": 0.1,
}


class Corridor(NamedTuple):
    """From the middle of the left edge to that of the right; through the middle it is short.

    Walls on both sides of the corridor leave the way through it and the way around.
    """

    price: Numeric = 10.0
    chance: Numeric = 0.1
    time_limit: int = 40
    action_space: Discrete = Discrete(4)

    def reset(self, key: Key) -> tuple[tuple[Array, Array], Array]:
        """Begins in the middle of the left edge."""
        cell = jnp.array([SIZE // 2, 0])
        return (cell, jnp.int32(0)), _observe(cell)

    def step(
        self, key: Key, state: tuple[Array, Array], action: Array
    ) -> tuple[tuple[Array, Array], TimeStep]:
        """Moves, unless a wall is in the way; a step costs 1, and in the corridor maybe more."""
        cell, time = state
        after = jnp.clip(cell + jnp.array(MOVES)[action], 0, SIZE - 1)
        inside = (after[1] > 0) & (after[1] < SIZE - 1)
        wall = inside & (jnp.abs(after[0] - SIZE // 2) == 1)
        after = jnp.where(wall, cell, after)
        corridor = (after[0] == SIZE // 2) & (after[1] > 0) & (after[1] < SIZE - 1)
        hit = corridor & (jax.random.uniform(key) < self.chance)
        ended = (after == jnp.array([SIZE // 2, SIZE - 1])).all()
        obs, time = _observe(after), time + 1
        return (after, time), TimeStep(
            obs=obs,
            reward=-1.0 - self.price * hit,
            discount=1.0 - ended,
            truncated=(time >= self.time_limit) & ~ended,
            last_obs=obs,
        )


def _observe(cell: Array) -> Array:
    return jax.nn.one_hot(cell[0] * SIZE + cell[1], SIZE * SIZE)


def cvar(returns: Array, tau: Numeric) -> Array:
    """`[...]` mean of the worst share tau of `[..., N]` returns."""
    num = max(round(tau * returns.shape[-1]), 1)
    return jnp.sort(returns, axis=-1)[..., :num].mean(-1)


def train(name: str, num_steps: int, key: Key, settings: dict[str, Any]) -> Array:
    """`[NUM_EPISODES]` returns of the policy that an agent comes to."""
    key_train, key_judge = jax.random.split(key)
    env = Corridor()
    agent = agents.make(name, env, SETTINGS | settings)
    state, _ = runner.run(agent, agent.init(key_train), num_steps)
    policy = agent.policy(state.learner)
    return runner.evaluate(env, policy, key_judge, NUM_EPISODES, env.time_limit)["return"]


def run(
    names: list[str], num_seeds: int, env_steps: int, taus: list[float]
) -> list[dict[str, Any]]:
    """Measures all conditions, and returns a line for each."""
    keys = jax.random.split(jax.random.key(0), num_seeds)
    num_steps = env_steps // SETTINGS["num_envs"]
    epsilon = {"epsilon_steps": env_steps / 4}
    best = {"lowest_start": 0.0, "highest_start": 25.0}

    def plain(key: Key) -> Array:
        return train("dqn", num_steps, key, epsilon)

    def with_stock(key: Key, tau: Numeric) -> Array:
        return train("stock_dqn", num_steps, key, epsilon | best | {"tau": tau})

    def from_nothing(key: Key, tau: Numeric) -> Array:
        fixed = {"num_starts": 1, "lowest_start": 0.0, "highest_start": 0.0}
        return train("stock_dqn", num_steps, key, epsilon | fixed | {"tau": tau})

    def every_tau(one: Any) -> np.ndarray:
        """`[taus, seeds, episodes]`."""
        study = jax.jit(jax.vmap(jax.vmap(one, (0, None)), (None, 0)))
        return np.asarray(study(keys, jnp.array(taus)))

    conditions = {
        "dqn, quantiles": lambda: np.asarray(jax.jit(jax.vmap(plain))(keys))[None],
        "stock_dqn": lambda: every_tau(with_stock),
        "stock_dqn from 0": lambda: every_tau(from_nothing),
    }
    lines = []
    for name in names:
        start = time.perf_counter()
        returns = conditions[name]()
        seconds = round(time.perf_counter() - start, 1)
        for tau, each in zip(
            taus, np.broadcast_to(returns, (len(taus), *returns.shape[1:])), strict=True
        ):
            worst = np.asarray(cvar(jnp.asarray(each), tau))
            lines.append(
                {
                    "agent": name,
                    "tau": tau,
                    "seeds": num_seeds,
                    "env_steps": num_steps * SETTINGS["num_envs"],
                    "cvar": float(worst.mean()),
                    "standard_error": float(record.standard_error(worst)),
                    "cvars": worst.round(2).tolist(),
                    "mean": float(each.mean()),
                    "seconds": seconds,
                    **record.where(),
                }
            )
            print(
                "{agent:>16}, worst {tau:4.0%}: {cvar:7.2f} +- {standard_error:.2f}, "
                "mean {mean:6.2f}".format(**lines[-1]),
                flush=True,
            )
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", nargs="+", choices=AGENTS, default=list(AGENTS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--env-steps", type=int, default=24_000)
    parser.add_argument("--taus", nargs="+", type=float, default=[0.05, 0.25, 1.0])
    record.run(
        parser, lambda args: run(args.agents, args.seeds, args.env_steps, args.taus), arguments
    )


if __name__ == "__main__":
    main()
