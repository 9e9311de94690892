"""Weighted imitation: agents that only ever ask about actions in the data.

  IQL    implicit Q-learning (Kostrikov et al., 2021, arXiv:2110.06169)
  XQL    extreme Q-learning (Garg et al., 2023, arXiv:2301.02328)
  AWAC   advantage-weighted actor-critic (Nair et al., 2020, arXiv:2006.09359)
  ODICE  values by an orthogonal gradient (Mao et al., 2024, arXiv:2402.00348)
  BC     behavioural cloning, of all trajectories or of the best

All imitate the data, step by step as much as a judge says. What sets them apart is the judge.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import networks, policies, transitions, values
from rlax_pref.types import (
    Agent,
    Array,
    Box,
    Discrete,
    Env,
    Key,
    Metrics,
    PyTree,
    Transition,
)

from . import learning, off_policy
from .configs.imitation import AWAC, IMITATION, IQL, ODICE, XQL, BehaviourCloning, Judged
from .configs.imitation import Imitation as Config
from .learning import Learner

for _config in IMITATION.values():
    jax.tree_util.register_dataclass(_config)
DEFAULT = IQL()


class Judge(NamedTuple):
    """Says how much the steps of the data are worth imitating.

    `init(key, obs [1, D], action [1, ...]) -> params` makes its parameters, by name.

    `update(learner, data [B], weight [B], key) -> (learner, worth [B], error [B], metrics)` learns
    from a minibatch and judges it.

    `targets` are names of parameters that have slow copies.
    """

    init: Callable[[Key, Array, Array], dict[str, PyTree]]
    update: Callable[[Learner, Transition, Array, Key], tuple[Learner, Array, Array, Metrics]]
    targets: tuple[str, ...] = ()


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`.
      config: what the agent is: `configs.IQL`, `XQL`, `AWAC`, `ODICE` or `BehaviourCloning`.
      data: all there is to learn from; see `off_policy.make`.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: settings do not fit together or to the data; the message says which.
    """
    if isinstance(config, BehaviourCloning) and data is not None:
        data = transitions.best_trajectories(data, config.share)
    return off_policy.make(env, config, method(env.action_space, config), data)


