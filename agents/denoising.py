"""Policies that denoise, trained on preferences between what they make.

An action is made from noise in a few Gaussian steps. The likelihood of the action is out of reach,
but that of each step is known, and it is steps that are preferred, rewarded or imitated. First the
policy learns what the environment demonstrates; then the loop is `selecting`'s: D3PO, PRDP, DRAGON
and, to compare with, DDPO and RAFT are the classes of `configs.denoising`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp

from rlax_pref import denoising, networks, policies, preferences, statistics
from rlax_pref.names import lookup
from rlax_pref.types import Agent, Array, Box, Env, Key, Metrics, Policy, PyTree, TrainState

from . import learning, responding, selecting
from .configs.denoising import D3PO, DENOISING, Loss, Score, Selection
from .configs.denoising import Denoising as Config
from .configs.preferences import Reference
from .selecting import Learner

NUM_WAVES = 4  # cosines and sines of the angle that a network sees

for _config in (Config, *DENOISING.values()):
    jax.tree_util.register_dataclass(_config)


class Data(NamedTuple):
    """What is learned from, the actor's part of a state; every leaf leads with `[E]`."""

    obs: Array  # [E, C]
    chain: Array  # [E, G, T + 1, D] from noise to an action, where [-1, 1] is within bounds
    log_prob: Array  # [E, G, T] of each step, when it was made
    reward: Array  # [E, G]
    chosen: Array  # [E, P] int32, which of the G are preferred
    rejected: Array  # [E, P] int32, to which
    p_first: Array  # [E, P] probability of that, 1/2 or more
    read: Array  # [E] int32, how often a row was learned from


class Batch(NamedTuple):
    """A minibatch, and what the networks make of it; every leaf leads with `[B, G]`."""

    data: Data
    log_prob: Array  # [B, G, T] of steps that were made, or that lead back from added noise
    log_ratio: Array  # [B, G, T] to the reference


def _take(x: Array, index: Array) -> Array:
    """`[B, P, ...]` of `[B, G, ...]`."""
    return jnp.take_along_axis(x, index.reshape(index.shape + (1,) * (x.ndim - 2)), axis=1)


def _pairs(batch: Batch) -> tuple[Array, Array]:
    """Log-ratios of what is preferred and of the others, `[B, P, T]`."""
    data = batch.data
    return _take(batch.log_ratio, data.chosen), _take(batch.log_ratio, data.rejected)


def _labels(batch: Batch) -> Array:
    """The label of a pair at each of its steps, `[B, P, T]`."""
    p_first = batch.data.p_first
    return jnp.broadcast_to(p_first[..., None], (*p_first.shape, batch.log_ratio.shape[-1]))


def _prdp(config: Config, batch: Batch) -> Array:
    """Of all pairs of a group."""
    first, second = jnp.triu_indices(config.group_size, 1)
    old = batch.data.log_prob - jax.lax.stop_gradient(batch.log_prob - batch.log_ratio)
    reward = batch.data.reward
    return policies.prdp(
        batch.log_ratio[:, first],
        batch.log_ratio[:, second],
        old[:, first],
        old[:, second],
        reward[:, first] - reward[:, second],
        config.beta,
        epsilon=config.epsilon,
    )


def _dpo(config: Config, batch: Batch) -> Array:
    chosen, rejected = (config.num_steps * ratio for ratio in _pairs(batch))
    return policies.dpo(chosen, rejected, config.beta, p_first=_labels(batch))


def _kto(config: Config, batch: Batch) -> Array:
    pair = config.num_steps * jnp.stack(_pairs(batch))
    wanted = jnp.stack([_labels(batch), 1.0 - _labels(batch)])
    return policies.kto(pair, wanted, policies.kto_reference_point(pair), config.beta)


def _nll(config: Config, batch: Batch) -> Array:
    best = preferences.best_of_n(batch.data.reward)
    return -_take(batch.log_prob, best.chosen[:, None])


# Of steps that were made: from a minibatch to losses of any shape.
ON_CHAINS: dict[str, Callable[[Config, Batch], Array]] = {
    "d3po": lambda config, batch: policies.d3po(
        *_pairs(batch), config.beta, epsilon=config.epsilon, p_first=_labels(batch)
    ),
    "prdp": _prdp,
    "reinforce": lambda config, batch: policies.reinforce(
        batch.log_prob.sum(-1), statistics.centre(batch.data.reward)
    ),
}

# Of steps back from noise added to the actions: one step stands for all T.
ON_NOISED: dict[str, Callable[[Config, Batch], Array]] = {
    "dpo": _dpo,
    "kto": _kto,
    "nll": _nll,
}


