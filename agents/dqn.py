"""Deep Q-networks (Mnih et al., 2015) and what was put on top of them, each piece a setting.

Double, dueling, several steps, priorities, classified or distributional critics, noisy weights:
`configs.Rainbow` has them on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import histograms, networks, values
from rlax_pref.names import lookup
from rlax_pref.types import Agent, Array, Env, Key, Metrics, Numeric, Policy, PyTree, Transition

from . import learning, off_policy
from .configs.off_policy import DQN as Config
from .configs.off_policy import Rainbow
from .configs.offline import DiscreteCQL
from .learning import Learner

for _config in (Config, Rainbow, DiscreteCQL):
    jax.tree_util.register_dataclass(_config)
DEFAULT = Config()


class Law(NamedTuple):
    """What is learned of the return of an action, in m numbers.

    `value(output [..., m]) -> [...]` is its mean. `loss(output [B, m], r_t [B], discount_t [B],
    output_t [B, m], tau [B, m]) -> [B]` compares it with what followed; `tau` are fractions of
    the quantiles, where there are any.
    """

    num: int  # m
    value: Callable[[Array], Array]
    loss: Callable[[Array, Array, Array, Array, Array], Array]


def law(config: Config) -> Law:
    """The law that a config asks for.

    Raises:
      ValueError: it is unknown.
    """
    num = config.num_atoms

    def expected() -> Law:
        value = lambda output: output[..., 0]
        return Law(1, value, _regress(value, lambda x, y: _huber(x - y, config.huber)))

    def hl_gauss() -> Law:
        bins = histograms.bins(*config.support, num)
        value = lambda output: bins.mean(jax.nn.softmax(output))
        return Law(num, value, _regress(value, lambda x, y: values.hl_gauss(x, y, bins), raw=True))

    def two_hot() -> Law:
        atoms = histograms.atoms(*config.support, num)
        value = lambda output: atoms.mean(jax.nn.softmax(output))
        return Law(num, value, _regress(value, lambda x, y: values.two_hot(x, y, atoms), raw=True))

    def c51() -> Law:
        atoms = histograms.atoms(*config.support, num)
        value = lambda output: atoms.mean(jax.nn.softmax(output))
        loss = lambda output, r_t, discount_t, output_t, tau: values.c51(
            output, r_t, discount_t, jax.nn.softmax(output_t), atoms
        )
        return Law(num, value, loss)

    def quantiles() -> Law:
        loss = lambda output, r_t, discount_t, output_t, tau: values.quantile_huber(
            output, r_t[:, None] + discount_t[:, None] * output_t, tau
        )
        return Law(num, lambda output: output.mean(-1), loss)

    laws = {
        "expected": expected,
        "hl_gauss": hl_gauss,
        "two_hot": two_hot,
        "c51": c51,
        "quantiles": quantiles,
        "implicit_quantiles": quantiles,
    }
    return lookup(laws, config.critic, "critic")()


def network(config: Config, num_actions: int, num: int) -> networks.Network:
    """The critic's network: `apply(params, (obs [..., D], tau [..., m]))` is `[..., A, m]`.

    Raises:
      ValueError: implicit quantiles are asked to be dueling.
    """
    if config.critic == "implicit_quantiles":
        if config.dueling:
            raise ValueError("critic='implicit_quantiles' has no dueling heads: dueling=False")
        return networks.implicit_quantiles(config.hidden, num_actions, **learning.kind(config))
    if config.dueling:
        heads = networks.dueling(
            config.hidden,
            num_actions,
            num_atoms=num,
            stream=config.hidden[-1],
            **learning.kind(config),
        )
        return networks.Network(
            lambda key, x: heads.init(key, x[0]), lambda params, x: heads.apply(params, x[0])
        )
    plain = networks.mlp(config.hidden, num_actions * num, **learning.kind(config))

    def apply(params: PyTree, x: tuple[Array, Array]) -> Array:
        output = plain.apply(params, x[0])
        return output.reshape(*output.shape[:-1], num_actions, num)

    return networks.Network(lambda key, x: plain.init(key, x[0]), apply)


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; actions are discrete, `obs` is `[D]`.
      config: see `configs.DQN` and `configs.Rainbow`.
      data: steps to begin with, or all there is to learn from; see `off_policy.make`.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`.

    Raises:
      ValueError: the environment's actions are not discrete, or settings do not fit together.
    """
    space = learning.discrete("DQN", env)
    returns = law(config)
    critic = learning.encoded(config, network(config, space.num, returns.num))
    core = core_of(config, space.num, critic, lambda output, obs: returns.value(output))

    def explore(learner: Learner, step: Array) -> Policy:
        return learning.act_by(config, space, learner, core.explore(learner, step))

    def policy(learner: Learner) -> Policy:
        def choose(obs: Array, key: Key) -> Array:
            return returns.value(core.predict(learner, obs, key)).argmax(-1).astype(jnp.int32)

        return learning.act_by(config, space, learner, choose)

    method = off_policy.Method(core.init, core.update, explore, policy, targets=("critic",))
    return off_policy.make(env, config, method, data)


