"""Policies of control, trained on choices between segments of behaviour.

One agent for two methods that need no model of rewards: CPL, whose policy is the score of a
segment, and IPL, whose critic is. Segments are given, or made in the environment and labelled by
what it pays; now and then the policy may replace some of them by its own. CPL, IPL and imitation
are the classes of `configs.segments`.
"""

import dataclasses
import math
from functools import partial
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from rlax_pref import metrics as reports
from rlax_pref import networks, policies, preferences, rewards, statistics, values
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
    Policy,
    Preferences,
    PyTree,
    Segments,
    TrainState,
)

from . import acting, learning, responding, selecting
from .configs.segments import CPL, PREFERENCE_SEGMENTS, Imitated, Loss
from .configs.segments import PreferenceSegments as Config

for _config in (Config, *PREFERENCE_SEGMENTS.values()):
    jax.tree_util.register_dataclass(_config)


class Learner(NamedTuple):
    """What is learned; equal on all devices."""

    params: PyTree
    optimizer: optax.OptState
    reference: PyTree  # slow critics (IPL), what was imitated first (CPL-KL), or nothing
    obs: statistics.Moments  # of observations in the data


class Actor(NamedTuple):
    """What is learned from, and where more of it is made; every leaf leads with `[E]`."""

    pairs: Preferences  # [E, 2, ...]
    acting: acting.Acting  # [E, 2, ...]


class Seen(NamedTuple):
    """A minibatch as networks see it; every leaf leads with `[B, 2]`."""

    obs: Array  # [B, 2, L + 1, D] scaled
    action: Array  # [B, 2, L] or [B, 2, L, A], of which [-1, 1] is within bounds
    live: Array  # [B, 2, L] bool


