"""What all agents that learn from stored steps share, online and offline: all but how they learn.

Each of them keeps what its environments went through, or what others did, and learns from
minibatches of it. `make` builds the agent; a method brings its networks, what it reads of a stored
row, how it learns from a minibatch and how it acts. Offline is the same with data given and
`collect=False`: the policy then acts only to report how good it is.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp

from rlax_pref import buffers, networks, priorities, statistics, transitions
from rlax_pref.envs import AutoReset
from rlax_pref.envs.auto_reset import Chance
from rlax_pref.envs.check import sample_action
from rlax_pref.names import lookup
from rlax_pref.types import (
    Agent,
    Array,
    Box,
    Discrete,
    Env,
    Key,
    Metrics,
    Numeric,
    Policy,
    PyTree,
    TrainState,
    Transition,
)

from . import acting, learning
from .configs.off_policy import OffPolicy as Config
from .configs.off_policy import Replay
from .learning import Learner


class Actor(NamedTuple):
    """Where the environments stand and what was stored; every leaf leads with `[E]`."""

    acting: acting.Acting
    memory: Any  # of the policy that acts
    replay: buffers.Replay
    order: priorities.Priorities | None  # how likely each row is to be drawn
    imagined: buffers.Replay | None = None  # steps that a model made up


class Imagination(NamedTuple):
    """Steps that a model makes up, to learn from beside those that are stored.

    `make(learner, replay, draw, key) -> data [E, n, ...]` makes them, as they would be stored and
    in the order in which they would happen, before the minibatches of each agent step. They are
    forgotten `keep` agent steps later.
    """

    make: Callable[[Learner, buffers.Replay, Callable[[Key], Array], Key], Transition]
    keep: int
    real_share: Numeric  # of a minibatch, of what was stored


class Method(NamedTuple):
    """What sets one agent apart from another.

    `init(key, obs [1, D], action [1, ...]) -> params` makes parameters, by name.

    `update(learner, data, weight [B], count [], key) -> (learner, error [B], metrics)` learns from
    one minibatch, `count` minibatches after the first; the error makes the row's priority.

    `explore(learner, step []) -> Policy` acts where `collect`, `step` agent steps after the first,
    and `policy(learner) -> Policy` when nothing is to be tried.

    `targets` are names of parameters that have slow copies.

    `read(learner, replay, row [E, n], key) -> data [E, n, ...]` looks up `length` rows from each
    one on; by default transitions of `n_step` steps as the networks see them, with actions of
    which [-1, 1] is within bounds.

    `begin(learner, replay, draw, key) -> (learner, metrics)` comes before the minibatches of each
    agent step, for what is done once for all of them; `draw(key) -> row [E, n]` says where windows
    begin that may be learned from, and `windows` reads them.

    `prepare(replay) -> replay` adds to the store what `read` wants to know of all rows at once,
    such as where trajectories end; before the minibatches of each step, and not to be kept.

    `study(learner, replay, draw, key) -> learner` comes once, before the first agent step: what is
    learned of the store and then left as it is.

    `imagine` adds steps that never happened.
    """

    init: Callable[[Key, Array, Array], Mapping[str, PyTree]]
    update: Callable[[Learner, Any, Array, Array, Key], tuple[Learner, Array, Metrics]]
    explore: Callable[[Learner, Array], Policy]
    policy: Callable[[Learner], Policy]
    targets: tuple[str, ...] = ()
    read: Callable[[Learner, buffers.Replay, Array, Key], Any] | None = None
    length: int | None = None
    begin: (
        Callable[[Learner, buffers.Replay, Callable[[Key], Array], Key], tuple[Learner, Metrics]]
        | None
    ) = None
    prepare: Callable[[buffers.Replay], buffers.Replay] = lambda replay: replay
    study: Callable[[Learner, buffers.Replay, Callable[[Key], Array], Key], Learner] | None = None
    imagine: Imagination | None = None


def make(env: Env, config: Config, method: Method, data: Transition | None = None) -> Agent:
    """Makes the agent that acts, stores, and learns in the given way.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`.
      config: what these agents have in common.
      method: what sets it apart.
      data: `[N, ...]` steps to begin with, in the order in which they happened, with actions in
        the environment's units; of their discounts only counts whether they are 0. By default
        `warm_up` random actions make them.

    Returns:
      `Agent(init, step, policy)`. One `step` lets every environment act `num_steps` times, then
      learns from `num_updates` minibatches. `return` and `length` are of episodes of the policy
      that acts: it explores where `collect`.

    Raises:
      ValueError: settings do not fit together or to the data; the message says which.
    """
    _check(config, data)
    if method.imagine is not None and config.replay != "uniform":
        raise ValueError(
            f"replay={config.replay!r}: what is made up has no priorities; use uniform"
        )
    action_space, env = env.action_space, AutoReset(env)
    each = config.batch_size // config.num_envs
    length = config.n_step if method.length is None else method.length
    read = partial(_steps, config) if method.read is None else method.read
    if data is not None:
        given = _given(config, action_space, data)
        seen = statistics.update(statistics.init(data.obs_tm1[0]), data.obs_tm1)

    def behaviour(learner: Learner, step: Array) -> Policy:
        return method.explore(learner, step) if config.collect else method.policy(learner)

    def anything(memory: Any, obs: Array, key: Key) -> tuple[Any, Array]:
        return memory, sample_action(action_space, key)

    # Acting ---------------------------------------------------------------------------------

    def act(
        actor: Actor, policy: Policy, key: Key, chance: Chance
    ) -> tuple[Actor, tuple[Transition, Any]]:
        """One step in every environment; keys are `[E, 2]`."""
        now = actor.acting
        memory, action = jax.vmap(policy.act)(actor.memory, now.obs, key[:, 0])
        acted, timestep, tally = acting.step(env, now, action, chance)
        memory = jax.tree.map(
            lambda fresh, old: jnp.where(_like(tally.done, old), fresh, old),
            jax.vmap(policy.init)(key[:, 1]),
            jax.vmap(policy.observe)(memory, timestep),
        )
        transition = Transition(
            obs_tm1=now.obs,
            a_tm1=networks.from_env(action_space, action),
            r_t=timestep.reward,
            discount_t=timestep.discount,
            truncated_t=timestep.truncated,
            valid_t=jnp.ones_like(timestep.truncated),
            obs_t=timestep.last_obs,
        )
        return actor._replace(acting=acted, memory=memory), (transition, tally)

    def live(
        actor: Actor, policy: Policy, num_steps: int, key_act: Key, key_env: Key, *, store: bool
    ) -> tuple[Actor, tuple[Transition, acting.Tally]]:
        """Every environment acts for so many steps; what comes of it is `[T, E, ...]`."""

        def one(actor: Actor, drawn: tuple[Key, Chance]) -> tuple[Actor, Any]:
            actor, (transition, tally) = act(actor, policy, *drawn)
            if store:
                order = actor.order
                if order is not None:
                    order = priorities.add(order, actor.replay, length)
                replay = buffers.add(actor.replay, transition)
                actor = actor._replace(replay=replay, order=order)
            return actor, (transition, tally)

        shape = (num_steps, config.num_envs)
        chance = acting.draw(env, key_env, shape)
        return jax.lax.scan(one, actor, (jax.random.split(key_act, (*shape, 2)), chance))

    def each_env(key: Key) -> Key:
        return jax.random.split(key, config.num_envs)

    # Learning -------------------------------------------------------------------------------

    def init(key: Key) -> TrainState:
        key, key_env, key_params, key_memory, *keys_live = jax.random.split(key, 6)
        now = acting.init(env, key_env, config.num_envs)
        action = networks.from_env(
            action_space, jax.vmap(partial(sample_action, action_space))(each_env(key_env))
        )
        params = method.init(key_params, now.obs[:1], action[:1])
        learner = Learner(
            params,
            {name: learning.optimizer(config).init(params[name]) for name in params},
            {name: params[name] for name in method.targets},
            statistics.init(now.obs[0]),
        )
        policy = behaviour(learner, jnp.zeros((), jnp.int32))
        memory = jax.vmap(policy.init)(each_env(key_memory))
        if data is not None:
            order = None if config.replay == "uniform" else priorities.from_rows(given, length)
            actor = Actor(now, memory, given, order)
            return think(learner._replace(obs=seen), actor, key)
        rows = config.capacity if config.collect else config.warm_up
        number, flag = jnp.zeros(()), jnp.zeros((), bool)
        replay = buffers.init(
            Transition(now.obs[0], action[0], number, number, flag, flag, now.obs[0]),
            config.num_envs,
            rows // config.num_envs,
        )
        order = None
        if config.replay != "uniform":
            order = priorities.init(config.num_envs, rows // config.num_envs)
        actor, (stored, _) = live(
            Actor(now, memory, replay, order),
            policy._replace(act=anything),
            config.warm_up // config.num_envs,
            *keys_live,
            store=True,
        )
        learner = learner._replace(obs=statistics.update(learner.obs, stored.obs_tm1))
        return think(learner, actor, key)

    def think(learner: Learner, actor: Actor, key: Key) -> TrainState:
        """What a method does about the store before anything else."""
        rows = lambda key: draw(actor, key)[0]
        if method.study is not None:
            key, key_study = jax.random.split(key)
            learner = method.study(learner, actor.replay, rows, key_study)
        if method.imagine is not None:
            make_up = method.imagine.make
            data = jax.eval_shape(
                lambda learner, key: make_up(learner, actor.replay, rows, key), learner, key
            )
            one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[2:], x.dtype), data)
            capacity = method.imagine.keep * data.r_t.shape[1]
            actor = actor._replace(imagined=buffers.init(one, config.num_envs, capacity))
        return TrainState(learner, actor, key, jnp.zeros((), jnp.int32))

    def draw(actor: Actor, key: Key) -> tuple[Array, Array]:
        """`[E, n]` rows to learn from, and how much each counts."""
        if actor.order is None:
            row = buffers.draw(actor.replay, key, each, length)
            return row, jnp.ones(row.shape)
        drawn = priorities.sample(actor.order, key, each)
        if config.replay == "lap":
            return drawn.row, jnp.ones(drawn.row.shape)
        num = actor.replay.size - length + 1
        return drawn.row, priorities.importance_weight(drawn, num, config.importance_exponent)

    def learn(
        learner: Learner, actor: Actor, count: Array, drawn: tuple[Array, Array] | None, key: Key
    ) -> tuple[Learner, priorities.Priorities | None, Metrics]:
        """One minibatch, of the rows drawn or else of rows to be drawn; keys are `[3]`."""
        key_row, key_read, key_update = key
        order = actor.order
        row, weight = draw(actor, key_row) if drawn is None else drawn
        rows = read(learner, actor.replay, row, key_read)
        if method.imagine is not None and actor.imagined is not None:
            rows = mix(learner, actor.imagined, rows, method.imagine.real_share, key_read)
        batch, weights = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (rows, weight))
        learner, error, metrics = method.update(learner, batch, weights, count, key_update)
        if order is not None:
            scale = priorities.lap if config.replay == "lap" else priorities.proportional
            order = priorities.update(
                order, row, scale(error, config.priority_exponent).reshape(row.shape)
            )
        return learner, order, metrics

    def mix(learner: Learner, imagined: buffers.Replay, rows: Any, share: Numeric, key: Key) -> Any:
        """`[E, n, ...]` some of these rows, and made-up ones for the others."""
        key_real, key_draw, key_read = jax.random.split(key, 3)
        row = buffers.draw(imagined, key_draw, each, length)
        others = read(learner, imagined, row, key_read)
        real = jax.random.bernoulli(key_real, share, row.shape)
        return jax.tree.map(lambda x, y: jnp.where(_like(real, x), x, y), rows, others)

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_act, key_env, key_learn = jax.random.split(state.key, 4)
        learner = state.learner
        actor, (stored, tally) = live(
            state.actor,
            behaviour(learner, state.step),
            config.num_steps,
            key_act,
            key_env,
            store=config.collect,
        )
        if config.collect and config.normalize_obs:
            learner = learner._replace(obs=statistics.update(learner.obs, stored.obs_tm1))
        begun: Metrics = {}
        rows = lambda key: draw(actor, key)[0]
        if method.begin is not None:
            key_begin, key_learn = jax.random.split(key_learn)
            learner, begun = method.begin(learner, actor.replay, rows, key_begin)

        if method.imagine is not None and actor.imagined is not None:
            key_imagine, key_learn = jax.random.split(key_learn)
            made = method.imagine.make(learner, actor.replay, rows, key_imagine)
            actor = actor._replace(imagined=buffers.extend(actor.imagined, made))

        prepared = actor._replace(replay=method.prepare(actor.replay))

        def one(carry: tuple[Learner, Any], x: tuple[Array, Any, Key]) -> tuple[Any, Metrics]:
            learner, order = carry
            learner, order, metrics = learn(learner, prepared._replace(order=order), *x)
            return (learner, order), metrics

        count = state.step * config.num_updates + jnp.arange(config.num_updates)
        keys = jax.random.split(key_learn, (config.num_updates, 3))
        drawn = None  # at once where no priorities change in between
        if actor.order is None:
            drawn = jax.vmap(partial(draw, prepared))(keys[:, 0])
        (learner, order), metrics = jax.lax.scan(one, (learner, actor.order), (count, drawn, keys))
        metrics = acting.summary(tally) | begun | jax.tree.map(jnp.mean, metrics)
        return TrainState(learner, actor._replace(order=order), key, state.step + 1), metrics

    return Agent(init, step, method.policy)


def _steps(
    config: Config, learner: Learner, replay: buffers.Replay, row: Array, key: Key
) -> Transition:
    """`[E, n]` transitions of `n_step` steps that begin in these rows, as networks see them."""
    return transitions.n_step(learning.windows(config, learner, replay, row, config.n_step))


def _given(config: Config, action_space: Discrete | Box, data: Transition) -> buffers.Replay:
    """The store that data make."""
    capacity = config.capacity // config.num_envs if config.collect else 0
    data = jax.tree.map(jnp.asarray, data)
    action = networks.from_env(action_space, data.a_tm1)
    return buffers.from_rows(data._replace(a_tm1=action), config.num_envs, capacity)


def _like(mask: Array, x: Array) -> Array:
    """`[E]` or `[E, n]` with as many axes behind as `x` has."""
    return mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))


def _check(config: Config, data: Transition | None) -> None:
    lookup(dict.fromkeys(get_args(Replay)), config.replay, "replay")
    for name in ("batch_size", "capacity", "warm_up"):
        if config.num_envs < 1 or getattr(config, name) % config.num_envs:
            raise ValueError(
                f"{name}={getattr(config, name)} must be a multiple of num_envs={config.num_envs}"
            )
    if data is None and not config.n_step * config.num_envs <= config.warm_up <= config.capacity:
        raise ValueError(
            f"warm_up={config.warm_up} must be at least n_step * num_envs="
            f"{config.n_step * config.num_envs} and at most capacity={config.capacity}"
        )
    if data is not None and data.r_t.shape[0] < config.n_step * config.num_envs:
        raise ValueError(
            f"data has {data.r_t.shape[0]} rows: too few for {config.num_envs} stores "
            f"with windows of {config.n_step}"
        )