def make(env: Env, config: Config = D3PO(), first: PyTree | None = None) -> Agent:  # noqa: B008
    """Makes the agent.

    Args:
      env: an environment of one step, whose actions are in a `Box` and whose observation is `[C]`;
        of others, only the first step counts. To be warmed up on, it has `demonstrate(key, obs)`,
        an action in its units; to score sets, `score_set(obs, actions [N, D])`.
      config: see `configs.denoising.Denoising`.
      first: parameters to begin with, such as a learner's; by default those of the warm-up.

    Returns:
      `Agent(init, step, policy)`. One `step` learns from one minibatch; minibatches take turns.
      `return` is of fresh actions, and `kl` what their chains diverge from the reference's.

    Raises:
      ValueError: settings do not fit together or to the environment; the message says which.
    """
    _check(env, config)
    action_space: Any = env.action_space
    (width,) = action_space.shape
    schedule = denoising.schedule(config.num_steps, config.least_std)
    network = networks.mlp(config.hidden, width, last_scale=0.01, **learning.kind(config))

    # Making actions -------------------------------------------------------------------------

    def look(x: Array, angle: Array, obs: Array) -> Array:
        """What the network sees; leading axes are those of x."""
        waves = jnp.arange(1, NUM_WAVES + 1) * angle[..., None]
        parts = jnp.cos(waves), jnp.sin(waves), obs
        beside = (jnp.broadcast_to(y, (*x.shape[:-1], y.shape[-1])) for y in parts)
        return jnp.concatenate([x, *beside], axis=-1)

    def chains(params: PyTree, obs: Array, key: Key) -> Array:
        """`[..., T + 1, D]` for `[..., C]`."""

        def velocity(x: Array, angle: Array) -> Array:
            return network.apply(params, look(x, angle, obs))

        return denoising.generate(schedule, velocity, key, (*obs.shape[:-1], width))

    def steps(params: PyTree, x: Array, obs: Array) -> denoising.Denoiser:
        """What the policy does in states `[..., T, D]`."""
        velocity = network.apply(params, look(x, schedule.angle, obs[..., None, :]))
        return denoising.steer(schedule, velocity)

    def ask(key: Key, num: int, times: int) -> tuple[Any, Array]:
        """States of `num` environments, and observations `[num, times, C]`."""
        states, obs = jax.vmap(env.reset)(jax.random.split(key, num))
        return states, jnp.repeat(obs[:, None], times, axis=1)

    def pay(states: Any, chain: Array, key: Key) -> Array:
        """`[E, G]` what the actions at the ends of chains earn."""
        action = networks.to_env(action_space, chain[..., -1, :])
        keys = jax.random.split(key, action.shape[:2])
        one = lambda key, state, action: env.step(key, state, action)[1].reward
        return jax.vmap(jax.vmap(one, (0, None, 0)))(keys, states, action)

    def swap(obs: Array, action: Array, reward: Array) -> selecting.Pairs:
        """Of one observation: two halves of its actions, the better set first."""
        score = getattr(env, "score_set", None) if config.score == "set" else None
        everything = {"action": action, "reward": reward, "index": jnp.arange(len(reward))}
        half = len(reward) // 2

        def worth(some: dict[str, Array]) -> Array:
            return score(obs, some["action"]) if score else some["reward"].mean()

        better, worse = preferences.dragon(
            worth,
            *(jax.tree.map(lambda x: x[a : a + half], everything) for a in (0, half)),  # noqa: B023
        )
        p_first = jnp.where(worth(better) > worth(worse), 1.0, 0.5)
        return selecting.Pairs(better["index"], worse["index"], jnp.full(half, p_first))

    def gather(params: PyTree, key: Key) -> Data:
        """Actions of a policy, and which of them are preferred."""
        key_ask, key_make, key_pay, key_judge = jax.random.split(key, 4)
        states, obs = ask(key_ask, config.num_envs, config.group_size)
        chain = chains(params, obs, key_make)
        log_prob = denoising.log_prob(steps(params, chain[..., :-1, :], obs), chain)
        reward = pay(states, chain, key_pay)
        if config.selection == "sets":
            action = networks.to_env(action_space, chain[..., -1, :])
            pairs = jax.vmap(swap)(obs[:, 0], action, reward)
        else:
            pairs = selecting.select(config, selecting.differences(reward), key_judge)
            pairs = jax.tree.map(lambda x: x[:, None], pairs)
        read = jnp.zeros(config.num_envs, jnp.int32)
        return Data(obs[:, 0], chain, log_prob, reward, *pairs, read)

    # Learning -------------------------------------------------------------------------------

    def warm_up(params: PyTree, key: Key) -> PyTree:
        """Learns to denoise what is demonstrated."""
        adam = responding.optimizer(config)

        def loss(params: PyTree, key: Key) -> Array:
            key_ask, key_show, key_noise = jax.random.split(key, 3)
            _, obs = ask(key_ask, config.warm_up_batch, 1)
            keys = jax.random.split(key_show, config.warm_up_batch)
            shown = jax.vmap(env.demonstrate)(keys, obs[:, 0])  # type: ignore[attr-defined]
            x = networks.from_env(action_space, shown)[:, None]
            noise = jax.random.normal(key_noise, (config.warm_up_batch, config.num_steps, width))
            noisy, velocity = denoising.add_noise(schedule.angle, x, noise)
            found = network.apply(params, look(noisy, schedule.angle, obs))
            return jnp.square(found - velocity).sum(-1).mean()

        def step(carry: tuple[PyTree, Any], inputs: tuple[Key, Array]) -> tuple[Any, None]:
            params, state = carry
            key, rate = inputs
            direction, state = adam.update(jax.grad(loss)(params, key), state)
            return (responding.descend(params, direction, rate), state), None

        rate = config.warm_up_learning_rate * jnp.linspace(1.0, 0.0, config.warm_up)
        inputs = jax.random.split(key, config.warm_up), rate
        return jax.lax.scan(step, (params, adam.init(params)), inputs)[0][0]

    def init(key: Key) -> TrainState:
        key, key_params, key_warm, key_data = jax.random.split(key, 4)
        _, obs = ask(key_params, 1, 1)
        params = first
        if first is None:
            params = network.init(key_params, look(jnp.zeros((1, width)), jnp.zeros(1), obs[0]))
            if config.warm_up:
                params = warm_up(params, key_warm)
        learner = Learner(params, responding.optimizer(config).init(params), params)
        return TrainState(learner, gather(params, key_data), key, jnp.zeros((), jnp.int32))

    def loss(params: PyTree, reference: PyTree, data: Data, key: Key) -> tuple[Array, Metrics]:
        obs, chain = data.obs[:, None], data.chain
        if config.loss in ON_NOISED:  # the same noise for all actions of a group
            noise = jax.random.normal(key, (len(chain), 1, config.num_steps, width))
            x, velocity = denoising.add_noise(schedule.angle, chain[..., -1:, :], noise)
            true = denoising.steer(schedule, velocity)
            likely = lambda params: -denoising.step_kl(true, steps(params, x, obs))
        else:
            likely = lambda params: denoising.log_prob(
                steps(params, chain[..., :-1, :], obs), chain
            )
        log_prob = likely(params)
        batch = Batch(data, log_prob, log_prob - jax.lax.stop_gradient(likely(reference)))
        total = (ON_CHAINS | ON_NOISED)[config.loss](config, batch).mean()
        chosen, rejected = _pairs(batch)
        margin = jax.lax.stop_gradient(chosen.sum(-1) - rejected.sum(-1))
        return total, {
            "loss": total,
            "rewards/margins": config.beta * margin.mean(),
            "rewards/accuracies": (margin > 0).mean(),
        }

    def judge(learner: Learner, key: Key) -> Metrics:
        key_ask, key_make, key_pay = jax.random.split(key, 3)
        states, obs = ask(key_ask, config.num_judged, 1)
        chain = chains(learner.params, obs, key_make)
        own, other = (
            steps(params, chain[..., :-1, :], obs) for params in (learner.params, learner.reference)
        )
        return {
            "episodes": jnp.int32(config.num_judged),
            "return": pay(states, chain, key_pay).mean(),
            "length": jnp.float32(1.0),
            "kl": denoising.step_kl(own, other).sum(-1).mean(),
        }

    def policy(learner: Learner) -> Policy:
        def act(memory: tuple, obs: Array, key: Key) -> tuple[tuple, Array]:
            chain = chains(learner.params, obs, key)
            return memory, networks.to_env(action_space, chain[-1])

        return Policy(lambda key: (), act)

    return Agent(init, selecting.make_step(config, gather, loss, judge), policy)


