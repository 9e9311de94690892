"""What is a critic good for, beside a policy that proposes?

Two questions. First, a policy that stays as it is: a clone of wavering walkers in a square, and
IQL's critic of the same data, which chooses among K of its proposals (V-GPS, Nakamoto et al.,
2024, arXiv:2410.13816). Does it get nearer to the goal the more it may choose from?

Second, a policy that is trained: a clone of behaviour in a contextual bandit, 16 arms, of which
every context has been tried with one. With the same critics, bit for bit, and as many updates,
what is the best use of them (Digi-Q, Bai et al., 2025, arXiv:2502.15760)?

    python -m benchmarks.learning.steering --out FILE [--seeds 8] [--minibatches 2000]

FILE gets one JSON line for each condition. Of walkers: the return of 40 steps, each paid by how
near the goal is, and how many are there in the end. Of the bandit: what the policy earns on
average when it does not explore, and when it does; the best arm pays 1 and behaviour earns what
the line of `clone` says. Every seed has data of its own; all seeds of a condition are one program.
"""

import argparse
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from benchmarks.learning import edge_of_reach as square
from rlax_pref.agents import configs, digi_q, imitation, runner, steering
from rlax_pref.types import Array, Discrete, Key, TimeStep, Transition

PROPOSALS = (1, 5, 10)
EXTRACTIONS = ("best_of_n", "advantage_weighted", "policy_gradient", "clone")
NUM_EPISODES, TEMPERATURE = 64, 0.1
NUM_WALKERS, NEAR = 100, 0.15
NUM_ARMS, NUM_FEATURES, NUM_CONTEXTS = 16, 4, 4000
COMMON: dict[str, Any] = {"batch_size": 64, "num_updates": 20, "num_envs": 4}


# Walkers ------------------------------------------------------------------------------------


def wavering_walks(key: Key) -> Transition:
    """Walkers from anywhere, who go towards the goal but for noise, and stop at the time limit."""

    def walk(key: Key) -> Transition:
        key_start, key_walk = jax.random.split(key)
        start = jax.random.uniform(key_start, (2,), minval=-1.0, maxval=1.0)

        def step(at: Array, x: tuple[Array, Key]) -> tuple[Array, Transition]:
            time, key = x
            way = 2.0 * (jnp.array(square.GOAL) - at)
            action = jnp.clip(0.3 * way + jax.random.normal(key, (2,)), -1.0, 1.0)
            to, reward, _ = square.move(at, action)
            last, yes = time == square.TIME_LIMIT - 1, jnp.ones((), bool)
            return to, Transition(at, action, reward, jnp.ones(()), last, yes, to)

        times = jnp.arange(square.TIME_LIMIT)
        return jax.lax.scan(step, start, (times, jax.random.split(key_walk, times.size)))[1]

    walks = jax.vmap(walk)(jax.random.split(key, NUM_WALKERS))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), walks)


@partial(jax.jit, static_argnames="minibatches")
def steer(keys: Key, minibatches: int) -> dict[str, Array]:
    """`[seeds, K]` returns, and how many arrive."""
    env = square.Square()
    cloning = configs.BehaviourCloning(**COMMON)
    judging = configs.IQL(**COMMON, discount=square.DISCOUNT, tau=0.9)

    def one(key: Key) -> dict[str, Array]:
        key_data, key_learn, key_judge = jax.random.split(key, 3)
        data = wavering_walks(key_data)

        def learn(config: Any) -> Any:
            agent = imitation.make(env, config, data)
            rounds = minibatches // config.num_updates
            return runner.run(agent, agent.init(key_learn), rounds)[0].learner

        cloned = learn(cloning)
        policy = imitation.method(env.action_space, cloning).explore(cloned, jnp.int32(0))
        critic = steering.critic_of(env, judging, learn(judging))

        def act(num: int, key: Key) -> tuple[Array, Array]:
            key_reset, key_act = jax.random.split(key)
            steered = steering.steer(policy, critic, num, TEMPERATURE)

            def step(carry: Any, key: Key) -> tuple[Any, Array]:
                state, obs = carry
                _, action = steered.act((), obs, key)
                state, timestep = env.step(key, state, action)
                return (state, timestep.obs), timestep.reward

            start = env.reset(key_reset)
            (_, obs), reward = jax.lax.scan(
                step, start, jax.random.split(key_act, square.TIME_LIMIT)
            )
            return reward.sum(), jnp.linalg.norm(obs - jnp.array(square.GOAL)) < NEAR

        each = jax.random.split(key_judge, NUM_EPISODES)
        found = [jax.vmap(partial(act, num))(each) for num in PROPOSALS]
        total, there = (jnp.stack([x.mean() for x in part]) for part in zip(*found, strict=True))
        return {"return": total, "there": there}

    return jax.vmap(one)(keys)


# The bandit ---------------------------------------------------------------------------------


