"""Behaviour of mixed quality in a task, and a critic who says what each step of it was worth.

What benchmarks of learning from choices have in common, where states cannot be counted. PPO is
trained on the true reward; the best of some seeds is the expert, and how it acted earlier in that
run gives policies of every quality, who act with a share of random actions. The expert's values, in
units of reward, are learned by TD(lambda) from episodes in which one of those policies begins and
the expert goes on from wherever it is left. The advantage of a step is then r + gamma V(s') - V(s),
with V(s') = 0 where the episode terminated.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import envs, networks, preferences, statistics, values
from rlax_pref.agents import ppo, runner
from rlax_pref.envs.check import sample_action
from rlax_pref.types import Agent, Array, Env, Key, Policy, PyTree, Segments, TrainState

TIME_LIMIT = 500
SNAPSHOTS = (0, 1, 2, 4, 10)  # tenths of the expert's training; the first acts at random
RANDOM_ACTIONS = 0.3  # share of them in what the others do
HANDING_OVER = 50  # steps, fewer than these are taken before the expert goes on
NUM_EXPERTS = 4  # seeds, of which the best is taken
NUM_EPISODES = 32
TOLERANCE = 1e-4  # of the noiseless teacher, in units of reward
Line = dict[str, Any]


class Settings(NamedTuple):
    """How much of everything; what shapes the programs."""

    updates: int = 100  # of PPO
    length: int = 10  # steps in a segment
    num_envs: int = 64  # in which each policy of mixed quality acts
    num_steps: int = 500  # of each
    fit_steps: int = 2000  # of Adam, for each ensemble
    critic_steps: int = 4000  # of Adam
    hidden: tuple[int, ...] = (64, 64)  # of ensembles and critic


class World(NamedTuple):
    """What was done in a task, and what it is worth."""

    segments: Segments  # leaves lead with [N, 2]
    reward: Array  # [N, 2, L]
    advantage: Array  # [N, 2, L], in units of reward


# Who acts -----------------------------------------------------------------------------------


def noisy(policy: Policy, env: Env, share: float) -> Policy:
    """The same policy, but with this probability the action is uniformly random."""

    def act(memory: Any, obs: Array, key: Key) -> tuple[Any, Array]:
        key_act, key_any, key_coin = jax.random.split(key, 3)
        memory, action = policy.act(memory, obs, key_act)
        other = sample_action(env.action_space, key_any)
        return memory, jnp.where(jax.random.bernoulli(key_coin, share), other, action)

    return Policy(policy.init, act)


def handing_over(first: Policy, second: Policy, horizon: int) -> Policy:
    """`first` acts for a random number of steps below `horizon`, then `second` goes on."""

    def init(key: Key) -> tuple[Array, Any, Any]:
        key_left, key_first, key_second = jax.random.split(key, 3)
        left = jax.random.randint(key_left, (), 0, horizon)
        return left, first.init(key_first), second.init(key_second)

    def act(memory: tuple[Array, Any, Any], obs: Array, key: Key) -> tuple[Any, Array]:
        left, one, two = memory
        one, early = first.act(one, obs, key)
        two, late = second.act(two, obs, key)
        return (left - 1, one, two), jnp.where(left > 0, early, late)

    return Policy(init, act)


def configuration(updates: int) -> Any:
    """PPO's settings, the same for every reward."""
    return ppo.Config(anneal_updates=float(updates))


