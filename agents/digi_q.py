"""Digi-Q, the best of several proposals (Bai et al., 2025, arXiv:2502.15760).

Critics learn what behaviour is worth, of the state and of the action, on observations that are
features of an encoder that stays as it is. A clone of behaviour proposes actions, and the policy
imitates the one that the critics like best. `extraction` has other ways to make a policy of the
same critics.
"""

from typing import Any

import jax
import jax.numpy as jnp

from rlax_pref import buffers, networks, policies, transitions
from rlax_pref.names import lookup
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
from .configs.offline import DigiQ as Config
from .learning import Learner

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`.
      config: see `configs.DigiQ`.
      data: all there is to learn from; see `off_policy.make`.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: settings do not fit together or to the data; the message says which.
    """
    return off_policy.make(env, config, method(env.action_space, config), data)


def method(space: Discrete | Box, config: Config) -> off_policy.Method:
    """Critics of behaviour, and a policy that is better by their lights."""
    actor = learning.encoded(
        config,
        networks.policy(space, config.hidden, bounded=True, **learning.kind(config)),
    )
    value = networks.ensemble(
        learning.encoded(config, networks.value(config.hidden, **learning.kind(config))),
        config.num_critics,
    )
    critic = learning.critics(space, config, config.num_critics)
    extract = lookup(_EXTRACTIONS, config.extraction, "extraction")

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        key_actor, key_value, key_critic = jax.random.split(key, 3)
        return {
            "actor": actor.init(key_actor, obs),
            "value": value.init(key_value, obs),
            "critic": critic.init(key_critic, (obs, action)),
        }

    def imitate(
        learner: Learner, data: Transition, action: Array, worth: Array, weight: Array
    ) -> tuple[Learner, Array]:
        def loss(params: PyTree) -> tuple[Array, Array]:
            log_prob = actor.apply(params, data.obs_tm1).log_prob(action)
            loss = -jax.lax.stop_gradient(worth) * log_prob
            return learning.average(loss, data, weight), log_prob

        return learning.descend(config, learner, "actor", loss)

    def study(learner: Learner, replay: buffers.Replay, draw: Any, key: Key) -> Learner:
        """Clones behaviour: what proposes, and what the policy begins as."""

        def one(learner: Learner, key: Key) -> tuple[Learner, None]:
            window = learning.windows(config, learner, replay, draw(key), config.n_step)
            data = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), transitions.n_step(window))
            one = jnp.ones_like(data.r_t)
            return imitate(learner, data, data.a_tm1, one, one)[0], None

        learner, _ = jax.lax.scan(one, learner, jax.random.split(key, config.clone_updates))
        return learner._replace(params={**learner.params, "proposal": learner.params["actor"]})

    def update(
        learner: Learner, data: Transition, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        now = (data.obs_tm1, data.a_tm1)
        q_target = data.r_t + data.discount_t * value.apply(learner.target["value"], data.obs_t)
        v_target = critic.apply(learner.target["critic"], now)

        def critic_loss(params: PyTree) -> tuple[Array, Array]:
            error = critic.apply(params, now) - q_target
            return learning.average(jnp.square(error).sum(0), data, weight), error

        def value_loss(params: PyTree) -> tuple[Array, None]:
            error = value.apply(params, data.obs_tm1) - v_target
            return learning.average(jnp.square(error).sum(0), data, weight), None

        learner, error = learning.descend(config, learner, "critic", critic_loss)
        learner, _ = learning.descend(config, learner, "value", value_loss)
        for name in ("critic", "value"):
            learner = learning.follow(learner, name, config.target_rate)
        v = value.apply(learner.params["value"], data.obs_tm1).max(0)

        def advantage(action: Array) -> Array:
            obs = jnp.broadcast_to(
                data.obs_tm1, action.shape[: action.ndim - data.a_tm1.ndim] + data.obs_tm1.shape
            )
            return critic.apply(learner.params["critic"], (obs, action)).max(0) - v

        def propose(num: int) -> Array:
            law = actor.apply(learner.params["proposal"], data.obs_tm1)
            action = jax.vmap(lambda key: law.sample(seed=key))(jax.random.split(key, num))
            return jnp.clip(action, -1.0, 1.0) if isinstance(space, Box) else action

        action, worth = extract(config, data.a_tm1, advantage, propose)
        learner, log_prob = imitate(learner, data, action, worth, weight)
        return (
            learner,
            jnp.abs(error).mean(0),
            {
                "critic_loss": learning.average(jnp.square(error).sum(0), data, weight),
                "q": learning.average(q_target.max(0), data, 1.0),
                "worth": learning.average(worth, data, 1.0),
                "log_prob": learning.average(log_prob, data, 1.0),
            },
        )

    explore, policy = learning.act_by_law(config, space, actor)
    return off_policy.Method(
        init,
        update,
        explore,
        policy,
        targets=("critic", "value"),
        study=study,
    )


# What to imitate, `(config, action, advantage, propose) -> (action [B, ...], worth [B])` -------


def _best_of_n(config: Config, action: Array, advantage: Any, propose: Any) -> tuple[Array, Array]:
    """The best proposal, if it is better than behaviour."""
    proposals = jnp.concatenate([action[None], propose(config.num_proposals - 1)])
    chosen = policies.best_of_n(advantage(proposals).T, config.threshold)
    return proposals[chosen.best, jnp.arange(action.shape[0])], chosen.weight


def _advantage_weighted(
    config: Config, action: Array, advantage: Any, propose: Any
) -> tuple[Array, Array]:
    """What was done, the more the better it was."""
    scaled = config.inverse_temperature * advantage(action)
    return action, policies.exponential_weight(scaled, 1.0, cap=config.max_weight)


def _policy_gradient(
    config: Config, action: Array, advantage: Any, propose: Any
) -> tuple[Array, Array]:
    """What was done, if it was better than behaviour, and away from it if it was worse."""
    return action, advantage(action)


def _clone(config: Config, action: Array, advantage: Any, propose: Any) -> tuple[Array, Array]:
    """What was done."""
    return action, jnp.ones(action.shape[0])


_EXTRACTIONS: dict[str, Any] = {
    "best_of_n": _best_of_n,
    "advantage_weighted": _advantage_weighted,
    "policy_gradient": _policy_gradient,
    "clone": _clone,
}