class Bandit:
    """Contexts are points on a sphere; an arm pays by how well its direction fits."""

    action_space = Discrete(NUM_ARMS)

    def __init__(self, arms: Array):
        self.arms = arms  # [arms, features], of length 1

    def reward(self, obs: Array) -> Array:
        """`[..., arms]`, the best of them 1."""
        fit = obs @ self.arms.T
        return jnp.exp(4.0 * (fit - fit.max(-1, keepdims=True)))

    def reset(self, key: Key) -> tuple[Array, Array]:
        """Draws a context."""
        obs = jax.random.normal(key, (NUM_FEATURES,))
        obs = obs / jnp.linalg.norm(obs)
        return obs, obs

    def step(self, key: Key, state: Array, action: Array) -> tuple[Array, TimeStep]:
        """Pays, and it is over."""
        zero = jnp.zeros(())
        return state, TimeStep(state, self.reward(state)[action], zero, zero.astype(bool), state)


@partial(jax.jit, static_argnames=("extraction", "minibatches"))
def extract(keys: Key, extraction: str, minibatches: int) -> dict[str, Array]:
    """`[seeds]` what the policy earns, and how wrong the critics are."""
    config = configs.DigiQ(**COMMON, extraction=extraction, normalize_obs=False, clone_updates=1000)

    def one(key: Key) -> dict[str, Array]:
        key_arms, key_obs, key_act, key_noise, key_learn, key_judge = jax.random.split(key, 6)
        arms = jax.random.normal(key_arms, (NUM_ARMS, NUM_FEATURES))
        env = Bandit(arms / jnp.linalg.norm(arms, axis=-1, keepdims=True))
        contexts = jax.vmap(lambda key: env.reset(key)[1])
        obs = contexts(jax.random.split(key_obs, NUM_CONTEXTS))
        reward = env.reward(obs)
        action = jax.random.categorical(key_act, 2.0 * reward)
        paid = jnp.take_along_axis(reward, action[:, None], axis=1)[:, 0]
        paid = paid + 0.2 * jax.random.normal(key_noise, paid.shape)
        no, yes = jnp.zeros(NUM_CONTEXTS), jnp.ones(NUM_CONTEXTS, bool)
        data = Transition(obs, action.astype(jnp.int32), paid, no, ~yes, yes, obs)

        agent = digi_q.make(env, config, data)
        rounds = minibatches // config.num_updates
        state, metrics = runner.run(agent, agent.init(key_learn), rounds)
        method = digi_q.method(env.action_space, config)
        test = contexts(jax.random.split(key_judge, 1000))

        def earn(policy: Any) -> Array:
            each = jax.random.split(key_judge, test.shape[0])
            act = lambda obs, key: policy.act((), obs, key)[1]
            chosen = jax.vmap(act)(test, each)
            return jnp.take_along_axis(env.reward(test), chosen[:, None], axis=1).mean()

        return {
            "greedy": earn(agent.policy(state.learner)),
            "sampled": earn(method.explore(state.learner, state.step)),
            "critic_loss": metrics["critic_loss"][-5:].mean(),
        }

    return jax.vmap(one)(keys)


# All of it ----------------------------------------------------------------------------------


def run(num_seeds: int, minibatches: int) -> list[dict[str, Any]]:
    """Measures all conditions, and says how each went."""
    lines: list[dict[str, Any]] = []
    keys = jax.random.split(jax.random.key(0), num_seeds)

    def say(task: str, condition: str, found: dict[str, np.ndarray], seconds: float) -> None:
        mean = {k: round(float(x.mean()), 4) for k, x in found.items()}
        error = {
            f"{k}_standard_error": round(float(record.standard_error(x)), 4)
            for k, x in found.items()
        }
        common = {"minibatches": minibatches, "seeds": num_seeds, "seconds": round(seconds, 2)}
        lines.append(
            {"task": task, "condition": condition, **mean, **error, **common, **record.where()}
        )
        numbers = ", ".join(
            f"{k} {x:.3f} +- {error[f'{k}_standard_error']:.3f}" for k, x in mean.items()
        )
        print(f"{task:>8} {condition:>18}: {numbers}", flush=True)

    start = time.perf_counter()
    found = {k: np.asarray(x) for k, x in steer(keys, minibatches).items()}
    seconds = time.perf_counter() - start
    for i, num in enumerate(PROPOSALS):
        say("walkers", f"K = {num}", {k: x[:, i] for k, x in found.items()}, seconds)
    for extraction in EXTRACTIONS:
        start = time.perf_counter()
        found = {k: np.asarray(x) for k, x in extract(keys, extraction, minibatches).items()}
        say("bandit", extraction, found, time.perf_counter() - start)
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--minibatches", type=int, default=2000)
    record.run(parser, lambda args: run(args.seeds, args.minibatches), arguments)


if __name__ == "__main__":
    main()
