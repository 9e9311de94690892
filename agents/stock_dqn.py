"""D-eta-N: deep Q-networks for what the whole return is for (Pires et al., 2025, arXiv:2501.13028).

A stock beside the observation says what was earned so far; with it a utility of the whole return,
such as its conditional value at risk or how near it comes to a target, is maximised step by step.
It is `dqn` with quantiles, but that actions are chosen by the mean utility of stock and return.

Episodes begin with any stock while it learns, and every stored step is learned from as if its
episode had begun with another one. Afterwards the policy begins with the best stock there is, and
keeps its stock by the rewards that it sees.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import buffers, histograms, networks, transitions, values
from rlax_pref.names import lookup
from rlax_pref.types import (
    Agent,
    Array,
    Discrete,
    Env,
    Key,
    Policy,
    PyTree,
    TimeStep,
    Transition,
)

from . import dqn, learning, off_policy
from .configs.augmented import StockDQN as Config
from .learning import Learner

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()
LARGEST = 1e6  # with a discount below 1 stocks grow like its powers


class Stock(NamedTuple):
    """What was earned in an episode that began with nothing."""

    stock: Array  # [...] see `values.stock_step`
    scale: Array  # [...] discount^t


def nothing() -> Stock:
    """Where an episode begins."""
    return Stock(jnp.zeros(()), jnp.ones(()))


def after(config: Config, stock: Stock, reward: Array) -> Stock:
    """The stock after a reward."""
    earned = config.reward_scale * reward + config.reward_shift
    grown = values.stock_step(stock.stock, earned, config.discount)
    return Stock(
        jnp.clip(grown, -LARGEST, LARGEST),
        jnp.maximum(stock.scale * config.discount, 1.0 / LARGEST),
    )


def beside(obs: Array, stock: Stock) -> Array:
    """`[..., D]` observations and their stocks as `[..., D + 2]`."""
    return jnp.concatenate([obs, stock.stock[..., None], stock.scale[..., None]], axis=-1)


class WithStock(NamedTuple):
    """An environment that shows the stock, too."""

    env: Any
    config: Config

    @property
    def action_space(self) -> Discrete:
        """That of the environment."""
        return self.env.action_space

    def reset(self, key: Key) -> tuple[tuple[PyTree, Stock], Array]:
        """Begins an episode with nothing."""
        state, obs = self.env.reset(key)
        return (state, nothing()), beside(obs, nothing())

    def step(
        self, key: Key, state: tuple[PyTree, Stock], action: Array
    ) -> tuple[tuple[PyTree, Stock], TimeStep]:
        """Moves on, and counts the reward."""
        inner, timestep = self.env.step(key, state[0], action)
        stock = after(self.config, state[1], timestep.reward)
        obs = beside(timestep.last_obs, stock)
        return (inner, stock), timestep._replace(obs=obs, last_obs=obs)


def with_stock(config: Config, data: Transition) -> Transition:
    """Steps of episodes, `[N, ...]` in order, with the stocks of each."""

    def count(stock: Stock, step: tuple[Array, Array]) -> tuple[Stock, tuple[Stock, Stock]]:
        reward, ended = step
        reached = after(config, stock, reward)
        following = jax.tree.map(lambda first, x: jnp.where(ended, first, x), nothing(), reached)
        return following, (stock, reached)

    ended = (jnp.asarray(data.discount_t) == 0) | jnp.asarray(data.truncated_t).astype(bool)
    _, (before, reached) = jax.lax.scan(count, nothing(), (jnp.asarray(data.r_t), ended))
    return data._replace(
        obs_tm1=beside(jnp.asarray(data.obs_tm1), before),
        obs_t=beside(jnp.asarray(data.obs_t), reached),
    )


def utility(config: Config) -> Callable[[Array], Array]:
    """What the whole return is for.

    Raises:
      ValueError: it is unknown.
    """
    utilities = {
        "cvar": lambda: values.cvar_utility(config.tau, config.mean_weight),
        "homeostatic": lambda: values.homeostatic_utility(config.power),
        "neutral": lambda: lambda x: x,
    }
    return lookup(utilities, config.utility, "utility")()


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; actions are discrete, `obs` is `[D]`.
      config: see `configs.StockDQN`.
      data: steps to begin with, or all there is to learn from; see `off_policy.make`.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`. The policy has a stock for its memory,
      which `Policy.observe` keeps.

    Raises:
      ValueError: the environment's actions are not discrete, the critic knows no quantiles, or
        settings do not fit together.
    """
    space = learning.discrete("D-eta-N", env)
    if config.critic not in ("quantiles", "implicit_quantiles"):
        raise ValueError(
            f"critic='{config.critic}': stock_dqn needs quantiles or implicit_quantiles"
        )
    wanted = utility(config)
    plain = learning.encoded(config, dqn.network(config, space.num, config.num_atoms))
    critic = networks.Network(
        lambda key, x: plain.init(key, (_squash(x[0]), x[1])),
        lambda params, x: plain.apply(params, (_squash(x[0]), x[1])),
    )
    score = lambda output, obs: values.utility_value(output, obs[..., -1], wanted)
    core = dqn.core_of(config, space.num, critic, score)
    as_stored = dataclasses.replace(config, normalize_obs=False)

    def see(learner: Learner, obs: Array, start: Array) -> Array:
        """`[..., D + 2]` with nothing at the start -> `[..., D + 1]` with another stock there."""
        stock = values.edit_stock(obs[..., -2], jnp.zeros_like(start), start, obs[..., -1])
        seen = learning.see(config, learner, obs)[..., :-2]
        return jnp.concatenate([seen, jnp.clip(stock, -LARGEST, LARGEST)[..., None]], axis=-1)

    def any_start(key: Key, shape: tuple[int, ...] = ()) -> Array:
        lowest, highest = config.lowest_start, config.highest_start
        return jax.random.uniform(key, shape, minval=lowest, maxval=highest)

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        return core.init(key, obs[..., :-1], action)

    def read(learner: Learner, replay: buffers.Replay, row: Array, key: Key) -> Transition:
        window = learning.windows(as_stored, learner, replay, row, config.n_step)
        data, start = transitions.n_step(window), any_start(key, row.shape)
        return data._replace(
            obs_tm1=see(learner, data.obs_tm1, start), obs_t=see(learner, data.obs_t, start)
        )

    def explore(learner: Learner, step: Array) -> Policy:
        choose = core.explore(learner, step)

        def act(start: Array, obs: Array, key: Key) -> tuple[Array, Array]:
            return start, choose(see(learner, obs, start), key)

        return Policy(any_start, act)

    # The policy that is learned -------------------------------------------------------------

    def best_start(learner: Learner, obs: Array, key: Key) -> Array:
        """`[]` where to begin an episode that begins with `[D + 2]`."""
        if config.utility != "cvar":
            start = -config.target if config.utility == "homeostatic" else 0.0
            return jnp.clip(jnp.float32(start), config.lowest_start, config.highest_start)
        starts = jnp.linspace(config.lowest_start, config.highest_start, config.num_starts)
        seen = see(learner, jnp.broadcast_to(obs, (*starts.shape, *obs.shape)), starts)
        output = core.predict(learner, seen, key)
        quantiles = values.of_action(output, score(output, seen).argmax(-1))
        return values.cvar_start(quantiles, starts, config.tau, config.mean_weight)[0]

    def with_start(learner: Learner) -> Policy:
        """Acts where the stock is shown, and remembers the start once there is one."""

        def act(memory: tuple[Array, Array], obs: Array, key: Key) -> tuple[Any, Array]:
            begun, start = memory
            key_start, key_act = jax.random.split(key)
            start = jnp.where(begun, start, best_start(learner, obs, key_start))
            seen = see(learner, obs, start)
            action = score(core.predict(learner, seen, key_act), seen).argmax(-1)
            return (jnp.ones((), bool), start), action.astype(jnp.int32)

        return Policy(lambda key: (jnp.zeros((), bool), jnp.zeros(())), act)

    def policy(learner: Learner) -> Policy:
        """Acts where it is not, and keeps it."""
        inner = with_start(learner)

        def act(memory: tuple[Any, Stock], obs: Array, key: Key) -> tuple[Any, Array]:
            start, stock = memory
            start, action = inner.act(start, beside(obs, stock), key)
            return (start, stock), action

        def observe(memory: tuple[Any, Stock], timestep: TimeStep) -> tuple[Any, Stock]:
            return memory[0], after(config, memory[1], timestep.reward)

        return Policy(lambda key: (inner.init(key), nothing()), act, observe)

    method = off_policy.Method(
        init, core.update, explore, with_start, targets=("critic",), read=read
    )
    data = None if data is None else with_stock(config, data)
    return off_policy.make(WithStock(env, config), config, method, data)._replace(policy=policy)


def _squash(obs: Array) -> Array:
    """Stocks as the network sees them."""
    return obs.at[..., -1].set(histograms.symlog(obs[..., -1]))
