"""What all agents that learn from their own latest behaviour share: all but how they learn.

Each of them lets many environments act for a while, asks how much better every action was, and
learns from that once. `make` builds the agent; a method brings a network and a `Learning`, which
turns one batch into new parameters. Where that is Adam on minibatches, `descent` is all of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from rlax_pref import advantages, networks, statistics
from rlax_pref.envs import AutoReset
from rlax_pref.envs.auto_reset import Chance
from rlax_pref.types import Agent, Array, Env, Key, Metrics, Policy, PyTree, TrainState

from . import acting
from .configs import OnPolicy as Config


class Learner(NamedTuple):
    """What is learned; equal on all devices."""

    params: PyTree
    optimizer: Any  # what a `Learning` keeps beside them
    obs: statistics.Moments  # of observations
    reward: statistics.Moments  # of the discounted return


class Actor(NamedTuple):
    """Where the environments stand; every leaf leads with `[E]`."""

    acting: acting.Acting
    discounted_return: Array  # [E] of the running episodes; its spread is the scale of rewards


class Trajectory(NamedTuple):
    """What happened: every leaf is `[T, E, ...]`."""

    obs_tm1: Array
    a_tm1: Array
    log_prob_tm1: Array
    r_t: Array
    terminated_t: Array
    truncated_t: Array
    obs_t: Array  # as reached, before any reset
    discounted_return_t: Array
    tally: acting.Tally


class Batch(NamedTuple):
    """What is learned from: every leaf is `[T, E, ...]`."""

    obs_tm1: Array
    a_tm1: Array
    log_prob_tm1: Array
    v_tm1: Array
    advantage: Array
    target: Array


class Learning(NamedTuple):
    """A way to learn from a batch: all that sets one on-policy agent apart from another.

    `init(params) -> state` and `update(params, state, batch, step, key) -> (params, state,
    metrics)`, where `step` counts the batches before this one.
    """

    init: Callable[[PyTree], Any]
    update: Callable[[PyTree, Any, Batch, Array, Key], tuple[PyTree, Any, Metrics]]


def network(env: Env, config: Config) -> networks.Network:
    """A policy and a critic for the environment: `apply(params, obs)` is `(distribution, v)`."""
    return networks.actor_critic(
        env.action_space, config.hidden, activation=config.activation, dtype=config.dtype
    )


def descent(
    config: Config, loss: Callable[[PyTree, PyTree, Batch], tuple[Array, Metrics]]
) -> Learning:
    """Adam on minibatches, for `num_epochs` passes over the batch.

    Args:
      config: says how many passes and minibatches, and how fast.
      loss: `(params, params before the update, minibatch) -> (loss, metrics)`.

    Raises:
      ValueError: `num_minibatches` does not divide `num_steps`.
    """
    if config.num_steps % config.num_minibatches:
        raise ValueError(
            f"num_steps={config.num_steps} must be a multiple of "
            f"num_minibatches={config.num_minibatches}"
        )
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.scale_by_adam(eps=1e-5)
    )

    def update(
        before: PyTree, state: Any, batch: Batch, step: Array, key: Key
    ) -> tuple[PyTree, Any, Metrics]:
        left = jnp.maximum(1.0 - step / jnp.maximum(config.anneal_updates, 1.0), 0.0)
        rate = config.learning_rate * jnp.where(config.anneal_updates > 0, left, 1.0)

        def descend(carry: tuple[PyTree, Any], rows: Array) -> tuple[tuple[PyTree, Any], Metrics]:
            params, state = carry
            minibatch = jax.tree.map(lambda x: x[rows], batch)
            grads, metrics = jax.grad(loss, has_aux=True)(params, before, minibatch)
            # One vector is a few kernels; a tree of them is dozens.
            grad, as_tree = ravel_pytree(grads)
            direction, state = optimizer.update(grad, state)
            params = jax.tree.map(lambda p, d: p - rate * d, params, as_tree(direction))
            return (params, state), metrics | {"grad_norm": jnp.linalg.norm(grad)}

        def epoch(carry: tuple[PyTree, Any], key: Key) -> tuple[tuple[PyTree, Any], Metrics]:
            # Rows of time are shuffled, whole: each minibatch keeps all environments, so where
            # those are spread over devices nothing but gradients has to travel.
            order = jax.random.permutation(key, config.num_steps)
            return jax.lax.scan(descend, carry, order.reshape(config.num_minibatches, -1))

        keys = jax.random.split(key, config.num_epochs)
        (params, state), metrics = jax.lax.scan(epoch, (before, state), keys)
        return params, state, jax.tree.map(jnp.mean, metrics)

    return Learning(lambda params: optimizer.init(ravel_pytree(params)[0]), update)


def standardize(x: Array) -> Array:
    """Shifts and scales to mean 0 and standard deviation 1, over all axes."""
    return (x - x.mean()) / (x.std() + 1e-8)


def values_reached(value: Callable[[Array], Array], v_tm1: Array, trajectory: Trajectory) -> Array:
    """Values of `obs_t`: those of the next row, which need not be computed again, but at a cut.

    After the last row, and where a time limit ended an episode, nothing follows: each round asks
    for the next such value of every environment, so that there are as many rounds as one of them
    has cuts. Where an episode terminated the number is some other state's, and counts for nothing.

    Args:
      value: `[E, ...] -> [E]`.
      v_tm1: `[T, E]` values of `obs_tm1`.
      trajectory: `[T, E]`.

    Returns:
      `[T, E]`; it has no gradient.
    """
    row = jnp.arange(len(v_tm1))[:, None]
    pick = jax.vmap(lambda column, t: column[t], in_axes=(1, 0))

    def ask(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        asked, v_t = carry
        t = jnp.argmax(asked, axis=0)
        now = asked & (row == t)
        return asked & ~now, jnp.where(now, value(pick(trajectory.obs_t, t)), v_t)

    cuts = trajectory.truncated_t | (row == len(v_tm1) - 1)
    start = jax.lax.stop_gradient((cuts, jnp.roll(v_tm1, -1, axis=0)))
    return jax.lax.while_loop(lambda carry: carry[0].any(), ask, start)[1]


def make(env: Env, config: Config, network: networks.Network, learning: Learning) -> Agent:
    """Makes the agent that collects, estimates advantages, and learns in the given way.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`.
      config: what these agents have in common.
      network: `apply(params, obs)` is `(distribution, v)`.
      learning: from a batch to new parameters.

    Returns:
      `Agent(init, step, policy)`. One `step` lets every environment act `num_steps` times, then
      learns from it.
    """
    action_space, env = env.action_space, AutoReset(env)

    def init(key: Key) -> TrainState:
        key, key_env, key_params = jax.random.split(key, 3)
        actor = Actor(acting.init(env, key_env, config.num_envs), jnp.zeros(config.num_envs))
        obs = actor.acting.obs
        params = network.init(key_params, obs[:1])
        learner = Learner(
            params,
            learning.init(params),
            obs=statistics.init(obs[0]),
            reward=statistics.init(jnp.zeros(())),
        )
        return TrainState(learner, actor, key, jnp.zeros((), jnp.int32))

    def see(learner: Learner, obs: Array) -> Array:
        return statistics.normalize(learner.obs, obs) if config.normalize_obs else obs

    def collect(
        learner: Learner, actor: Actor, key_act: Key, key_env: Key
    ) -> tuple[Actor, Trajectory]:
        """Every environment acts for `num_steps`."""

        def act(actor: Actor, drawn: tuple[Array, Chance]) -> tuple[Actor, Trajectory]:
            noise, chance = drawn
            obs = actor.acting.obs
            law, _ = network.apply(learner.params, see(learner, obs))
            action, log_prob = networks.sample_with(law, noise)
            acted, timestep, tally = acting.step(
                env, actor.acting, networks.to_env(action_space, action), chance
            )
            discounted_return = config.discount * actor.discounted_return + timestep.reward
            trajectory = Trajectory(
                obs_tm1=obs,
                a_tm1=action,
                log_prob_tm1=log_prob,
                r_t=timestep.reward,
                terminated_t=timestep.terminated,
                truncated_t=timestep.truncated,
                obs_t=timestep.last_obs,
                discounted_return_t=discounted_return,
                tally=tally,
            )
            return Actor(acted, jnp.where(tally.done, 0.0, discounted_return)), trajectory

        shape = (config.num_steps, config.num_envs)
        noise = networks.sampling_noise(action_space, key_act, shape)
        return jax.lax.scan(act, actor, (noise, acting.draw(env, key_env, shape)))

    def estimate(learner: Learner, trajectory: Trajectory) -> Batch:
        """How much better was each action, and what is each state worth?"""
        r_t, obs_tm1 = trajectory.r_t, see(learner, trajectory.obs_tm1)
        if config.normalize_reward:
            r_t = statistics.scale(learner.reward, r_t)
        _, v_tm1 = network.apply(learner.params, obs_tm1)
        v_t = values_reached(
            lambda obs: network.apply(learner.params, see(learner, obs))[1], v_tm1, trajectory
        )
        advantage = advantages.gae(
            r_t,
            config.discount * (1.0 - trajectory.terminated_t),
            v_tm1,
            v_t,
            config.lambda_,
            truncated_t=trajectory.truncated_t,
        )
        return Batch(
            obs_tm1,
            trajectory.a_tm1,
            trajectory.log_prob_tm1,
            v_tm1,
            advantage,
            target=advantage + v_tm1,
        )

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_act, key_env, key_learn = jax.random.split(state.key, 4)
        learner = state.learner
        actor, trajectory = collect(learner, state.actor, key_act, key_env)
        if config.normalize_reward:
            moments = statistics.update(learner.reward, trajectory.discounted_return_t)
            learner = learner._replace(reward=moments)
        params, optimizer, metrics = learning.update(
            learner.params,
            learner.optimizer,
            estimate(learner, trajectory),
            state.step,
            key_learn,
        )
        learner = learner._replace(params=params, optimizer=optimizer)
        if config.normalize_obs:  # after learning, so that data are seen as when they were made
            learner = learner._replace(obs=statistics.update(learner.obs, trajectory.obs_tm1))
        metrics = acting.summary(trajectory.tally) | metrics
        return TrainState(learner, actor, key, state.step + 1), metrics

    def policy(learner: Learner) -> Policy:
        def act(memory: tuple[()], obs: Array, key: Key) -> tuple[tuple[()], Array]:
            law, _ = network.apply(learner.params, see(learner, obs))
            return memory, networks.to_env(action_space, law.mode())

        return Policy(lambda key: (), act)

    return Agent(init, step, policy)
