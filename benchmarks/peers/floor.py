"""What no agent can do without: its environment steps and its gradients, and nothing around them.

PPO: rollouts of the policy, then as many gradients of minibatches of the same size, in the order in
which the data lie. DQN and SAC: a step of every environment, its rows stored, rows drawn, their
gradient. What a rollout needs of chance is drawn at once. There are no statistics of episodes, no
advantages, no shuffling, no limits on gradients, no slow copies that follow. See `turns`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import ours
import turns

from rlax_pref import agents, networks, policies, values
from rlax_pref._threefry import quick
from rlax_pref.agents import acting, learning, on_policy
from rlax_pref.envs import AutoReset
from rlax_pref.types import Array, Key, PyTree


class Rows(NamedTuple):
    """Steps of environments: every leaf is `[..., E, ...]`."""

    obs_tm1: Array
    a_tm1: Array
    r_t: Array
    discount_t: Array
    obs_t: Array


class Parts(NamedTuple):
    """What is left of an agent.

    `init(key, obs [1, D], action [1, ...]) -> params`; `act(params, obs [E, D], noise [E, A])`;
    `loss(params, slow params, rows [B], key) -> []`.
    """

    init: Callable[[Key, Array, Array], PyTree]
    act: Callable[[PyTree, Array, Array], Array]
    loss: Callable[[PyTree, PyTree, Rows, Key], Array]


def ppo(env: Any, config: Any) -> Parts:
    """The clipped loss, with rewards as advantages and as targets."""
    space, network = env.action_space, on_policy.network(env, config)

    def act(params: PyTree, obs: Array, noise: Array) -> Array:
        law, _ = network.apply(params, obs)
        return networks.to_env(space, networks.sample_with(law, noise)[0])

    def loss(params: PyTree, _: PyTree, rows: Rows, key: Key) -> Array:
        law, v = network.apply(params, rows.obs_tm1)
        log_prob = law.log_prob(rows.a_tm1)
        policy = policies.ppo_clip(log_prob, log_prob, rows.r_t, config.clip).mean()
        value = jnp.square(v - rows.r_t).mean()
        return policy + value - config.entropy_weight * law.entropy().mean()

    return Parts(lambda key, obs, action: network.init(key, obs), act, loss)


def dqn(env: Any, config: Any) -> Parts:
    """The squared error of Q-learning."""
    critic = networks.mlp(config.hidden, env.action_space.num, activation=config.activation)

    def act(params: PyTree, obs: Array, noise: Array) -> Array:
        return jnp.argmax(critic.apply(params, obs) + noise, -1)

    def loss(params: PyTree, slow: PyTree, rows: Rows, key: Key) -> Array:
        target = rows.r_t + rows.discount_t * critic.apply(slow, rows.obs_t).max(-1)
        q = values.of_action(critic.apply(params, rows.obs_tm1), rows.a_tm1)
        return jnp.square(q - target).mean()

    return Parts(lambda key, obs, action: critic.init(key, obs), act, loss)


def sac(env: Any, config: Any) -> Parts:
    """The losses of the policy, the critics and the temperature, in one sum."""
    space = env.action_space
    actor = networks.squashed_policy(space.shape[0], config.hidden, activation=config.activation)
    critic = learning.critics(space, config, config.num_critics)

    def init(key: Key, obs: Array, action: Array) -> PyTree:
        return {
            "actor": actor.init(key, obs),
            "critic": critic.init(key, (obs, action)),
            "log_temperature": jnp.zeros(()),
        }

    def act(params: PyTree, obs: Array, noise: Array) -> Array:
        law = actor.apply(params["actor"], obs)
        return networks.to_env(space, jnp.tanh(law.mean + jnp.exp(law.log_std) * noise))

    def loss(params: PyTree, slow: PyTree, rows: Rows, key: Key) -> Array:
        temperature = jnp.exp(params["log_temperature"])
        price, fixed = jax.lax.stop_gradient((temperature, params))
        key_now, key_after = jax.random.split(key)
        a_t, log_prob_t = actor.apply(fixed["actor"], rows.obs_t).sample_and_log_prob(key_after)
        q_t = critic.apply(slow["critic"], (rows.obs_t, a_t)).min(0) - price * log_prob_t
        q = critic.apply(params["critic"], (rows.obs_tm1, rows.a_tm1))
        action, log_prob = actor.apply(params["actor"], rows.obs_tm1).sample_and_log_prob(key_now)
        judged = critic.apply(fixed["critic"], (rows.obs_tm1, action)).min(0)
        surplus = jax.lax.stop_gradient(log_prob) + config.target_entropy * space.shape[0]
        return (
            jnp.square(q - (rows.r_t + rows.discount_t * q_t)).sum(0).mean()
            + (price * log_prob - judged).mean()
            - (temperature * surplus).mean()
        )

    return Parts(init, act, loss)


def flat(x: Array) -> Array:
    """`[T, E, ...]` as `[T * E, ...]`."""
    return x.reshape(-1, *x.shape[2:])


class Stand(NamedTuple):
    """Where training stands."""

    params: PyTree
    optimizer: Any
    env: Any  # states, [E, ...]
    obs: Array  # [E, D]


def main(asked: dict[str, Any]) -> None:
    """Compiles, and takes turns."""
    raw = ours.environment(asked["env"])
    env, space = AutoReset(raw), raw.action_space
    config = agents.config_from(asked["agent"], asked["settings"])
    parts = {"ppo": ppo, "dqn": dqn, "sac": sac}[asked["agent"]](raw, config)
    optimizer = optax.adam(config.learning_rate)
    num_steps, num_envs = config.num_steps, config.num_envs

    def run(key: Key) -> PyTree:
        key_env, key_params, key = jax.random.split(quick(key), 3)
        states, obs = jax.vmap(env.reset)(jax.random.split(key_env, num_envs))
        action = jnp.zeros((1, *getattr(space, "shape", ())))
        params = parts.init(key_params, obs[:1], action)

        def act(stand: Stand, drawn: tuple[Any, Array]) -> tuple[Stand, Rows]:
            chance, noise = drawn
            action = parts.act(stand.params, stand.obs, noise)
            states, timestep = jax.vmap(env.go_on)(chance, stand.env, action)
            rows = Rows(stand.obs, action, timestep.reward, timestep.discount, timestep.last_obs)
            return stand._replace(env=states, obs=timestep.obs), rows

        def descend(stand: Stand, rows: Rows, key: Key) -> Stand:
            grads = jax.grad(parts.loss)(stand.params, params, rows, key)
            change, state = optimizer.update(grads, stand.optimizer)
            return stand._replace(params=optax.apply_updates(stand.params, change), optimizer=state)

        def chances(key: Key, length: int) -> tuple[Any, Array]:
            shape = (length, num_envs)
            return acting.draw(env, key, shape), networks.sampling_noise(space, key, shape)

        def roll(stand: Stand, key: Key) -> tuple[Stand, None]:
            stand, rows = jax.lax.scan(act, stand, chances(key, num_steps))
            size = num_steps // config.num_minibatches

            def some(stand: Stand, i: Array) -> tuple[Stand, None]:
                part = lambda x: jax.lax.dynamic_slice_in_dim(x, i * size, size)
                return descend(stand, jax.tree.map(part, rows), key), None

            order = jnp.tile(jnp.arange(config.num_minibatches), config.num_epochs)
            return jax.lax.scan(some, stand, order)[0], None

        def replay(carry: tuple[Stand, Rows], chance: Any) -> tuple[tuple[Stand, Rows], None]:
            (stand, stored), (i, steps, drawn, key) = carry, chance
            stand, rows = jax.lax.scan(act, stand, steps)
            put = lambda x, new: jax.lax.dynamic_update_slice_in_dim(x, new, i, 0)
            stored = jax.tree.map(put, stored, rows)

            def some(stand: Stand, drawn: Array) -> tuple[Stand, None]:
                return descend(stand, jax.tree.map(lambda x: flat(x)[drawn], stored), key), None

            return (jax.lax.scan(some, stand, drawn)[0], stored), None

        stand = Stand(params, optimizer.init(params), states, obs)
        length = ours.steps(asked, config)
        if asked["agent"] == "ppo":
            return jax.lax.scan(roll, stand, jax.random.split(key, length))[0].params
        chance = chances(key, length * num_steps)
        rows = jax.eval_shape(act, stand, jax.tree.map(lambda x: x[0], chance))[1]
        size = config.capacity // num_envs
        stored = jax.tree.map(lambda x: jnp.zeros((size, *x.shape), x.dtype), rows)
        drawn = (length, config.num_updates, config.batch_size)
        xs = (
            jnp.arange(length) * num_steps % size,
            jax.tree.map(lambda x: x.reshape(length, num_steps, *x.shape[1:]), chance),
            jax.random.randint(key, drawn, 0, config.capacity),
            jax.random.split(key, length),
        )
        return jax.lax.scan(replay, (stand, stored), xs)[0][0].params

    turns.take(lambda: turns.compiled(run, None, asked["num_seeds"]))


if __name__ == "__main__":
    main(turns.asked())
