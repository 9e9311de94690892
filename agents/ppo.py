"""Proximal policy optimisation (Schulman et al., 2017, arXiv:1707.06347)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import advantages, networks, policies, statistics, values
from rlax_pref.envs import AutoReset
from rlax_pref.types import Agent, Array, Env, Key, Metrics, Policy, TrainState

from . import acting
from .configs import PPO as Config

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()


class Learner(NamedTuple):
    """What is learned; equal on all devices."""

    params: Any
    optimizer: optax.OptState
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


def make(env: Env, config: Config = DEFAULT) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`.
      config: see `configs.PPO`.

    Returns:
      `Agent(init, step, policy)`. One `step` lets every environment act `num_steps` times, then
      learns from it for `num_epochs`.

    Raises:
      ValueError: `num_minibatches` does not divide `num_steps`.
    """
    if config.num_steps % config.num_minibatches:
        raise ValueError(
            f"num_steps={config.num_steps} must be a multiple of "
            f"num_minibatches={config.num_minibatches}"
        )
    action_space, env = env.action_space, AutoReset(env)
    network = networks.actor_critic(action_space, config.hidden, activation=config.activation)
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm), optax.scale_by_adam(eps=1e-5)
    )

    def init(key: Key) -> TrainState:
        key, key_env, key_params = jax.random.split(key, 3)
        actor = Actor(acting.init(env, key_env, config.num_envs), jnp.zeros(config.num_envs))
        obs = actor.acting.obs
        params = network.init(key_params, obs[:1])
        learner = Learner(
            params,
            optimizer.init(params),
            obs=statistics.init(obs[0]),
            reward=statistics.init(jnp.zeros(())),
        )
        return TrainState(learner, actor, key, jnp.zeros((), jnp.int32))

    def see(learner: Learner, obs: Array) -> Array:
        return statistics.normalize(learner.obs, obs) if config.normalize_obs else obs

    def collect(learner: Learner, actor: Actor, key: Key) -> tuple[Actor, Trajectory]:
        """Every environment acts for `num_steps`."""

        def act(actor: Actor, key: Key) -> tuple[Actor, Trajectory]:
            key_act, key_env = jax.random.split(key)
            obs = actor.acting.obs
            law, _ = network.apply(learner.params, see(learner, obs))
            action, log_prob = law.sample_and_log_prob(seed=key_act)
            acted, timestep, tally = acting.step(
                env, actor.acting, networks.to_env(action_space, action), key_env
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

        return jax.lax.scan(act, actor, jax.random.split(key, config.num_steps))

    def estimate(learner: Learner, trajectory: Trajectory) -> Batch:
        """How much better was each action, and what is each state worth?"""
        r_t, obs_tm1 = trajectory.r_t, see(learner, trajectory.obs_tm1)
        if config.normalize_reward:
            r_t = statistics.scale(learner.reward, r_t)
        _, v_tm1 = network.apply(learner.params, obs_tm1)
        _, v_t = network.apply(learner.params, see(learner, trajectory.obs_t))
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

    def loss(params: Any, batch: Batch) -> tuple[Array, Metrics]:
        law, v = network.apply(params, batch.obs_tm1)
        log_prob = law.log_prob(batch.a_tm1)
        advantage = (batch.advantage - batch.advantage.mean()) / (batch.advantage.std() + 1e-8)
        policy = policies.ppo_clip(log_prob, batch.log_prob_tm1, advantage, config.clip).mean()
        value = values.clipped_value_loss(v, batch.v_tm1, batch.target, config.value_clip).mean()
        entropy = law.entropy().mean()
        total = policy + config.value_weight * value - config.entropy_weight * entropy
        log_ratio = log_prob - batch.log_prob_tm1
        return total, {
            "loss": total,
            "policy_loss": policy,
            "value_loss": value,
            "entropy": entropy,
            "kl": (jnp.expm1(log_ratio) - log_ratio).mean(),
            "clip_fraction": (jnp.abs(jnp.expm1(log_ratio)) > config.clip).mean(),
        }

    def learn(learner: Learner, batch: Batch, rate: Array, key: Key) -> tuple[Learner, Metrics]:
        """Adam on minibatches, for `num_epochs` passes over the batch."""

        def descend(learner: Learner, rows: Array) -> tuple[Learner, Metrics]:
            minibatch = jax.tree.map(lambda x: x[rows], batch)
            grads, metrics = jax.grad(loss, has_aux=True)(learner.params, minibatch)
            direction, state = optimizer.update(grads, learner.optimizer)
            params = jax.tree.map(lambda p, d: p - rate * d, learner.params, direction)
            metrics |= {"grad_norm": optax.tree.norm(grads)}
            return learner._replace(params=params, optimizer=state), metrics

        def epoch(learner: Learner, key: Key) -> tuple[Learner, Metrics]:
            # Rows of time are shuffled, whole: each minibatch keeps all environments, so where
            # those are spread over devices nothing but gradients has to travel.
            order = jax.random.permutation(key, config.num_steps)
            return jax.lax.scan(descend, learner, order.reshape(config.num_minibatches, -1))

        learner, metrics = jax.lax.scan(epoch, learner, jax.random.split(key, config.num_epochs))
        return learner, jax.tree.map(jnp.mean, metrics)

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_collect, key_learn = jax.random.split(state.key, 3)
        learner = state.learner
        actor, trajectory = collect(learner, state.actor, key_collect)
        if config.normalize_reward:
            moments = statistics.update(learner.reward, trajectory.discounted_return_t)
            learner = learner._replace(reward=moments)
        batch = estimate(learner, trajectory)
        learned, metrics = learn(learner, batch, learning_rate(state.step), key_learn)
        if config.normalize_obs:  # after learning, so that data are seen as when they were made
            learned = learned._replace(obs=statistics.update(learner.obs, trajectory.obs_tm1))
        metrics = acting.summary(trajectory.tally) | metrics
        return TrainState(learned, actor, key, state.step + 1), metrics

    def learning_rate(step: Array) -> Array:
        left = jnp.maximum(1.0 - step / jnp.maximum(config.anneal_updates, 1.0), 0.0)
        return config.learning_rate * jnp.where(config.anneal_updates > 0, left, 1.0)

    def policy(learner: Learner) -> Policy:
        def act(memory: tuple[()], obs: Array, key: Key) -> tuple[tuple[()], Array]:
            law, _ = network.apply(learner.params, see(learner, obs))
            return memory, networks.to_env(action_space, law.mode())

        return Policy(lambda key: (), act)

    return Agent(init, step, policy)