def trained(agent: Agent, key: Key, updates: int) -> PyTree:
    """Trains, and returns the learners at `SNAPSHOTS`, as leaves `[S, ...]`."""

    def tenth(state: TrainState, _: None) -> tuple[TrainState, PyTree]:
        return runner.run(agent, state, updates // 10)[0], state.learner

    state, before = jax.lax.scan(tenth, agent.init(key), length=10)
    every = jax.tree.map(lambda x, last: jnp.concatenate([x, last[None]]), before, state.learner)
    return jax.tree.map(lambda x: x[jnp.array(SNAPSHOTS)], every)


def returns(env: Env, policy: Policy, key: Key) -> dict[str, Array]:
    """True mean return of whole episodes, and the share that did not last to the time limit."""
    episodes = runner.evaluate(env, policy, key, NUM_EPISODES, TIME_LIMIT)
    return {
        "return": episodes["return"].mean(),
        "ended": (episodes["length"] < TIME_LIMIT).mean(dtype=jnp.float32),
    }


# What is known ------------------------------------------------------------------------------


def fit_critic(
    key: Key,
    rollout: envs.Rollout,
    trusted: Array,
    discount: float,
    *,
    hidden: tuple[int, ...] = (64, 64),
    num_steps: int = 4000,
) -> Callable[[Array], Array]:
    """A policy's values by TD(lambda), from a record in which it acts some of the time.

    Args:
      key: for parameters and minibatches.
      rollout: leaves `[T, E, ...]`.
      trusted: `[T, E]` bool, whether the policy to be judged took this action. Only such steps
        are learned from, and returns stop in front of others.
      discount: gamma.
      hidden: widths of the hidden layers.
      num_steps: of Adam, in ten rounds with fresh targets each.

    Returns:
      `v(obs [..., D]) -> [...]`, in units of reward.
    """
    network = networks.value(hidden)
    moments = statistics.update(statistics.init(rollout.obs_tm1[0, 0]), rollout.obs_tm1)
    unit = jnp.abs(rollout.r_t).mean() / (1 - discount) + 1e-6  # the network's outputs are order 1
    goes_on = jnp.concatenate([trusted[1:], jnp.zeros_like(trusted[:1])])
    optimizer = optax.adam(optax.cosine_decay_schedule(3e-3, num_steps))
    obs, weight = _flat(rollout.obs_tm1), _flat(trusted.astype(jnp.float32))

    def v(params: PyTree, obs: Array) -> Array:
        return network.apply(params, statistics.normalize(moments, obs)) * unit

    def loss(params: PyTree, target: Array, rows: Array) -> Array:
        error = (v(params, obs[rows]) - target[rows]) / unit
        return jnp.mean(weight[rows] * jnp.square(error))

    def learn(carry: Any, key: Key) -> tuple[Any, None]:
        target = values.lambda_returns(
            rollout.r_t,
            discount * (1.0 - rollout.terminated_t),
            v(carry[0], rollout.obs_t),
            0.98 * goes_on,
            truncated_t=rollout.truncated_t,
        )

        def descend(carry: Any, key: Key) -> tuple[Any, None]:
            params, state = carry
            rows = jax.random.randint(key, (512,), 0, weight.size)
            updates, state = optimizer.update(jax.grad(loss)(params, _flat(target), rows), state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(descend, carry, jax.random.split(key, num_steps // 10))

    key_init, key_learn = jax.random.split(key)
    params = network.init(key_init, obs[:1])
    carry = params, optimizer.init(params)
    (params, _), _ = jax.lax.scan(learn, carry, jax.random.split(key_learn, 10))
    return partial(v, params)


def advantage_of(v: Callable[[Array], Array], rollout: envs.Rollout, discount: float) -> Array:
    """`[T, E]` r + gamma V(s') - V(s), in units of reward; V is 0 after a termination."""
    follows = discount * (1.0 - rollout.terminated_t) * v(rollout.obs_t)
    return rollout.r_t + follows - v(rollout.obs_tm1)


def took(policy: Policy, rollout: envs.Rollout) -> Array:
    """`[T, E]` bool, whether a policy without memory or chance would have acted so."""
    act = lambda obs: policy.act((), obs, jax.random.key(0))[1]
    apart = jnp.abs(jax.vmap(jax.vmap(act))(rollout.obs_tm1) - rollout.a_tm1)
    return apart.reshape(*rollout.r_t.shape, -1).max(-1) < 1e-4


@partial(jax.jit, static_argnames=("num_pairs", "settings"))
def prepare(env: Env, key: Key, *, num_pairs: int, settings: Settings) -> tuple[World, Line]:
    """Pairs of segments of mixed quality with what they are worth, and how good the expert is."""
    keys = iter(jax.random.split(key, 6))
    config = configuration(3 * settings.updates)
    agent = ppo.make(env, config)
    kept = jax.vmap(lambda key: trained(agent, key, 3 * settings.updates))(
        jax.random.split(next(keys), NUM_EXPERTS)
    )
    judged = jax.vmap(lambda own, key: returns(env, agent.policy(_last(own)), key))(
        kept, jax.random.split(next(keys), NUM_EXPERTS)
    )
    best = jnp.argmax(judged["return"])
    kept, judged = jax.tree.map(lambda x: x[best], (kept, judged))
    expert = agent.policy(_last(kept))
    shares = jnp.full(len(SNAPSHOTS), RANDOM_ACTIONS).at[0].set(1.0)

    def everyone(key: Key, change: Callable[[Policy], Policy]) -> envs.Rollout:
        def one(learner: PyTree, share: Array, key: Key) -> envs.Rollout:
            policy = change(noisy(agent.policy(learner), env, share))
            return envs.rollout(env, policy, key, settings.num_envs, settings.num_steps)

        apart = jax.vmap(one, out_axes=1)(kept, shares, jax.random.split(key, len(SNAPSHOTS)))
        return jax.tree.map(lambda x: x.reshape(x.shape[0], -1, *x.shape[3:]), apart)

    shown = everyone(next(keys), lambda policy: handing_over(policy, expert, HANDING_OVER))
    v = fit_critic(
        next(keys),
        shown,
        took(expert, shown),
        config.discount,
        hidden=settings.hidden,
        num_steps=settings.critic_steps,
    )
    done = everyone(next(keys), lambda policy: policy)
    segments, worth = preferences.cut_segments(
        next(keys),
        done.obs_tm1,
        done.a_tm1,
        done.obs_t,
        done.terminated_t,
        done.truncated_t,
        (num_pairs, 2),
        settings.length,
        carry={"reward": done.r_t, "advantage": advantage_of(v, done, config.discount)},
    )
    return World(segments, **worth), judged


@partial(jax.jit, static_argnames="updates")
def references(env: Env, keys: Key, *, updates: int) -> dict[str, Any]:
    """What PPO on the true reward and random actions achieve; leaves lead with `[K]`."""

    def one(key: Key) -> dict[str, Any]:
        key_train, key_judge, key_random = jax.random.split(key, 3)
        agent = ppo.make(env, configuration(updates))
        state, _ = runner.run(agent, agent.init(key_train), updates)
        policy = agent.policy(state.learner)
        return {
            "true_reward": returns(env, policy, key_judge),
            "random": returns(env, noisy(policy, env, 1.0), key_random),
        }

    return jax.vmap(one)(keys)


def _flat(x: Array) -> Array:
    return x.reshape(-1, *x.shape[2:])


def _last(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda x: x[-1], tree)
