"""Soft actor-critic (Haarnoja et al., 2018, arXiv:1801.01290 and arXiv:1812.05905)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rlax_pref import networks, policies, values
from rlax_pref.types import Agent, Array, Box, Env, Key, Metrics, Numeric, PyTree, Transition

from . import learning, off_policy
from .configs.off_policy import SAC as Config
from .learning import Learner

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()

Penalty = Callable[[Callable[[Array], Any], Callable[[Array, Array], Array], Any, Key], Array]
"""`(law, critic, data [B], key) -> [B]`, to add to the loss of the critics' errors.

`law(obs)` is what the policy would do, and `critic(obs, action)` is `[N, ...]`."""


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; actions are continuous, `obs` is `[D]`.
      config: see `configs.SAC`.
      data: steps to begin with, or all there is to learn from; see `off_policy.make`.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: the environment's actions are not continuous, or settings do not fit together.
    """
    space = learning.continuous("SAC", env)
    return off_policy.make(env, config, method(space, config), data)


def method(
    space: Box,
    config: Config,
    penalty: Penalty | None = None,
    price: Callable[[Learner], Numeric] = lambda learner: 1.0,
) -> off_policy.Method:
    """Soft actor-critic, whose critics may be told more than their errors, at a price."""
    actor = learning.encoded(
        config,
        networks.squashed_policy(space.shape[0], config.hidden, **learning.kind(config)),
    )
    critic = learning.critics(space, config, config.num_critics)

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        key_actor, key_critic = jax.random.split(key)
        return {
            "actor": actor.init(key_actor, obs),
            "critic": critic.init(key_critic, (obs, action)),
            "log_temperature": jnp.log(jnp.float32(config.temperature)),
        }

    def update(
        learner: Learner, data: Transition, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        key_after, key_now, key_penalty = jax.random.split(key, 3)
        temperature = jnp.exp(learner.params["log_temperature"])
        a_t, log_prob_t = actor.apply(learner.params["actor"], data.obs_t).sample_and_log_prob(
            seed=key_after
        )
        q_t = critic.apply(learner.target["critic"], (data.obs_t, a_t))
        bonus = temperature if config.soft else 0.0
        target = data.r_t + data.discount_t * values.clipped_double_q(q_t, log_prob_t, bonus)

        def critic_loss(params: PyTree) -> tuple[Array, tuple[Array, Metrics]]:
            error = critic.apply(params, (data.obs_tm1, data.a_tm1)) - target
            loss, report = jnp.square(error).sum(0), {}
            if penalty is not None:
                law = lambda obs: actor.apply(learner.params["actor"], obs)
                judge = lambda obs, action: critic.apply(params, (obs, action))
                more = penalty(law, judge, data, key_penalty)
                loss = loss + price(learner) * more
                report["penalty"] = learning.average(more, data, weight)
            return learning.average(loss, data, weight), (error, report)

        def actor_loss(params: PyTree) -> tuple[Array, Array]:
            action, log_prob = actor.apply(params, data.obs_tm1).sample_and_log_prob(seed=key_now)
            q = critic.apply(learner.params["critic"], (data.obs_tm1, action)).min(0)
            loss = policies.sac(log_prob, q, temperature)
            return learning.average(loss, data, weight), log_prob

        def temperature_loss(log_temperature: Array) -> tuple[Array, None]:
            wanted = config.target_entropy * space.shape[0]
            loss = policies.sac_temperature(log_temperature, log_prob, wanted)
            return learning.average(loss, data, weight), None

        learner, (error, report) = learning.descend(config, learner, "critic", critic_loss)
        learner, log_prob = learning.descend(config, learner, "actor", actor_loss)
        learner, _ = learning.descend(config, learner, "log_temperature", temperature_loss)
        learner = learning.follow(learner, "critic", config.target_rate)
        return (
            learner,
            jnp.abs(error).mean(0),
            report
            | {
                "critic_loss": learning.average(jnp.square(error).sum(0), data, weight),
                "q": learning.average(target, data, 1.0),
                "entropy": -learning.average(log_prob, data, 1.0),
                "temperature": temperature,
            },
        )

    explore, policy = learning.act_by_law(config, space, actor)
    return off_policy.Method(init, update, explore, policy, targets=("critic",))