def _check(env: Env, config: Config) -> None:
    lookup(dict.fromkeys(get_args(Loss)), config.loss, "loss")
    lookup(dict.fromkeys(get_args(Selection)), config.selection, "selection")
    lookup(dict.fromkeys(get_args(Score)), config.score, "score")
    lookup(dict.fromkeys(get_args(Reference)), config.reference, "reference")
    selecting.check(config)
    name, space = type(env).__name__, env.action_space
    if not isinstance(space, Box) or len(space.shape) != 1:
        raise ValueError(f"{name} takes {space}: what is denoised is a Box of shape [D]")
    if config.reference == "soup":
        raise ValueError(
            "reference='soup' is of policies of tokens: choose first, previous or slow"
        )
    if config.warm_up and not hasattr(env, "demonstrate"):
        raise ValueError(f"warm_up={config.warm_up}: {name} demonstrates nothing; set it to 0")
    if config.selection == "sets" and config.group_size % 2:
        raise ValueError(f"group_size={config.group_size} must be even: two sets are compared")
    if config.score == "set":
        if config.selection != "sets":
            raise ValueError(f"score='set' needs selection='sets', not {config.selection!r}")
        if not hasattr(env, "score_set"):
            raise ValueError(f"score='set': {name} scores no sets; choose 'sample'")