def make(env: Env, config: Config = CPL(), data: Preferences | None = None) -> Agent:  # noqa: B008
    """Makes the agent.

    Where the agent makes segments, their teacher compares the rewards they collect. For one who
    compares regret, give an environment that pays the advantage, such as `envs.Rewarded`.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`.
      config: see `configs.segments.PreferenceSegments`.
      data: choices, as many as there are: `num_envs` is then their number, some taken again to
        fill the last minibatch. States are `[N, 2, L + 1, D]`, actions are in the environment's
        units, and what follows a step that is not live is the terminal state again. By default
        random actions make the segments.

    Returns:
      `Agent(init, step, policy)`. One `step` learns from one minibatch; minibatches take turns.
      `return` and `length` are of episodes that the policy ended meanwhile, without exploring.

    Raises:
      ValueError: settings do not fit together or to the data; the message says which.
    """
    if data is not None:
        whole = math.lcm(config.batch_size, config.num_rounds)
        num, data = selecting.fill(data, whole)
        config = dataclasses.replace(config, num_envs=num)
    _check(config, data)
    action_space, env = env.action_space, AutoReset(env)
    kind = learning.kind(config)
    law = networks.policy(action_space, config.hidden, **kind)
    v = networks.value(config.hidden, **kind)
    q = _side_by_side(v, config.num_critics)  # of observation and action side by side
    optimizer = optax.scale_by_adam()
    num_batches = config.num_envs // config.batch_size

    # Making segments ------------------------------------------------------------------------

    def explore(learner: Learner, obs: Array, key: Key) -> Array:
        drawn = policy_law(learner.params["policy"], see(learner, obs)).sample(seed=key)
        return networks.to_env(action_space, drawn)

    def exploit(learner: Learner, obs: Array, key: Key) -> Array:
        chosen = policy_law(learner.params["policy"], see(learner, obs)).mode()
        return networks.to_env(action_space, chosen)

    def anything(learner: Learner, obs: Array, key: Key) -> Array:
        keys = jax.random.split(key, obs.shape[:2])
        return jax.vmap(jax.vmap(lambda key: sample_action(action_space, key)))(keys)

    def act(
        choose: Any, learner: Learner, now: acting.Acting, key: Key, num_steps: int
    ) -> tuple[acting.Acting, tuple[Array, Array, Any, acting.Tally]]:
        """Goes on in pairs of environments; what comes of it is `[T, E, 2, ...]`."""

        def one(now: acting.Acting, drawn: tuple[Key, Chance]) -> tuple[acting.Acting, Any]:
            key, chance = drawn
            action, obs = choose(learner, now.obs, key), now.obs
            now, timestep, tally = jax.vmap(partial(acting.step, env), 1, 1)(now, action, chance)
            return now, (obs, action, timestep, tally)

        key_act, key_env = jax.random.split(key)
        chance = acting.draw(env, key_env, (num_steps, *now.obs.shape[:2]))
        return jax.lax.scan(one, now, (jax.random.split(key_act, num_steps), chance))

    def compare(
        choose: Any, learner: Learner, now: acting.Acting, key: Key
    ) -> tuple[acting.Acting, Preferences]:
        """Makes a segment in each environment, and has the teacher compare every two."""
        key_act, key_label = jax.random.split(key)
        now, (obs, action, timestep, _) = act(choose, learner, now, key_act, config.length)
        ended = jnp.cumsum(timestep.done, axis=0) > 0
        live = jnp.concatenate([jnp.ones_like(ended[:1]), ~ended[:-1]])
        time = jnp.minimum(jnp.arange(config.length)[:, None, None], live.sum(0) - 1)
        reached = jnp.take_along_axis(timestep.last_obs, time[..., None], axis=0)
        state = jnp.concatenate([obs[:1], reached])
        segments = Segments(*(jnp.moveaxis(x, 0, 2) for x in (state, action, live)))
        u = preferences.partial_return(jnp.moveaxis(timestep.reward, 0, 2), segments.live)
        p_first = preferences.teacher(
            key_label,
            u[:, 0],
            u[:, 1],
            noiseless=config.noiseless,
            temperature=config.label_temperature,
        )
        cut = jnp.any(timestep.truncated[:-1] & live[:-1], axis=(0, 2))  # by a time limit
        return now, Preferences(segments, p_first, 1.0 - cut.astype(jnp.float32))

    def ask(learner: Learner, now: acting.Acting, key: Key) -> tuple[acting.Acting, Preferences]:
        """Of several pairs, those whose labels are least foreseen: as in PEBBLE, row by row."""
        if config.candidates == 1:
            return compare(explore, learner, now, key)

        def more(carry: tuple[Any, Preferences, Array], key: Key) -> tuple[Any, None]:
            now, pairs, most = carry
            now, others = compare(explore, learner, now, key)
            found = doubt(learner, others)
            pairs = selecting.where_rows(found > most, others, pairs)
            return (now, pairs, jnp.maximum(found, most)), None

        key, *keys = jax.random.split(key, config.candidates)
        now, pairs = compare(explore, learner, now, key)
        first = now, pairs, doubt(learner, pairs)
        return jax.lax.scan(more, first, jnp.stack(keys))[0][:2]

    def doubt(learner: Learner, pairs: Preferences) -> Array:
        """`[B]` how much critics differ, or how little the policy knows, of which is preferred."""
        batch = look(learner, pairs.segments)
        if config.loss == "ipl":
            believed, _, _ = believe(learner.params, batch)
            u = preferences.partial_return(believed, jnp.broadcast_to(batch.live, believed.shape))
            found = preferences.disagreement(u[..., 0] - u[..., 1])
        else:
            log_pi = log_prob(learner.params["policy"], batch)
            u = config.alpha * preferences.contrastive(log_pi, batch.live)
            found = preferences.doubt(u[:, 0] - u[:, 1])
        return jnp.where(pairs.weight > 0, found, -jnp.inf)

    def collect(learner: Learner, actor: Actor, turn: Array, key: Key) -> tuple[Learner, Actor]:
        """Replaces the oldest share of the pairs."""
        rows, put = selecting.share(actor, config.num_rounds, turn)
        now, pairs = ask(learner, rows.acting, key)
        learner = learner._replace(obs=statistics.update(learner.obs, _observed(pairs.segments)))
        return learner, put(Actor(pairs, now))

    # Learning -------------------------------------------------------------------------------

    def init(key: Key) -> TrainState:
        key, key_params, key_env, key_burn, key_first = jax.random.split(key, 5)
        begun = [acting.init(env, k, config.num_envs) for k in jax.random.split(key_env)]
        now = jax.tree.map(lambda *x: jnp.stack(x, axis=1), *begun)
        learner = Learner({}, optimizer.init({}), {}, statistics.init(now.obs[0, 0]))
        if data is None:
            now, _ = act(anything, learner, now, key_burn, config.burn_in)
            now, pairs = compare(anything, learner, now, key_first)
        else:
            pairs = data
        moments = statistics.update(learner.obs, _observed(pairs.segments))
        learner = learner._replace(obs=moments)
        batch = look(learner, jax.tree.map(lambda x: x[:1], pairs.segments))
        obs = batch.obs[:, 0, 0]
        key_policy, key_v, key_q = jax.random.split(key_params, 3)
        params = {"policy": law.init(key_policy, obs)}
        if isinstance(action_space, Box):
            width = jnp.full(action_space.shape, config.deviation, jnp.float32)
            params["policy"]["log_std"] = jnp.log(width)
        if config.loss == "ipl":
            beside = join(batch)[:, 0, 0]
            params |= {"v": v.init(key_v, obs), "q": q.init(key_q, beside)}
        kept = {"ipl": "q", "cpl_kl": "policy"}.get(config.loss)
        reference = params[kept] if kept else {}
        learner = Learner(params, optimizer.init(params), reference, moments)
        return TrainState(learner, Actor(pairs, now), key, jnp.zeros((), jnp.int32))

    def see(learner: Learner, obs: Array) -> Array:
        return statistics.normalize(learner.obs, obs)

    def look(learner: Learner, segments: Segments) -> Seen:
        obs = see(learner, segments.state)
        return Seen(obs, networks.from_env(action_space, segments.action), segments.live)

    def join(batch: Seen) -> Array:
        """`[B, 2, L, D + A]` for the critics."""
        action = batch.action
        if isinstance(action_space, Discrete):
            action = jax.nn.one_hot(action, action_space.num)
        return jnp.concatenate([batch.obs[..., :-1, :], action], axis=-1)

    def policy_law(params: PyTree, obs: Array) -> Any:
        if isinstance(action_space, Box) and not config.learn_deviation:
            params = params | {"log_std": jax.lax.stop_gradient(params["log_std"])}
        return law.apply(params, obs)

    def log_prob(params: PyTree, batch: Seen) -> Array:
        return policy_law(params, batch.obs[..., :-1, :]).log_prob(batch.action)

    def imitation(log_pi: Array, pairs: Preferences) -> Array:
        """`[B]` minus the log-probability of a step."""
        wanted = jnp.stack([pairs.p_first, 1.0 - pairs.p_first], axis=-1)
        share = wanted if config.imitated == "preferred" else jnp.full(wanted.shape, 0.5)
        weight = jnp.broadcast_to(share[..., None], log_pi.shape) / log_pi.shape[-1]
        return policies.weighted_nll(log_pi, weight).sum((-2, -1))

    def cpl(learner: Learner, params: PyTree, batch: Seen, log_pi: Array, p: Array) -> Array:
        """`[B]` the loss of each pair."""
        if config.loss == "cpl_kl":
            anchor = log_prob(learner.reference, batch)
            log_pi = log_pi - jax.lax.stop_gradient(anchor)
        u = preferences.contrastive(log_pi, batch.live)
        return policies.cpl(u[:, 0], u[:, 1], config.alpha, bias=config.bias, p_first=p)

    def believe(params: PyTree, batch: Seen) -> tuple[Array, Array, Array]:
        """Rewards that critics believe in `[M, B, 2, L]`, values, and what critics see."""
        live, beside = batch.live, join(batch)
        value = v.apply(params["v"], batch.obs)
        goes_on = jnp.concatenate([live[..., 1:], live[..., -1:]], axis=-1)
        bound = 1.0 / (config.regularizer * (1.0 - config.discount))
        rewarded = partial(
            rewards.inverse_bellman,
            discount_t=config.discount * goes_on,
            v_t=value[..., 1:],
            bound=bound,
        )
        return jax.vmap(rewarded)(q.apply(params["q"], beside)), value, beside

    def ipl(
        learner: Learner, params: PyTree, batch: Seen, log_pi: Array, p: Array
    ) -> tuple[Array, Metrics]:
        """`[B]` the losses of critics, values and policy.

        The last state of a segment may be terminal, and nothing says so: values learn to be 0 in
        terminal states, wherever a segment goes on in one.
        """
        live = batch.live
        believed, value, beside = believe(params, batch)
        critic = jax.vmap(lambda r_t: values.ipl(r_t, live, p, regularizer=config.regularizer))(
            believed
        ).sum(0)
        slow = jax.lax.stop_gradient(q.apply(learner.reference, beside).min(0))
        v_tm1 = value[..., :-1]
        worth = jnp.where(live, values.expectile(v_tm1, slow, config.expectile), jnp.square(v_tm1))
        actor = policies.awr(log_pi, slow - v_tm1, config.temperature, cap=config.cap)
        mean = lambda x: statistics.masked_mean(x, live, axis=(-2, -1))
        report = {"critic_loss": critic.mean(), "v": v_tm1.mean(where=live)}
        return critic + worth.mean((-2, -1)) + mean(actor), report

    def loss(
        params: PyTree, learner: Learner, pairs: Preferences, imitating: Array
    ) -> tuple[Array, Metrics]:
        batch, p = look(learner, pairs.segments), pairs.p_first
        log_pi = jnp.where(batch.live, log_prob(params["policy"], batch), 0.0)
        imitated = imitation(log_pi, pairs)
        report: Metrics = {}
        if config.loss == "ipl":
            own, report = ipl(learner, params, batch, log_pi, p)
        elif config.loss == "imitation":
            own = imitated
        else:
            own = cpl(learner, params["policy"], batch, log_pi, p)
        each = jnp.where(imitating, imitated, own + config.imitation_weight * imitated)
        total = jnp.sum(pairs.weight * each) / jnp.maximum(pairs.weight.sum(), 1e-6)
        u = preferences.contrastive(log_pi, batch.live)
        return total, report | {
            "loss": total,
            "imitation_loss": imitated.mean(),
            "accuracy": jnp.nan_to_num(reports.accuracy(u[:, 0] - u[:, 1], p), nan=0.5),
        }

    def learn(learner: Learner, pairs: Preferences, step: Array) -> tuple[Learner, Metrics]:
        """One minibatch."""
        if config.imitation_steps:
            changed = step == config.imitation_steps
            fresh = optimizer.init(learner.params)
            learner = learner._replace(
                optimizer=optax.tree.where(changed, fresh, learner.optimizer)
            )
            if config.loss == "cpl_kl":
                anchor = optax.tree.where(changed, learner.params["policy"], learner.reference)
                learner = learner._replace(reference=anchor)
        imitating = step < config.imitation_steps
        grads, metrics = jax.grad(loss, has_aux=True)(learner.params, learner, pairs, imitating)
        direction, state = optimizer.update(grads, learner.optimizer)
        params = responding.descend(learner.params, direction, config.learning_rate)
        learner = learner._replace(params=params, optimizer=state)
        if config.loss == "ipl":
            slow = optax.incremental_update(params["q"], learner.reference, config.target_rate)
            learner = learner._replace(reference=slow)
        return learner, metrics | {"grad_norm": optax.tree.norm(grads)}

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_collect, key_act = jax.random.split(state.key, 3)
        learner, actor, env_steps = state.learner, state.actor, jnp.zeros((), jnp.int32)
        if config.collect_every:
            count, rest = jnp.divmod(state.step, config.collect_every)
            now = (count > 0) & (rest == 0)
            learner, actor = jax.lax.cond(
                now,
                lambda: collect(learner, actor, (count - 1) % config.num_rounds, key_collect),
                lambda: (learner, actor),
            )
            made = 2 * config.candidates * config.length * config.num_envs // config.num_rounds
            env_steps = jnp.where(now, jnp.int32(made), env_steps)
        rows, put = selecting.share(actor, num_batches, state.step % num_batches)
        learner, metrics = learn(learner, rows.pairs, state.step)
        acted, (*_, tally) = act(exploit, learner, rows.acting, key_act, config.act_steps)
        metrics |= acting.summary(tally)
        metrics["env_steps"] += env_steps
        actor = put(rows._replace(acting=acted))
        return TrainState(learner, actor, key, state.step + 1), metrics

    def policy(learner: Learner) -> Policy:
        return Policy(lambda key: (), lambda memory, obs, key: (memory, exploit(learner, obs, key)))

    return Agent(init, step, policy)