def method(space: Discrete | Box, config: Config) -> off_policy.Method:
    """Imitation as the config's judge sees fit."""
    actor = learning.encoded(
        config,
        networks.policy(space, config.hidden, bounded=True, **learning.kind(config)),
    )
    if type(config) not in _JUDGES:
        names = ", ".join(cls.__name__ for cls in _JUDGES)
        raise ValueError(f"{type(config).__name__} is not one of {names}")
    judge = _JUDGES[type(config)](space, config, actor)

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        key_actor, key_judge = jax.random.split(key)
        return {"actor": actor.init(key_actor, obs), **judge.init(key_judge, obs, action)}

    def update(
        learner: Learner, data: Transition, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        learner, worth, error, metrics = judge.update(learner, data, weight, key)

        def actor_loss(params: PyTree) -> tuple[Array, Array]:
            log_prob = actor.apply(params, data.obs_tm1).log_prob(data.a_tm1)
            loss = policies.weighted_nll(log_prob, worth)
            return learning.average(loss, data, weight), log_prob

        left = 1.0 - jnp.minimum(count / config.decay_updates, 1.0)
        rate = config.learning_rate * 0.5 * (1.0 - jnp.cos(jnp.pi * left))
        learner, log_prob = learning.descend(config, learner, "actor", actor_loss, rate)
        metrics = metrics | {
            "log_prob": learning.average(log_prob, data, 1.0),
            "worth": learning.average(worth, data, 1.0),
        }
        return learner, error, metrics

    explore, policy = learning.act_by_law(config, space, actor)
    return off_policy.Method(init, update, explore, policy, targets=judge.targets)


# Judges -------------------------------------------------------------------------------------


def _nobody(space: Discrete | Box, config: BehaviourCloning, actor: networks.Network) -> Judge:
    """All is worth the same."""

    def update(
        learner: Learner, data: Transition, weight: Array, key: Key
    ) -> tuple[Learner, Array, Array, Metrics]:
        one = jnp.ones_like(data.r_t)
        return learner, one, one, {}

    return Judge(lambda key, obs, action: {}, update)


def _implicit(space: Discrete | Box, config: IQL | XQL, actor: networks.Network) -> Judge:
    """How much better than the state, which is worth the better actions of the data."""
    critic = learning.critics(space, config, config.num_critics)
    value = _state_value(config)

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        key_value, key_critic = jax.random.split(key)
        return {
            "value": value.init(key_value, obs),
            "critic": critic.init(key_critic, (obs, action)),
        }

    def update(
        learner: Learner, data: Transition, weight: Array, key: Key
    ) -> tuple[Learner, Array, Array, Metrics]:
        q = critic.apply(learner.target["critic"], (data.obs_tm1, data.a_tm1)).min(0)

        def value_loss(params: PyTree) -> tuple[Array, Array]:
            v = value.apply(params, data.obs_tm1)
            if isinstance(config, XQL):
                loss = values.linex(v, q, config.temperature, rescale=True)
            else:
                loss = values.expectile(v, q, config.tau)
            return learning.average(loss, data, weight), loss

        learner, loss = learning.descend(config, learner, "value", value_loss)
        v_tm1 = value.apply(learner.params["value"], data.obs_tm1)
        v_t = value.apply(learner.params["value"], data.obs_t)
        limit = config.max_error if isinstance(config, XQL) else float("inf")
        target = data.r_t + data.discount_t * v_t
        learner, error = _regress(config, learner, critic, data, weight, target, limit)
        return (
            learning.follow(learner, "critic", config.target_rate),
            _exponential(config, q - v_tm1),
            error,
            {
                "value_loss": learning.average(loss, data, weight),
                "v": learning.average(v_tm1, data, 1.0),
                "q": learning.average(q, data, 1.0),
            },
        )

    return Judge(init, update, ("critic",))


def _sampled(space: Discrete | Box, config: AWAC, actor: networks.Network) -> Judge:
    """How much better than what the policy would do."""
    critic = learning.critics(space, config, config.num_critics)

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        return {"critic": critic.init(key, (obs, action))}

    def update(
        learner: Learner, data: Transition, weight: Array, key: Key
    ) -> tuple[Learner, Array, Array, Metrics]:
        key_t, key_tm1 = jax.random.split(key)

        def value(critics: PyTree, obs: Array, key: Key) -> Array:
            action = actor.apply(learner.params["actor"], obs).sample(seed=key)
            if isinstance(space, Box):
                action = jnp.clip(action, -1.0, 1.0)
            return critic.apply(critics, (obs, action)).min(0)

        target = data.r_t + data.discount_t * value(learner.target["critic"], data.obs_t, key_t)
        learner, error = _regress(config, learner, critic, data, weight, target)
        q = critic.apply(learner.params["critic"], (data.obs_tm1, data.a_tm1)).min(0)
        v = value(learner.params["critic"], data.obs_tm1, key_tm1)
        return (
            learning.follow(learner, "critic", config.target_rate),
            _exponential(config, q - v),
            error,
            {"v": learning.average(v, data, 1.0), "q": learning.average(q, data, 1.0)},
        )

    return Judge(init, update, ("critic",))


def _dual(space: Discrete | Box, config: ODICE, actor: networks.Network) -> Judge:
    """How much better than expected, by values alone."""
    value = networks.ensemble(_state_value(config), config.num_critics)

    def update(
        learner: Learner, data: Transition, weight: Array, key: Key
    ) -> tuple[Learner, Array, Array, Metrics]:
        slow_tm1 = value.apply(learner.target["value"], data.obs_tm1).min(0)
        slow_t = value.apply(learner.target["value"], data.obs_t).min(0)
        counts = weight * data.valid_t
        counts = counts * counts.size / jnp.maximum(data.valid_t.sum(), 1.0)

        def losses(params: PyTree) -> values.OdiceLosses:
            v_tm1, v_t = value.apply(params, data.obs_tm1), value.apply(params, data.obs_t)
            known = (data.r_t, data.discount_t, slow_tm1, slow_t)
            r_t, discount_t, tm1, t = (jnp.broadcast_to(x, v_tm1.shape) for x in known)
            found = values.odice(r_t, discount_t, v_tm1, v_t, tm1, t, config.lambda_, config.eta)
            return values.OdiceLosses(*(counts * loss for loss in found))

        params = learner.params["value"]
        if config.project:
            grads, _ = values.odice_gradient(losses, params)
        else:
            grads = jax.grad(lambda params: sum(map(jnp.mean, losses(params))))(params)
        learner = learning.step_along(config, learner, "value", grads)
        v = value.apply(learner.params["value"], data.obs_tm1).min(0)
        residual = data.r_t + data.discount_t * slow_t - v
        return (
            learning.follow(learner, "value", config.target_rate),
            jnp.clip(residual, 0.0, config.max_weight),
            jnp.abs(residual),
            {
                "v": learning.average(v, data, 1.0),
                "residual": learning.average(residual, data, 1.0),
            },
        )

    return Judge(lambda key, obs, action: {"value": value.init(key, obs)}, update, ("value",))


_JUDGES: dict[type, Callable[..., Judge]] = {
    BehaviourCloning: _nobody,
    IQL: _implicit,
    XQL: _implicit,
    AWAC: _sampled,
    ODICE: _dual,
}


def _state_value(config: Judged) -> networks.Network:
    return learning.encoded(
        config,
        networks.value(config.hidden, layer_norm=config.layer_norm, **learning.kind(config)),
    )


def _exponential(config: IQL | XQL | AWAC, advantage: Array) -> Array:
    """Advantages as weights."""
    return policies.exponential_weight(
        config.inverse_temperature * advantage, 1.0, cap=config.max_weight
    )


def _regress(
    config: Config,
    learner: Learner,
    critic: networks.Network,
    data: Transition,
    weight: Array,
    target: Array,
    limit: float | Array = float("inf"),
) -> tuple[Learner, Array]:
    """One step of all critics to `[B]` targets, and how wrong they were."""

    def loss(params: PyTree) -> tuple[Array, Array]:
        error = jnp.abs(critic.apply(params, (data.obs_tm1, data.a_tm1)) - target)
        near = jnp.minimum(error, limit)
        return learning.average((near * (2.0 * error - near)).sum(0), data, weight), error

    learner, error = learning.descend(config, learner, "critic", loss)
    return learner, error.mean(0)
