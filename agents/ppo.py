"""Proximal policy optimisation (Schulman et al., 2017, arXiv:1707.06347)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import advantages, networks, policies, recurrences, statistics, values
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
    discounted_return: Array  # [E], whose spread is the scale of rewards


class Trajectory(NamedTuple):
    """What happened: every leaf is `[T, E, ...]`."""

    obs_tm1: Array
    a_tm1: Array
    log_prob_tm1: Array
    r_t: Array
    terminated_t: Array
    truncated_t: Array
    obs_t: Array  # as reached, before any reset
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

    def see(learner: Learner, obs: Array) -> Array:
        return statistics.normalize(learner.obs, obs) if config.normalize_obs else obs

    def init(key: Key) -> TrainState:
        key, key_env, key_params = jax.random.split(key, 3)
        actor = acting.init(env, key_env, config.num_envs)
        params = network.init(key_params, actor.obs[:1])
        learner = Learner(
            params,
            optimizer.init(params),
            statistics.init(actor.obs[0]),
            statistics.init(jnp.zeros(())),
        )
        return TrainState(
            learner, Actor(actor, jnp.zeros(config.num_envs)), key, jnp.zeros((), jnp.int32)
        )

    def collect(learner: Learner, actor: acting.Acting, key: Key) -> tuple[Any, Trajectory]:
        """Every environment acts for `num_steps`."""

        def act(actor: acting.Acting, key: Key) -> tuple[acting.Acting, Trajectory]:
            key_act, key_env = jax.random.split(key)
            law, _ = network.apply(learner.params, see(learner, actor.obs))
            action, log_prob = law.sample_and_log_prob(seed=key_act)
            obs = actor.obs
            actor, timestep, tally = acting.step(
                env, actor, networks.to_env(action_space, action), key_env
            )
            return actor, Trajectory(
                obs_tm1=obs,
                a_tm1=action,
                log_prob_tm1=log_prob,
                r_t=timestep.reward,
                terminated_t=timestep.terminated,
                truncated_t=timestep.truncated,
                obs_t=timestep.last_obs,
                tally=tally,
            )

        return jax.lax.scan(act, actor, jax.random.split(key, config.num_steps))

    def scale_rewards(
        moments: statistics.Moments, discounted_return: Array, trajectory: Trajectory
    ) -> tuple[statistics.Moments, Array, Array]:
        """Divides rewards by the spread of the discounted return seen so far."""
        done = jnp.concatenate([jnp.zeros((1, config.num_envs), bool), trajectory.tally.done[:-1]])
        returns = recurrences.linear(
            config.discount * (1.0 - done),
            trajectory.r_t,
            discounted_return,
            reverse=False,
        )
        moments = statistics.update(moments, returns)
        carried = jnp.where(trajectory.tally.done[-1], 0.0, returns[-1])
        return moments, statistics.scale(moments, trajectory.r_t), carried

    def estimate(learner: Learner, trajectory: Trajectory, r_t: Array) -> Batch:
        """How much better was each action, and what is each state worth?"""
        _, v_tm1 = network.apply(learner.params, see(learner, trajectory.obs_tm1))
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
            see(learner, trajectory.obs_tm1),
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
        policy_loss = policies.ppo_clip(log_prob, batch.log_prob_tm1, advantage, config.clip).mean()
        value_loss = values.clipped_value_loss(
            v, batch.v_tm1, batch.target, config.value_clip
        ).mean()
        entropy = law.entropy().mean()
        total = policy_loss + config.value_weight * value_loss - config.entropy_weight * entropy
        log_ratio = log_prob - batch.log_prob_tm1
        return total, {
            "loss": total,
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "kl": (jnp.expm1(log_ratio) - log_ratio).mean(),
            "clip_fraction": (jnp.abs(jnp.expm1(log_ratio)) > config.clip).mean(),
        }

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_collect, key_learn = jax.random.split(state.key, 3)
        learner, actor = state.learner, state.actor
        acted, trajectory = collect(learner, actor.acting, key_collect)
        r_t, discounted_return, reward_moments = (
            trajectory.r_t,
            actor.discounted_return,
            learner.reward,
        )
        if config.normalize_reward:
            reward_moments, r_t, discounted_return = scale_rewards(
                reward_moments, discounted_return, trajectory
            )
        batch = estimate(learner, trajectory, r_t)
        annealed = jnp.where(
            config.anneal_updates > 0,
            jnp.maximum(1.0 - state.step / jnp.maximum(config.anneal_updates, 1.0), 0.0),
            1.0,
        )

        def descend(carry: tuple[Any, Any], minibatch: Batch) -> tuple[tuple[Any, Any], Metrics]:
            params, optimizer_state = carry
            grads, metrics = jax.grad(loss, has_aux=True)(params, minibatch)
            updates, optimizer_state = optimizer.update(grads, optimizer_state, params)
            rate = -config.learning_rate * annealed
            params = optax.apply_updates(params, jax.tree.map(lambda u: rate * u, updates))
            return (params, optimizer_state), metrics | {"grad_norm": optax.tree.norm(grads)}

        def epoch(carry: tuple[Any, Any], key: Key) -> tuple[tuple[Any, Any], Metrics]:
            # Rows of time are shuffled, whole: each minibatch keeps all environments, so where
            # those are spread over devices nothing but gradients has to travel.
            order = jax.random.permutation(key, config.num_steps)
            order = order.reshape(config.num_minibatches, -1)
            return jax.lax.scan(
                lambda carry, rows: descend(carry, jax.tree.map(lambda x: x[rows], batch)),
                carry,
                order,
            )

        (params, optimizer_state), metrics = jax.lax.scan(
            epoch,
            (learner.params, learner.optimizer),
            jax.random.split(key_learn, config.num_epochs),
        )
        # Data are learned from with the statistics they were collected under; the next ones see
        # the new.
        obs_moments = learner.obs
        if config.normalize_obs:
            obs_moments = statistics.update(obs_moments, trajectory.obs_tm1)
        learner = Learner(params, optimizer_state, obs_moments, reward_moments)
        actor = Actor(acted, discounted_return)
        metrics = acting.summary(trajectory.tally) | jax.tree.map(jnp.mean, metrics)
        return TrainState(learner, actor, key, state.step + 1), metrics

    def policy(learner: Learner) -> Policy:
        def act(memory: tuple[()], obs: Array, key: Key) -> tuple[tuple[()], Array]:
            law, _ = network.apply(learner.params, see(learner, obs))
            return memory, networks.to_env(action_space, law.mode())

        return Policy(lambda key: (), act)

    return Agent(init, step, policy)
