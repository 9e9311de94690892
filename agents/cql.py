"""Conservative Q-learning of continuous actions (Kumar et al., 2020, arXiv:2006.04779).

It is SAC whose critics are told that what nobody did is worth less than what was done.
`configs.CalQL` tells them so only as far as data bear it out (Nakamoto et al., 2023,
arXiv:2303.05479). Of discrete actions it is a setting of `dqn`: `configs.DiscreteCQL`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import buffers, transitions, values
from rlax_pref.types import Agent, Array, Box, Env, Key, Metrics, Numeric, PyTree, Transition

from . import learning, off_policy, sac
from .configs.offline import CQL as Config
from .configs.offline import CalQL
from .learning import Learner

for _config in (Config, CalQL):
    jax.tree_util.register_dataclass(_config)
DEFAULT = Config()


class Calibrated(NamedTuple):
    """Transitions, and what the trajectory returned from there on; fields of `Transition`."""

    obs_tm1: Any
    a_tm1: Array
    r_t: Array
    discount_t: Array
    truncated_t: Array
    valid_t: Array
    obs_t: Any
    return_tm1: Array  # [...]


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; actions are continuous, `obs` is `[D]`.
      config: see `configs.CQL` and `configs.CalQL`.
      data: all there is to learn from; see `off_policy.make`. To calibrate, steps of whole
        trajectories: what would have been earned after a cut counts as 0, so rewards should be
        shifted to be positive where trajectories are cut.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: the environment's actions are not continuous, or settings do not fit together.
    """
    space = learning.continuous("CQL", env)
    price = partial(price_of, config)
    method = sac.method(space, config, conservative(space, config), price)
    if config.lagrange:
        method = priced(config, method)
    if config.calibrate:
        method = method._replace(read=reader(config), prepare=lambda x: returns(config, x))
    return off_policy.make(env, config, method, data)


def conservative(space: Box, config: Config) -> sac.Penalty:
    """Lowers the values of actions at random and of the policy's, and raises those of the data.

    Actions of the policy in the next state are judged in this one, too.
    """

    def penalty(
        law: Callable[[Array], Any],
        critic: Callable[[Array, Array], Array],
        data: Any,
        key: Key,
    ) -> Array:
        key_any, key_tm1, key_t = jax.random.split(key, 3)
        size, num = data.r_t.shape[0], config.num_samples
        draw = lambda obs, key: jax.vmap(lambda key: law(obs).sample_and_log_prob(seed=key))(
            jax.random.split(key, num)
        )
        a_any = jax.random.uniform(key_any, (num, size, *space.shape), minval=-1.0, maxval=1.0)
        log_prob_any = jnp.full((num, size), -space.shape[0] * jnp.log(2.0))
        a_tm1, log_prob_tm1 = draw(data.obs_tm1, key_tm1)
        a_t, log_prob_t = draw(data.obs_t, key_t)
        action = jax.lax.stop_gradient(jnp.concatenate([a_any, a_tm1, a_t]))
        obs = jnp.broadcast_to(data.obs_tm1, (3 * num, *data.obs_tm1.shape))
        q = critic(obs, action)  # [N, 3 num, B]
        if config.calibrate:
            floor = jnp.full((3 * num, 1), -jnp.inf).at[num:].set(0.0) + data.return_tm1
            q = jnp.maximum(q, floor)
        log_prob = jnp.concatenate([log_prob_any, log_prob_tm1, log_prob_t])
        q_tm1 = critic(data.obs_tm1, data.a_tm1)
        loss = values.cql_sampled(
            jnp.moveaxis(q, 1, -1),
            jnp.broadcast_to(log_prob.T, (q.shape[0], *log_prob.T.shape)),
            q_tm1,
        )
        return loss.sum(0)

    return penalty


def price_of(config: Config, learner: Learner) -> Numeric:
    """How much the gap between values of any actions and of the data's counts."""
    if not config.lagrange:
        return config.cql_weight
    return config.cql_weight * jnp.exp(learner.params["log_multiplier"])


def priced(config: Config, method: off_policy.Method) -> off_policy.Method:
    """Learns what this gap has to cost in order to stay near its target, a Lagrange multiplier."""

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        return {**method.init(key, obs, action), "log_multiplier": jnp.zeros(())}

    def update(
        learner: Learner, data: Any, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        learner, error, metrics = method.update(learner, data, weight, count, key)
        surplus = metrics["penalty"] / config.num_critics - config.target_gap
        loss = lambda log_multiplier: (-jnp.exp(log_multiplier) * surplus, None)
        learner, _ = learning.descend(config, learner, "log_multiplier", loss)
        return learner, error, metrics | {"price": jnp.asarray(price_of(config, learner))}

    return method._replace(init=init, update=update)


def returns(config: Config, replay: buffers.Replay) -> buffers.Replay:
    """Notes what each trajectory of a store returned, from each of its steps on."""
    data: Transition = replay.data
    r_t = (config.reward_scale * data.r_t + config.reward_shift) * data.valid_t
    last = (data.discount_t == 0) | data.truncated_t | ~data.valid_t
    return_tm1 = values.returns_to_go(r_t.T, last.T, config.discount).T
    return replay._replace(data=Calibrated(*data, return_tm1=return_tm1))


def reader(config: Config) -> Callable[..., Calibrated]:
    """Reads steps with what was returned from them on."""

    def read(learner: Any, replay: buffers.Replay, row: Array, key: Key) -> Calibrated:
        window: Any = learning.windows(config, learner, replay, row, config.n_step)
        return Calibrated(*transitions.n_step(window), return_tm1=window.return_tm1[..., 0])

    return read