def _side_by_side(network: networks.Network, num: int) -> networks.Network:
    """An ensemble, each member computed by itself: however it is compiled, to the same bits."""

    def init(key: Key, x: Array) -> list[PyTree]:
        return [network.init(k, x) for k in jax.random.split(key, num)]

    return networks.Network(
        init, lambda params, x: jnp.stack([network.apply(member, x) for member in params])
    )


def _observed(segments: Segments) -> Array:
    """Observations that were acted on; the first stands in for what came after an end."""
    state = segments.state[..., :-1, :]
    return jnp.where(segments.live[..., None], state, state[..., :1, :])


def _check(config: Config, data: Preferences | None) -> None:
    lookup(dict.fromkeys(get_args(Loss)), config.loss, "loss")
    lookup(dict.fromkeys(get_args(Imitated)), config.imitated, "imitated")
    for name in ("batch_size", "num_rounds"):
        if config.num_envs % getattr(config, name):
            raise ValueError(
                f"num_envs={config.num_envs} must be a multiple of {name}={getattr(config, name)}"
            )
    if config.candidates < 1:
        raise ValueError(f"candidates={config.candidates} must be at least 1")
    if config.loss == "cpl_kl" and not config.imitation_steps:
        raise ValueError("imitation_steps must be positive: cpl_kl compares with what was imitated")
    if data is None:
        return
    shape = data.segments.state.shape
    if len(shape) != 4 or shape[1] != 2:
        raise ValueError(f"data has states {list(shape)}: they must be [N, 2, L + 1, D]")
    if config.collect_every and shape[2] != config.length + 1:
        raise ValueError(f"data has segments of {shape[2] - 1} steps, and length={config.length}")