class Core(NamedTuple):
    """How a critic learns and what it says, of observations as the networks see them.

    `init` and `update` are those of `off_policy.Method`. `explore(learner, step)` is how to act
    meanwhile, `choose(obs [D], key) -> action`. `predict(learner, obs [..., D], key)` is
    `[..., A, m]` what is known of the return when nothing is to be tried.
    """

    init: Callable[[Key, Array, Array], dict[str, PyTree]]
    update: Callable[..., tuple[Learner, Array, Metrics]]
    explore: Callable[[Learner, Array], Callable[[Array, Key], Array]]
    predict: Callable[[Learner, Array, Key], Array]


def core_of(
    config: Config,
    num_actions: int,
    critic: networks.Network,
    score: Callable[[Array, Array], Array],
) -> Core:
    """How a critic learns that may choose by something else than the mean.

    Args:
      config: see `configs.DQN`.
      num_actions: A.
      critic: `apply(params, (obs [..., D], tau [..., m]))` is `[..., A, m]`, see `network`.
      score: `(output [..., A, m], obs [..., D]) -> [..., A]`, of which the largest is chosen.
    """
    returns = law(config)
    implicit = config.critic == "implicit_quantiles"

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        params = critic.init(key, (obs, fractions(key, obs)))
        return {"critic": networks.add_noise(params) if config.noisy else params}

    def fractions(key: Key, obs: Array) -> Array:
        """`[..., m]` which quantiles to ask for."""
        shape = (*obs.shape[:-1], returns.num)
        if implicit:
            return jax.random.uniform(key, shape)
        return jnp.broadcast_to(values.quantile_midpoints(returns.num), shape)

    def weights(params: PyTree, key: Key) -> PyTree:
        return networks.draw_noise(params, key) if config.noisy else params

    def update(
        learner: Learner, data: Transition, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        keys = jax.random.split(key, 6)
        target = weights(learner.target["critic"], keys[0])
        output_t = critic.apply(target, (data.obs_t, fractions(keys[1], data.obs_t)))
        chooser = output_t
        if config.double:
            online = weights(learner.params["critic"], keys[2])
            chooser = critic.apply(online, (data.obs_t, fractions(keys[3], data.obs_t)))
        best = score(chooser, data.obs_t).argmax(-1)
        output_t = values.of_action(output_t, best)
        tau = fractions(keys[4], data.obs_tm1)

        def loss(params: PyTree) -> tuple[Array, tuple[Array, Metrics]]:
            output = critic.apply(weights(params, keys[5]), (data.obs_tm1, tau))
            q, taken = score(output, data.obs_tm1), values.of_action(output, data.a_tm1)
            error = returns.loss(
                taken, data.r_t, data.discount_t, jax.lax.stop_gradient(output_t), tau
            )
            each = error
            if not learning.known(config.cql_weight, 0.0):
                each += config.cql_weight * values.cql(q, data.a_tm1)
            total = learning.average(each, data, weight)
            if returns.num == 1:
                after = data.r_t + data.discount_t * returns.value(output_t)
                error = jnp.abs(returns.value(taken) - after)
            return total, (error, {"loss": total, "q": learning.average(q.max(-1), data, 1.0)})

        learner, (error, metrics) = learning.descend(config, learner, "critic", loss)
        now = (count + 1) % config.target_period < 1
        rate = jnp.where(now, config.target_rate, 0.0)
        return learning.follow(learner, "critic", rate), error, metrics

    def explore(learner: Learner, step: Array) -> Callable[[Array, Key], Array]:
        past = step * config.env_steps / jnp.maximum(config.epsilon_steps, 1.0)
        share = jnp.minimum(past, 1.0)
        epsilon = config.epsilon + share * (config.epsilon_end - config.epsilon)

        def choose(obs: Array, key: Key) -> Array:
            key_noise, key_act, key_random = jax.random.split(key, 3)
            params = weights(learner.params["critic"], key_noise)
            output = critic.apply(params, (obs, fractions(key_act, obs)))
            action = score(output, obs).argmax(-1).astype(jnp.int32)
            if config.noisy:
                return action
            which, anything = jax.random.uniform(key_random, (2, *action.shape))
            anything = (anything * num_actions).astype(jnp.int32)
            return jnp.where(which < epsilon, anything, action)

        return choose

    def predict(learner: Learner, obs: Array, key: Key) -> Array:
        params = learner.params["critic"]
        params = networks.without_noise(params) if config.noisy else params
        return critic.apply(params, (obs, fractions(key, obs)))

    return Core(init, update, explore, predict)


def _huber(error: Array, limit: Numeric) -> Array:
    """Half the square, which goes on as a line beyond the limit (Huber, 1964)."""
    size = jnp.abs(error)
    within = jnp.minimum(size, limit)
    return within * (size - 0.5 * within)


def _regress(
    value: Callable[[Array], Array], loss: Callable[[Array, Array], Array], *, raw: bool = False
) -> Any:
    """Compares an output, or its mean, with r + discount * value."""

    def compare(output: Array, r_t: Array, discount_t: Array, output_t: Array, tau: Array) -> Array:
        return loss(output if raw else value(output), r_t + discount_t * value(output_t))

    return compare
