"""PPO of this project on CartPole, to be measured, and its floor; see `turns`.

    python ours_ppo.py '{"num_envs": 4, ...}'

The floor is what no PPO with these settings can do without: the same steps of the environments with
the same policy, and the same number of gradients of minibatches of the same size, with Adam, and
nothing around them.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
import turns

from rlax_pref import envs, policies
from rlax_pref.agents import acting, configs, on_policy, ppo, runner
from rlax_pref.envs import AutoReset

Measured = tuple[Callable[[], Any], Callable[[Any], float]]


def config_of(asked: dict[str, Any]) -> configs.PPO:
    """The settings that all peers share."""
    return ppo.Config(
        num_envs=asked["num_envs"],
        num_steps=asked["num_steps"],
        num_epochs=asked["num_epochs"],
        num_minibatches=asked["num_minibatches"],
        learning_rate=asked["learning_rate"],
        anneal_updates=0.0,
        normalize_obs=False,
        normalize_reward=False,
        entropy_weight=0.01,
    )


def train(asked: dict[str, Any]) -> Measured:
    """The agent."""
    env = envs.make("cartpole")
    config = config_of(asked)
    agent = ppo.make(env, config)
    keys = jax.random.split(jax.random.key(0), asked["num_seeds"])
    num_steps = asked["env_steps"] // config.env_steps
    run = lambda key: runner.run(agent, agent.init(key), num_steps)[0].learner
    program = jax.jit(jax.vmap(run)).lower(keys).compile()
    judge = jax.jit(
        jax.vmap(
            lambda learner, key: runner.evaluate(env, agent.policy(learner), key, 128, 500)[
                "return"
            ].mean()
        )
    )
    return (
        lambda: jax.block_until_ready(program(keys)),
        lambda learner: float(judge(learner, keys).mean()),
    )


def floor(asked: dict[str, Any]) -> Measured:
    """Its rollouts and its gradients, one after the other."""
    env, config = AutoReset(envs.make("cartpole")), config_of(asked)
    network = on_policy.network(env, config)
    optimizer = optax.adam(config.learning_rate)
    rows = config.num_steps // config.num_minibatches
    num_updates = asked["env_steps"] // config.env_steps

    def loss(params: Any, obs: jax.Array, action: jax.Array) -> jax.Array:
        law, v = network.apply(params, obs)
        log_prob = law.log_prob(action)
        policy = policies.ppo_clip(log_prob, 0.9 * log_prob, v, 0.2).mean()
        return policy + 0.5 * jnp.square(v).mean() - 0.01 * law.entropy().mean()

    def update(carry: Any, key: jax.Array) -> tuple[Any, None]:
        params, state, now = carry

        def act(now: acting.Acting, key: jax.Array) -> tuple[acting.Acting, Any]:
            key_act, key_env = jax.random.split(key)
            law, _ = network.apply(params, now.obs)
            action = law.sample(seed=key_act)
            obs = now.obs
            now, _, _ = acting.step(env, now, action, key_env)
            return now, (obs, action)

        now, (obs, action) = jax.lax.scan(act, now, jax.random.split(key, config.num_steps))

        def descend(carry: Any, i: jax.Array) -> tuple[Any, None]:
            params, state = carry
            part = lambda x: jax.lax.dynamic_slice_in_dim(x, i * rows, rows)
            grads = jax.grad(loss)(params, part(obs), part(action))
            change, state = optimizer.update(grads, state)
            return (optax.apply_updates(params, change), state), None

        order = jnp.tile(jnp.arange(config.num_minibatches), config.num_epochs)
        (params, state), _ = jax.lax.scan(descend, (params, state), order)
        return (params, state, now), None

    def run(key: jax.Array) -> Any:
        now = acting.init(env, key, config.num_envs)
        params = network.init(key, now.obs[:1])
        start = (params, optimizer.init(params), now)
        return jax.lax.scan(update, start, jax.random.split(key, num_updates))[0][0]

    keys = jax.random.split(jax.random.key(0), asked["num_seeds"])
    program = jax.jit(jax.vmap(run)).lower(keys).compile()
    return lambda: jax.block_until_ready(program(keys)), lambda params: float("nan")


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    turns.take(partial({"agent": train, "floor": floor}[asked["what"]], asked))
