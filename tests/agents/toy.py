"""A small agent that compiles in an instant, for testing what drives agents.

Walkers drift about; a linear model learns, by Adam, to predict where they will be. Its state has
what makes states awkward: a target network that equals the parameters, keys per environment and
leaves of size zero. As a program it trains, itself or another agent, in a run directory:
`python toy.py AGENT DIRECTORY STEPS EVERY SAVE_EVERY [SECONDS]`, each chunk taking SECONDS
longer, and prints the state's digest.
"""

import dataclasses
import hashlib
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref.types import Agent, Array, Discrete, Key, Metrics, Policy, TimeStep, TrainState

E, D = 8, 3


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = 0.05
    decay: float = 0.9
    time_limit: int = 5


class Walkers(NamedTuple):
    x: Array  # [E, D]
    key: Key  # [E]
    age: Array  # [E]
    total: Array  # [E]
    nothing: Array  # [E, 0]


def make(config: Any = Config()) -> Agent:
    def init(key: Key) -> TrainState:
        key, key_w, key_x = jax.random.split(key, 3)
        w = jax.random.normal(key_w, (D, D))
        learner = {"w": w, "target": w, "m": jnp.zeros_like(w), "v": jnp.zeros_like(w)}
        zeros = jnp.zeros(E)
        walkers = Walkers(
            jax.random.normal(key_x, (E, D)),
            jax.random.split(key_x, E),
            jnp.arange(E),
            zeros,
            jnp.zeros((E, 0)),
        )
        return TrainState(learner, walkers, key, jnp.int32(0))

    def loss(w: Array, x: Array, y: Array) -> Array:
        return jnp.square(jnp.tanh(x @ w) - y).mean()

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_noise = jax.random.split(state.key)
        learner, actor = state.learner, state.actor
        keys, noise = jax.vmap(lambda k: (jax.random.fold_in(k, 1), jax.random.normal(k, (D,))))(
            actor.key
        )
        x = config.decay * actor.x + 0.3 * noise
        reward = jnp.tanh(x @ learner["target"]).sum(-1)
        total, age = actor.total + reward, actor.age + 1
        done = age >= config.time_limit
        episodes = done.sum()
        ended = jnp.where(done, total, 0.0).sum() / jnp.maximum(episodes, 1)
        length = jnp.where(done, age, 0).sum() / jnp.maximum(episodes, 1)
        value, grad = jax.value_and_grad(loss)(learner["w"], actor.x, x)
        grad += 0.01 * jax.random.normal(key_noise, grad.shape)
        m = 0.9 * learner["m"] + 0.1 * grad
        v = 0.99 * learner["v"] + 0.01 * jnp.square(grad)
        w = learner["w"] - config.rate * m / (jnp.sqrt(v) + 1e-5)
        target = 0.95 * learner["target"] + 0.05 * w
        walkers = Walkers(
            jnp.where(done[:, None], 0.0, x),
            keys,
            jnp.where(done, 0, age),
            jnp.where(done, 0.0, total),
            actor.nothing,
        )
        metrics = {
            "loss": value,
            "episodes": episodes,
            "return": jnp.where(episodes > 0, ended, jnp.nan),
            "length": jnp.where(episodes > 0, length, jnp.nan),
            "env_steps": jnp.int32(E),
        }
        learner = {"w": w, "target": target, "m": m, "v": v}
        return TrainState(learner, walkers, key, state.step + 1), metrics

    def policy(learner: Any) -> Policy:
        def act(memory: Array, obs: Array, key: Key) -> tuple[Array, Array]:
            return memory + 1, (obs @ learner["w"]).sum() + 0.0 * jax.random.normal(key)

        return Policy(lambda key: jnp.int32(0), act)

    return Agent(init, step, policy)


class Countdown(NamedTuple):
    """An environment whose episodes last as many steps as were drawn, with reward 1 a step."""

    longest: int = 6
    action_space: Discrete = Discrete(2)

    def reset(self, key: Key) -> tuple[Array, Array]:
        left = jax.random.randint(key, (), 1, self.longest + 1)
        return left, jnp.full(D, left, jnp.float32)

    def step(self, key: Key, state: Array, action: Array) -> tuple[Array, TimeStep]:
        state = state - 1
        obs = jnp.full(D, state, jnp.float32)
        reward = jnp.where(state >= 0, 1.0, jnp.nan)  # after the end nothing must count
        return state, TimeStep(obs, reward, jnp.float32(state != 0), jnp.bool_(False), obs)


SMALL = {"num_envs": 4, "num_steps": 16, "num_epochs": 2, "num_minibatches": 2, "hidden": (8,)}


def make_by_name(name: str) -> Agent:
    """The toy, or a small instance of a true agent."""
    if name == "toy":
        return make()
    from rlax_pref import agents, envs

    return agents.make(name, envs.make("cartpole"), SMALL)


def bits(tree) -> list:
    """The tree as raw bytes, so that equal means equal bit for bit."""

    def raw(x):
        x = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        return str(x.dtype), x.shape, np.asarray(x).tobytes()

    return [raw(x) for x in jax.tree.leaves(tree)]


def read_log(path: Path) -> list[dict]:
    """The lines, read by the letter of JSON, which has no NaN."""

    def refuse(word):
        raise AssertionError(word)

    return [json.loads(x, parse_constant=refuse) for x in path.read_text().splitlines()]


def collectives(program: str) -> set[str]:
    """The kinds of operation between devices in a compiled program."""
    kinds = (
        "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute|collective-broadcast"
    )
    return set(re.findall(rf"\b({kinds})(?:-start)?\(", program))


def digest(state: TrainState) -> str:
    """SHA-256 over the bytes of every leaf, environments and keys included."""
    data = hashlib.sha256()
    for x in jax.tree.leaves(state):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        data.update(np.asarray(jax.random.key_data(x) if is_key else x).tobytes())
    return data.hexdigest()


if __name__ == "__main__":
    from rlax_pref.agents import runner

    name, directory, num_steps, every, save_every, *pause = sys.argv[1:]
    state = runner.train_run(
        directory,
        make_by_name(name),
        int(num_steps),
        every=int(every),
        save_every=int(save_every),
        hooks=[lambda state, metrics: time.sleep(float(pause[0]))] if pause else [],
        progress=False,
    )
    print(digest(state))
