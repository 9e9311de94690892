"""Twin delayed deep deterministic policy gradients (Fujimoto et al., 2018, arXiv:1802.09477).

`configs.TD3BC` is the same offline, where the policy is also told to imitate.
"""

import jax
import jax.numpy as jnp
import optax

from rlax_pref import networks, policies, values
from rlax_pref.types import Agent, Array, Env, Key, Metrics, Policy, PyTree, Transition

from . import learning, off_policy
from .configs.off_policy import TD3 as Config
from .configs.off_policy import TD3BC
from .learning import Learner

for _config in (Config, TD3BC):
    jax.tree_util.register_dataclass(_config)
DEFAULT = Config()


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; actions are continuous, `obs` is `[D]`.
      config: see `configs.TD3` and `configs.TD3BC`.
      data: steps to begin with, or all there is to learn from; see `off_policy.make`.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: the environment's actions are not continuous, or settings do not fit together.
    """
    space = learning.continuous("TD3", env)
    tower = learning.encoded(
        config,
        networks.mlp(config.hidden, space.shape[0], last_scale=0.01, **learning.kind(config)),
    )
    critic = learning.critics(space, config, config.num_critics)

    def actor(params: PyTree, obs: Array) -> Array:
        return jnp.tanh(tower.apply(params, obs))

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        key_actor, key_critic = jax.random.split(key)
        return {
            "actor": tower.init(key_actor, obs),
            "critic": critic.init(key_critic, (obs, action)),
        }

    def update(
        learner: Learner, data: Transition, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        noise = config.smoothing * jax.random.normal(key, data.a_tm1.shape)
        noise = jnp.clip(noise, -config.smoothing_clip, config.smoothing_clip)
        a_t = jnp.clip(actor(learner.target["actor"], data.obs_t) + noise, -1.0, 1.0)
        q_t = critic.apply(learner.target["critic"], (data.obs_t, a_t))
        target = data.r_t + data.discount_t * values.clipped_double_q(q_t)

        def critic_loss(params: PyTree) -> tuple[Array, Array]:
            error = critic.apply(params, (data.obs_tm1, data.a_tm1)) - target
            return learning.average(jnp.square(error).sum(0), data, weight), error

        def actor_loss(params: PyTree) -> tuple[Array, None]:
            action = actor(params, data.obs_tm1)
            q = critic.apply(learner.params["critic"], (data.obs_tm1, action))[0]
            loss = policies.td3_bc(q, action, data.a_tm1, config.alpha) if config.imitate else -q
            return learning.average(loss, data, weight), None

        learner, error = learning.descend(config, learner, "critic", critic_loss)
        improved, _ = learning.descend(config, learner, "actor", actor_loss)
        for name in ("actor", "critic"):
            improved = learning.follow(improved, name, config.target_rate)
        now = (count + 1) % config.policy_period == 0
        learner = optax.tree.where(now, improved, learner)
        squared = learning.average(jnp.square(error).sum(0), data, weight)
        report = {"critic_loss": squared, "q": learning.average(target, data, 1.0)}
        return learner, jnp.abs(error).mean(0), report

    def explore(learner: Learner, step: Array) -> Policy:
        def choose(obs: Array, key: Key) -> Array:
            action = actor(learner.params["actor"], obs)
            return action + config.exploration * jax.random.normal(key, action.shape)

        return learning.act_by(config, space, learner, choose)

    def policy(learner: Learner) -> Policy:
        choose = lambda obs, key: actor(learner.params["actor"], obs)
        return learning.act_by(config, space, learner, choose)

    method = off_policy.Method(init, update, explore, policy, targets=("actor", "critic"))
    return off_policy.make(env, config, method, data)
