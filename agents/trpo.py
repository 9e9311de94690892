"""Trust region policy optimisation (Schulman et al., 2015, arXiv:1502.05477)."""

from typing import Any

import jax
import jax.numpy as jnp

from rlax_pref import networks, policies
from rlax_pref.types import Agent, Array, Env, Key, Metrics, PyTree

from . import on_policy
from .configs import TRPO as Config

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()


def make(env: Env, config: Config = DEFAULT) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`.
      config: see `configs.TRPO`.

    Returns:
      `Agent(init, step, policy)`. One `step` lets every environment act `num_steps` times, then
      takes one step of the policy, on the whole batch, and fits the critic for `num_epochs`.

    Raises:
      ValueError: `num_minibatches` does not divide `num_steps`.
    """
    network = on_policy.network(env, config)
    critic = networks.value(config.hidden, activation=config.activation, dtype=config.dtype)

    def value_loss(params: PyTree, _: PyTree, batch: on_policy.Batch) -> tuple[Array, Metrics]:
        loss = 0.5 * jnp.square(critic.apply(params, batch.obs_tm1) - batch.target).mean()
        return loss, {"value_loss": loss}

    fit = on_policy.descent(config, value_loss)

    def update(
        params: PyTree, state: Any, batch: on_policy.Batch, step: Array, key: Key
    ) -> tuple[PyTree, Any, Metrics]:
        advantage = on_policy.standardize(batch.advantage)
        law_of = lambda actor: network.apply(params | {"actor": actor}, batch.obs_tm1)[0]
        old = law_of(params["actor"])

        def objective(actor: PyTree) -> Array:
            log_prob = law_of(actor).log_prob(batch.a_tm1)
            return jnp.mean(advantage * jnp.exp(log_prob - batch.log_prob_tm1))

        reached = policies.trpo(
            objective,
            lambda actor: old.kl_divergence(law_of(actor)).mean(),
            params["actor"],
            config.max_kl,
            num_iterations=config.num_iterations,
            damping=config.damping,
            max_kl_ratio=config.max_kl_ratio,
        )
        values, state, metrics = fit.update(params["critic"], state, batch, step, key)
        metrics |= {
            "policy_loss": -reached.improvement,
            "entropy": old.entropy().mean(),
            "kl": reached.kl,
            "step_fraction": reached.fraction,
        }
        return {"actor": reached.params, "critic": values}, state, metrics

    learning = on_policy.Learning(lambda params: fit.init(params["critic"]), update)
    return on_policy.make(env, config, network, learning)
