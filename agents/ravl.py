"""Reach-aware value learning, RAVL (Sims et al., 2024, arXiv:2402.12527).

A model rolls out from states of the data, a few steps and no more. States that only the last step
of a rollout reaches are asked for their value, and nothing is ever learned about it: the edge of
reach. SAC's critics overestimate there, without end, and all the more visibly the better the
model. Here they are many, kept apart, and the least is believed.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rlax_pref import buffers, models, networks, values
from rlax_pref.types import Agent, Array, Env, Key, Model, Transition

from . import learning, off_policy, sac
from .configs.offline import RAVL as Config
from .learning import Learner

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()


def make(
    env: Env,
    config: Config = DEFAULT,
    data: Transition | None = None,
    model: Model | None = None,
    terminates: Callable[[Array, Array, Array], Array] | None = None,
) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; actions are continuous, `obs` is `[D]`.
      config: see `configs.RAVL`.
      data: all there is to learn from; see `off_policy.make`.
      model: `(obs [D], action [A], key) -> (obs [D], reward [], terminated [])`, in the
        environment's units; by default an ensemble, learned from the data before all else.
      terminates: `(obs [D], action [A], obs [D] after it) -> [] bool`, what a learned model does
        not know; by default nothing ends.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: the environment's actions are not continuous, or settings do not fit together.
    """
    space = learning.continuous("RAVL", env)
    if config.num_rollouts % config.num_envs:
        raise ValueError(
            f"num_rollouts={config.num_rollouts} must be a multiple of num_envs={config.num_envs}"
        )
    each = config.num_rollouts // config.num_envs
    method = sac.method(space, config, diverse(config))

    def study(
        learner: Learner, replay: buffers.Replay, draw: Callable[[Key], Array], key: Key
    ) -> Learner:
        """Learns the model."""
        rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), replay.data)
        learned = models.fit_ensemble(
            key,
            rows._replace(a_tm1=networks.to_env(space, rows.a_tm1)),
            hidden=config.model_hidden,
            num_models=config.num_models,
            num_elites=config.num_elites,
            num_updates=config.model_updates,
            batch_size=config.batch_size,
            learning_rate=config.model_rate,
            dtype=config.dtype,
        )
        return learner._replace(params={**learner.params, "model": learned})

    def imagine(
        learner: Learner, replay: buffers.Replay, draw: Callable[[Key], Array], key: Key
    ) -> Transition:
        """`[E, n k, ...]` rollouts from states of the data."""
        key_row, key_roll = jax.random.split(key)
        num_envs = replay.size.shape[0]
        start = buffers.read(replay, buffers.draw(replay, key_row, each))
        act = method.explore(learner, jnp.zeros((), jnp.int32)).act
        choose = lambda obs, key: act((), obs, key)[1]
        known = model
        if known is None:
            known = models.from_ensemble(
                learner.params["model"], config.model_hidden, terminates, dtype=config.dtype
            )
        roll = lambda obs, key: models.rollout(known, choose, obs, key, config.horizon)
        keys = jax.random.split(key_roll, (num_envs, each))
        steps = jax.vmap(jax.vmap(roll))(start.obs_tm1, keys)
        steps = steps._replace(
            a_tm1=networks.from_env(space, steps.a_tm1),
            valid_t=steps.valid_t & start.valid_t[..., None],
        )
        return jax.tree.map(lambda x: x.reshape(num_envs, -1, *x.shape[3:]), steps)

    imagination = off_policy.Imagination(imagine, config.keep, config.real_share)
    method = method._replace(study=study if model is None else None, imagine=imagination)
    return off_policy.make(env, config, method, data)


def diverse(config: Config) -> sac.Penalty:
    """Keeps critics from agreeing how values change with the action."""

    def penalty(
        law: Callable[[Array], Any],
        critic: Callable[[Array, Array], Array],
        data: Transition,
        key: Key,
    ) -> Array:
        slope = jax.jacrev(lambda action: critic(data.obs_tm1, action).sum(-1))(data.a_tm1)
        return config.diversity * values.ensemble_diversity(slope)

    return penalty
