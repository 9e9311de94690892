"""Fitted Q evaluation with networks (Le et al., 2019, arXiv:1903.08738).

What would a policy earn, that is not the one whose steps are there? Critics learn from each step
what this policy's next action is worth, by slow copies of themselves. It never changes; the agent
that it is part of lets it act, where it can, to say how far the critics are off. What is linear in
features is `metrics.fitted_q_evaluation`.

    agent = fitted_q.make(env, policy, config, data)
    state, _ = runner.run(agent, agent.init(key), 1000)
    values = fitted_q.estimate(env, policy, config, state.learner, first_obs, key)
    metrics.interval(values, method="student")
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import buffers, networks
from rlax_pref.types import Agent, Array, Env, Key, Metrics, Policy, PyTree, Transition

from . import learning, off_policy
from .configs.offline import FittedQ as Config
from .learning import Learner

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()


class Batch(NamedTuple):
    """What is learned from; `[B, ...]`."""

    step: Transition
    a_t: Array  # what the policy does where the step led to

    @property
    def valid_t(self) -> Array:
        """Which steps may be learned from."""
        return self.step.valid_t


def make(
    env: Env, policy: Policy, config: Config = DEFAULT, data: Transition | None = None
) -> Agent:
    """Makes the agent.

    Args:
      env: where the policy acts; `obs` is `[D]`.
      policy: what is evaluated, in the environment's units; it must not need its memory.
      config: see `configs.FittedQ`.
      data: steps of any policy; see `off_policy.make`.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`. Its policy is the given one.

    Raises:
      ValueError: settings do not fit together, or steps are taken several at once.
    """
    if config.n_step != 1:
        raise ValueError(f"n_step={config.n_step}: what others did is followed for 1 step only")
    space = env.action_space
    critic = learning.critics(space, config, config.num_critics)

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        return {"critic": critic.init(key, (obs, action))}

    def read(learner: Learner, replay: buffers.Replay, row: Array, key: Key) -> Batch:
        obs_t = buffers.read(replay, row).obs_t
        keys = jax.random.split(key, row.shape)
        action = jax.vmap(jax.vmap(lambda obs, key: _act(policy, obs, key)))(obs_t, keys)
        window = learning.windows(config, learner, replay, row, 1)
        return Batch(jax.tree.map(lambda x: x[:, :, 0], window), networks.from_env(space, action))

    def update(
        learner: Learner, data: Batch, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        step = data.step
        q_t = critic.apply(learner.target["critic"], (step.obs_t, data.a_t))
        target = step.r_t + step.discount_t * q_t  # each by its own copy

        def loss(params: PyTree) -> tuple[Array, Array]:
            error = critic.apply(params, (step.obs_tm1, step.a_tm1)) - target
            return learning.average(jnp.square(error).sum(0), step, weight), error

        learner, error = learning.descend(config, learner, "critic", loss)
        learner = learning.follow(learner, "critic", config.target_rate)
        report = {
            "critic_loss": learning.average(jnp.square(error).mean(0), step, weight),
            "q": learning.average(target.mean(0), step, 1.0),
        }
        return learner, jnp.abs(error).mean(0), report

    method = off_policy.Method(
        init,
        update,
        lambda learner, step: policy,
        lambda learner: policy,
        targets=("critic",),
        read=read,
    )
    return off_policy.make(env, config, method, data)


def estimate(
    env: Env, policy: Policy, config: Config, learner: Learner, obs: Array, key: Key
) -> Array:
    """What the policy earns from these observations on, by the mean of all critics.

    Args:
      env: of the agent, as are policy, config and learner.
      policy: what is evaluated.
      config: of the agent.
      learner: what it learned.
      obs: `[N, D]`, where episodes begin.
      key: of the policy's actions, of which `config.num_samples` are drawn each.

    Returns:
      `[N]` in units of the returns that are learned from.
    """
    critic = learning.critics(env.action_space, config, config.num_critics)
    seen = learning.see(config, learner, obs)

    def one(key: Key) -> Array:
        keys = jax.random.split(key, len(obs))
        action = jax.vmap(lambda obs, key: _act(policy, obs, key))(obs, keys)
        action = networks.from_env(env.action_space, action)
        return critic.apply(learner.params["critic"], (seen, action)).mean(0)

    return jax.vmap(one)(jax.random.split(key, config.num_samples)).mean(0)


def _act(policy: Policy, obs: Array, key: Key) -> Array:
    key_memory, key_act = jax.random.split(key)
    return policy.act(policy.init(key_memory), obs, key_act)[1]
