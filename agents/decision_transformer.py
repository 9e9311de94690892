"""The Decision Transformer (Chen et al., 2021, arXiv:2106.01345).

A trajectory is read as returns to go, observations and actions in turn. What is learned is which
action was taken, given what came of it; to act well, ask for a lot to come of it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import buffers, networks, transitions, values
from rlax_pref.types import (
    Agent,
    Array,
    Box,
    Discrete,
    Env,
    Key,
    Metrics,
    Policy,
    PyTree,
    TimeStep,
    Transition,
)

from . import learning, off_policy
from .configs.sequence import DecisionTransformer as Config
from .learning import Learner

jax.tree_util.register_dataclass(Config)
DEFAULT = Config()


class Stored(NamedTuple):
    """Steps that know their place in their trajectories, whose parts other stores may hold."""

    step: Transition  # [E, capacity, ...]
    to_go: Array  # [E, capacity] what was earned from here to the end, this step included
    time: Array  # [E, capacity] int32, steps before this one


class Contexts(NamedTuple):
    """Stretches of trajectories as the network sees them; `[..., K]` of them."""

    to_go: Array  # [..., K] in units of the scale
    obs: Array  # [..., K, D]
    action: Array  # [..., K, A] within [-1, 1], or one-hot
    time: Array  # [..., K] int32


class Batch(NamedTuple):
    """What is learned from."""

    contexts: Contexts
    valid: Array  # [..., K] bool: neither padding nor what may not be learned from


class Memory(NamedTuple):
    """The last K steps of an episode; what is missing of them is missing at the end."""

    obs: Array  # [K, D]
    action: Array  # [K, A]
    before: Array  # [K] what had been earned before each step
    earned: Array  # [] so far
    time: Array  # [] int32, steps so far


def make(env: Env, config: Config = DEFAULT, data: Transition | None = None) -> Agent:
    """Makes the agent.

    Args:
      env: an environment that does not reset itself; `obs` is `[D]`, and actions of a box `[A]`.
      config: see `configs.DecisionTransformer`.
      data: steps of whole trajectories, in the order in which they happened; see
        `off_policy.make`. Returns to go are of all of a trajectory that is there.

    Returns:
      `Agent(init, step, policy)`; see `off_policy.make`. The policy remembers what it saw, did
      and earned: it has to be told by `observe`. The metric `best_return` is the most that a
      trajectory of the data earned.

    Raises:
      ValueError: settings do not fit together, to the environment or to the data.
    """
    return off_policy.make(env, config, method(env, config, data), data)


def method(env: Env, config: Config, data: Transition | None = None) -> off_policy.Method:
    """Imitation of what led to as much as is asked for."""
    obs_like = jax.eval_shape(env.reset, jax.random.key(0))[1]
    _check(config, env.action_space, obs_like)
    space, length = env.action_space, config.context
    num_actions = space.num if isinstance(space, Discrete) else space.shape[0]
    network = networks.decision_transformer(
        num_actions,
        config.max_length,
        width=config.width,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        mlp_embeddings=config.mlp_embeddings,
        mlp_head=config.mlp_head,
        dropout=config.dropout,
        dtype=config.dtype,
    )

    def init(key: Key, obs: Array, action: Array) -> dict[str, PyTree]:
        first = Contexts(jnp.zeros(1), obs, _numbers(space, action), jnp.zeros(1, jnp.int32))
        returns = {"best": jnp.zeros(()), "scale": jnp.ones(())}
        return {"network": network.init(key, first), "returns": returns}

    def rewards(r_t: Array) -> Array:
        return config.reward_scale * r_t + config.reward_shift

    # Learning -------------------------------------------------------------------------------

    def locate(step: Transition) -> tuple[Array, Array]:
        """`[T]` returns to go, and steps since the trajectory began."""
        last = (step.discount_t == 0) | step.truncated_t.astype(bool) | ~step.valid_t.astype(bool)
        index = jnp.arange(last.shape[0], dtype=jnp.int32)
        to_go = values.returns_to_go(rewards(step.r_t), last)
        return to_go, index - transitions.trajectory_start(last)

    if data is not None:  # trajectories may go on from store to store
        whole = locate(jax.tree.map(jnp.asarray, data))
        given = buffers.from_rows(whole, config.num_envs).data

    def prepare(replay: buffers.Replay) -> buffers.Replay:
        to_go, time = jax.vmap(locate)(replay.data) if data is None else given
        return replay._replace(data=Stored(replay.data, to_go, time))

    def begin(
        learner: Learner, replay: buffers.Replay, draw: object, key: Key
    ) -> tuple[Learner, Metrics]:
        """Finds out what returns there are."""
        stored: Stored = prepare(replay).data
        valid = stored.step.valid_t
        best = jnp.max(stored.to_go, where=valid & (stored.time == 0), initial=-jnp.inf)
        largest = jnp.max(jnp.abs(stored.to_go), where=valid, initial=0.0)
        scale = jnp.where(jnp.isinf(config.return_scale), largest, config.return_scale)
        returns = {
            "best": jnp.where(jnp.isfinite(best), best, 0.0),
            "scale": jnp.where(scale == 0, 1.0, scale),
        }
        params = {**learner.params, "returns": returns}
        return learner._replace(params=params), {"best_return": returns["best"]}

    def read(learner: Learner, replay: buffers.Replay, row: Array, key: Key) -> Batch:
        """Contexts that end with these rows."""
        time = buffers.read(replay, row).time
        rows, there = transitions.context(row, jnp.maximum(row - time, 0), length)
        stored = jax.tree.map(lambda x: jax.vmap(lambda x, i: x[i])(x, rows), replay.data)
        contexts = Contexts(
            stored.to_go / learner.params["returns"]["scale"],
            learning.see(config, learner, stored.step.obs_tm1),
            _numbers(space, stored.step.a_tm1),
            stored.time,
        )
        return Batch(contexts, there & stored.step.valid_t)

    def update(
        learner: Learner, data: Batch, weight: Array, count: Array, key: Key
    ) -> tuple[Learner, Array, Metrics]:
        num = jnp.maximum(data.valid.sum(), 1)

        def loss(params: PyTree) -> tuple[Array, Array]:
            output = network.apply(
                params, (*data.contexts, key) if config.dropout else data.contexts
            )
            wrong = jnp.where(data.valid, _loss(output, data.contexts.action), 0.0)
            return (weight[:, None] * wrong).sum() / num, wrong

        rate = config.learning_rate * jnp.minimum((count + 1) / config.ramp_updates, 1.0)
        learner, wrong = learning.descend(config, learner, "network", loss, rate)
        kept = 1.0 - rate * config.weight_decay
        smaller = jax.tree.map(lambda x: kept * x, learner.params["network"])
        learner = learner._replace(params={**learner.params, "network": smaller})
        error = wrong.sum(-1) / jnp.maximum(data.valid.sum(-1), 1)
        return learner, error, {"action_loss": wrong.sum() / num}

    def _loss(output: Array, action: Array) -> Array:
        """`[..., K]` cross-entropy, or the mean square over the action's dimensions."""
        if isinstance(space, Discrete):
            return -(action * jax.nn.log_softmax(output)).sum(-1)
        return jnp.square((jnp.tanh(output) if config.bounded else output) - action).mean(-1)

    # Acting ---------------------------------------------------------------------------------

    def remember(key: Key) -> Memory:
        return Memory(
            jnp.zeros((length, *obs_like.shape), obs_like.dtype),
            jnp.zeros((length, num_actions)),
            jnp.zeros(length),
            jnp.zeros(()),
            jnp.zeros((), jnp.int32),
        )

    def choose(output: Array) -> Array:
        if isinstance(space, Discrete):
            return jnp.argmax(output, -1).astype(jnp.int32)
        return jnp.tanh(output) if config.bounded else jnp.clip(output, -1.0, 1.0)

    def policy(learner: Learner) -> Policy:
        returns = learner.params["returns"]
        asked = jnp.where(jnp.isinf(config.target_return), returns["best"], config.target_return)

        def act(memory: Memory, obs: Array, key: Key) -> tuple[Memory, Array]:
            now = jnp.minimum(memory.time, length - 1)

            def push(rows: Array, x: Array) -> Array:
                full = memory.time >= length
                return jnp.where(full, jnp.roll(rows, -1, axis=0), rows).at[now].set(x)

            seen = push(memory.obs, obs)
            before = push(memory.before, memory.earned)
            done = push(memory.action, jnp.zeros(num_actions))
            contexts = Contexts(
                (asked - before) / returns["scale"],
                learning.see(config, learner, seen),
                done,
                memory.time - now + jnp.arange(length),
            )
            action = choose(network.apply(learner.params["network"], contexts)[now])
            done = done.at[now].set(_numbers(space, action))
            memory = Memory(seen, done, before, memory.earned, memory.time + 1)
            return memory, networks.to_env(space, action)

        def observe(memory: Memory, timestep: TimeStep) -> Memory:
            return memory._replace(earned=memory.earned + rewards(timestep.reward))

        return Policy(remember, act, observe)

    return off_policy.Method(
        init,
        update,
        lambda learner, step: policy(learner),
        policy,
        read=read,
        length=1,
        begin=begin,
        prepare=prepare,
    )


def _numbers(space: Discrete | Box, action: Array) -> Array:
    """`[..., A]` actions as a network reads them."""
    return jax.nn.one_hot(action, space.num) if isinstance(space, Discrete) else action


def _check(config: Config, space: Discrete | Box, obs: jax.ShapeDtypeStruct) -> None:
    if config.collect:
        raise ValueError("decision_transformer learns offline: collect must be False")
    if obs.ndim != 1 or (isinstance(space, Box) and len(space.shape) != 1):
        raise ValueError(
            f"decision_transformer needs observations [D], not {obs.shape}, and actions that are "
            f"discrete or [A], not {space}"
        )
    for name in ("context", "max_length"):
        if getattr(config, name) < 1:
            raise ValueError(f"{name}={getattr(config, name)} must be at least 1")
