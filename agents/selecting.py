"""Sample, score, select, learn: the loop of all agents that learn from their own choices.

Never to sample again is offline learning (DPO), now and then is iterated (RAFT, DNO, DRAGON), in
every step is online. An agent says how it samples and scores (`gather`) and what it learns from a
minibatch (`loss`); which of a group is preferred, what log-ratios are taken to and when new data
replace the old is decided here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import preferences
from rlax_pref.types import Array, Key, Metrics, Numeric, PyTree, TrainState

from . import responding
from .configs.denoising import Denoising
from .configs.preferences import PreferenceTokens

Config = PreferenceTokens | Denoising


class Learner(NamedTuple):
    """What is learned; equal on all devices."""

    params: PyTree
    optimizer: optax.OptState
    reference: PyTree


class Pairs(NamedTuple):
    """Which of a group is preferred to which."""

    chosen: Array  # [E] int32 within the group
    rejected: Array  # [E] int32
    p_first: Array  # [E] probability of that, 1/2 or more


def fill(data: PyTree, multiple: int) -> tuple[int, Any]:
    """Rows of data, some of them again, such that their number is a multiple; and this number."""
    given = len(jax.tree.leaves(data)[0])
    num = -(-given // multiple) * multiple
    if num == given:
        return num, data
    return num, jax.tree.map(lambda x: x[jnp.arange(num) % given], data)


def differences(reward: Array) -> Array:
    """`[E, G, G]` by how much each is worth more than each other, of what they are worth."""
    return reward[..., :, None] - reward[..., None, :]


def select(config: Config, lead: Array, key: Key) -> Pairs:
    """Pairs by who leads whom, `[E, G, G]`: the best and the worst, or the first two as judged."""
    if config.selection == "best_and_worst":
        pair = preferences.best_and_worst(preferences.win_rates(lead))
        return Pairs(pair.chosen, pair.rejected, 1.0 - 0.5 * ~pair.keep)
    other = min(1, lead.shape[-1] - 1)  # one alone is compared with itself
    p_first = preferences.teacher(
        key,
        lead[:, 0, other],
        jnp.zeros(len(lead)),
        noiseless=config.noiseless,
        temperature=config.label_temperature,
    )
    second = other * (p_first < 0.5).astype(jnp.int32)
    return Pairs(second, other - second, jnp.maximum(p_first, 1.0 - p_first))


def make_step(
    config: Config,
    gather: Callable[[PyTree, Key], Any],
    loss: Callable[[PyTree, PyTree, Any, Key], tuple[Array, Metrics]],
    judge: Callable[[Learner, Key], Metrics],
) -> Callable[[TrainState], tuple[TrainState, Metrics]]:
    """Makes a step that learns from one minibatch; minibatches take turns.

    Args:
      config: of the agent.
      gather: `(params, key)` to data: sampled, scored and selected. Every leaf leads with `[E]`;
        `read`, `[E]` int32, counts how often a row was learned from.
      loss: `(params, reference, minibatch, key)` to a mean and what to report.
      judge: what to report of the policy, of samples from which nothing is learned.
    """
    optimizer = responding.optimizer(config)
    num_batches = config.num_envs // config.batch_size

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_gather, key_judge, key_loss = jax.random.split(state.key, 4)
        learner, actor = state.learner, state.actor
        if config.resample_every:
            now = (state.step > 0) & (state.step % config.resample_every == 0)
            renew = lambda: _mix(actor, gather(learner.params, key_gather), config.stay, key_loss)
            actor = jax.lax.cond(now, renew, lambda: actor)
            if config.reference == "previous":
                learner = learner._replace(
                    reference=optax.tree.where(now, learner.params, learner.reference)
                )
        turn = state.step % num_batches
        minibatch = jax.tree.map(lambda x: x[turn], responding.minibatches(actor, num_batches))
        grads, metrics = jax.grad(loss, has_aux=True)(
            learner.params, learner.reference, minibatch, key_loss
        )
        metrics["grad_norm"] = optax.tree.norm(grads)
        direction, optimizer_state = optimizer.update(grads, learner.optimizer)
        params = responding.descend(learner.params, direction, config.learning_rate)
        reference = learner.reference
        if config.reference == "slow":
            reference = optax.incremental_update(params, reference, config.reference_rate)
        learner = Learner(params, optimizer_state, reference)
        mine = (jnp.arange(config.num_envs) % num_batches == turn).astype(jnp.int32)
        actor = actor._replace(read=actor.read + mine)
        metrics |= judge(learner, key_judge)
        metrics["env_steps"] = jnp.int32(config.env_steps)
        return TrainState(learner, actor, key, state.step + 1), metrics

    return step


def _mix(old: Any, new: Any, stay: Numeric, key: Key) -> Any:
    """New rows, of which a share is left as it was."""
    kept = jax.random.bernoulli(jax.random.fold_in(key, 1), stay, new.read.shape)
    return where_rows(kept, old, new)


def where_rows(choose: Array, these: Any, those: Any) -> Any:
    """Rows `[E, ...]` of the one tree where `choose`, `[E]`, says so, of the other elsewhere."""
    each = lambda x, y: jnp.where(choose.reshape(-1, *[1] * (x.ndim - 1)), x, y)
    return jax.tree.map(each, these, those)


def share(tree: PyTree, num: int, turn: Array) -> tuple[Any, Any]:
    """Every num-th row, and what puts others in their place: no row moves to another device."""
    split = lambda x: x.reshape(-1, num, *x.shape[1:])
    take = lambda x: jax.lax.dynamic_index_in_dim(split(x), turn, axis=1, keepdims=False)
    place = lambda x, y: jax.lax.dynamic_update_index_in_dim(split(x), y, turn, axis=1).reshape(
        x.shape
    )
    return jax.tree.map(take, tree), lambda rows: jax.tree.map(place, tree, rows)


def check(config: Config, least: int = 2) -> None:
    """Raises ValueError if there can be no minibatches, or fewer than so many of a group."""
    if config.num_envs % config.batch_size:
        raise ValueError(
            f"num_envs={config.num_envs} must be a multiple of batch_size={config.batch_size}"
        )
    if config.group_size < least:
        raise ValueError(f"group_size={config.group_size}: preferences are between two or more")
