"""Policies of tokens, trained on responses that are there already.

One loop for a family of methods: a method says which critics it needs beside the policy and what
it minimises, given the outputs of all of them; behaviour cloning, A-LoL, OREO, step-DAPO and ILQL
are the classes of `configs.offline_tokens`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import advantages, policies, reading, statistics, tokens, values
from rlax_pref.names import lookup
from rlax_pref.types import Agent, Array, Key, Metrics, Numeric, PyTree, TrainState

from . import responding
from .configs.offline_tokens import BC, OFFLINE_TOKENS
from .configs.offline_tokens import OfflineTokens as Config
from .responding import Responses

for _config in (Config, *OFFLINE_TOKENS.values()):
    jax.tree_util.register_dataclass(_config)

Outputs = Mapping[str, Array]  # of each network, [B, L, K] logits or action values, or [B, L, 1]


class Learner(NamedTuple):
    """What is learned; equal on all devices."""

    params: dict[str, PyTree]
    optimizer: dict[str, PyTree]
    target: dict[str, PyTree]  # slow copies of the critics
    reference: PyTree  # the policy that the responses are from, or the first one


class Data(NamedTuple):
    """What is learned from, the actor's part of a state; every leaf leads with `[E]`."""

    responses: Responses
    reference: Array  # [E, L] log-probabilities under the reference
    value: Array  # [E] what the prompt is worth to the reference; 0 where no method asks
    read: Array  # [E] int32, how often each response was learned from


class Batch(NamedTuple):
    """A minibatch, and what the networks make of it; every leaf leads with `[B]`."""

    data: Data
    log_prob: Array  # [B, L] under the policy
    outputs: Outputs
    targets: Outputs  # of the slow copies


class Method(NamedTuple):
    """Critics by name, each giving one output for each token (True) or a single one, and a loss.

    The loss is of each token, `[B, L]`, or of each response, `[B]`: the policy's, and the
    critics' together.
    """

    critics: Mapping[str, bool]
    loss: Callable[[Config, Batch, Key], tuple[Array, Array]]


def _nll(config: Config, batch: Batch, key: Key) -> tuple[Array, Array]:
    reward = batch.data.responses.reward
    weights = {"one": jnp.ones_like(reward), "reward": reward, "filter": 1.0 * (reward > 0)}
    weight = lookup(weights, config.weight, "weight")[:, None]
    weight = jnp.broadcast_to(weight, batch.log_prob.shape)
    return policies.weighted_nll(batch.log_prob, weight), jnp.zeros(())


def _a_lol(config: Config, batch: Batch, key: Key) -> tuple[Array, Array]:
    responses = batch.data.responses
    loss = policies.a_lol(
        batch.log_prob,
        batch.data.reference,
        responses.reward - batch.data.value,
        responses.mask,
        ratio=config.ratio,
        epsilon=config.clip,
        beta=config.beta,
    )
    return loss, jnp.zeros(())


def _oreo(config: Config, batch: Batch, key: Key) -> tuple[Array, Array]:
    losses = policies.oreo(
        batch.log_prob,
        batch.data.reference,
        batch.outputs["v"][..., 0],
        batch.data.responses.reward,
        batch.data.responses.mask,
        config.beta,
    )
    return losses.policy, losses.value


def _step_dapo(config: Config, batch: Batch, key: Key) -> tuple[Array, Array]:
    """Every token is a step; the critic gives the chance of success after each."""
    responses, reference = batch.data.responses, batch.targets["reference"]
    chance = jax.nn.sigmoid(batch.outputs["success"])
    reward, last = responses.reward[:, None], tokens.last_token(responses.mask)
    # Different tokens that the reference would write next: a sample without replacement.
    noise = jax.random.gumbel(key, reference.shape)
    tried = jax.lax.top_k(reference + noise, min(config.num_actions, reference.shape[-1]))[1]
    of_tried = lambda x: jnp.take_along_axis(x, tried, axis=-1)
    compared = advantages.step_dapo(
        of_tried(chance),
        terminal=last[..., None] & (tried == responses.response[..., None]),
        reward=jnp.broadcast_to(reward[..., None], tried.shape),
        min_gap=config.gap,
    )
    log_ratio = of_tried(jax.nn.log_softmax(batch.outputs["policy"])) - of_tried(
        jax.nn.log_softmax(reference)
    )
    loss = policies.step_dapo(log_ratio, compared.advantage, config.beta).mean(-1)
    taken = _taken(batch.outputs["success"], responses.response)
    critic = optax.sigmoid_binary_cross_entropy(taken, jnp.broadcast_to(reward, taken.shape))
    return jnp.where(compared.keep, loss, 0.0), critic


def _ilql(config: Config, batch: Batch, key: Key) -> tuple[Array, Array]:
    """The policy imitates; critics say where to lean when it acts."""
    responses = batch.data.responses
    losses = values.ilql(
        _both(batch.outputs),
        _both(batch.targets),
        batch.outputs["v"][..., 0],
        responses.response,
        jnp.where(tokens.last_token(responses.mask), responses.reward[:, None], 0.0),
        responses.mask,
        discount=config.discount,
        tau=config.expectile,
        conservatism=config.cql_weight,
    )
    return -batch.log_prob, losses.q + losses.v


def _both(outputs: Outputs) -> Array:
    return jnp.stack([outputs["q_first"], outputs["q_second"]])


def _taken(x: Array, token: Array) -> Array:
    """What was predicted of the tokens in the data, `[B, L]`."""
    return jnp.take_along_axis(x, token[..., None], axis=-1, mode="clip")[..., 0]


METHODS: dict[str, Method] = {
    "nll": Method({}, _nll),
    "a_lol": Method({}, _a_lol),
    "oreo": Method({"v": False}, _oreo),
    "step_dapo": Method({"success": True}, _step_dapo),
    "ilql": Method({"q_first": True, "q_second": True, "v": False}, _ilql),
}


def make(env: Any, config: Config = BC(), data: Responses | None = None) -> Agent:  # noqa: B008
    """Makes the agent.

    Args:
      env: a task of tokens (`envs.TokenEnv`); it judges the policy, and the data if it makes them.
      config: see `configs.offline_tokens.OfflineTokens`.
      data: `num_envs` responses, every leaf leading with `[E]`; their log-probabilities are those
        of the policy that they are from. By default the first policy makes them (a table at
        random, a transformer as `warm_up` leaves it).

    Returns:
      `Agent(init, step, policy)`. One `step` learns from one minibatch; minibatches take turns.

    Raises:
      ValueError: the environment is no task of tokens, a setting is unknown, or settings do not
        fit together; the message says which.
    """
    responding.check(env)
    method = lookup(METHODS, config.objective, "objective")
    if config.num_envs % config.batch_size:
        raise ValueError(
            f"num_envs={config.num_envs} must be a multiple of batch_size={config.batch_size}"
        )
    if data is not None and data.reward.shape != (config.num_envs,):
        raise ValueError(
            f"data has {list(data.reward.shape)} responses: num_envs={config.num_envs} must say so"
        )
    outputs = {"policy": True, **method.critics}
    nets = {
        name: responding.network(env, config, env.num_tokens if each else 1)
        for name, each in outputs.items()
    }
    optimizer = responding.optimizer(config)
    num_batches = config.num_envs // config.batch_size

    def init(key: Key) -> TrainState:
        key, key_params, key_warm_up, key_data = jax.random.split(key, 4)
        keys = jax.random.split(key_params, len(nets))
        params = {name: net.init(k) for (name, net), k in zip(nets.items(), keys, strict=True)}
        first = responding.warm_up(env, nets["policy"], params["policy"], key_warm_up, config)
        params["policy"] = first
        learner = Learner(
            params,
            optimizer={name: optimizer.init(part) for name, part in params.items()},
            target={name: params[name] for name in method.critics},
            reference=first,
        )
        return TrainState(learner, gather(first, key_data), key, jnp.zeros((), jnp.int32))

    def gather(reference: PyTree, key: Key) -> Data:
        """The data set, and what the reference makes of it."""
        key_prompt, key_respond, key_value = jax.random.split(key, 3)
        responses = data
        if responses is None:
            prompt = responding.prompts(env, key_prompt, config.num_envs)
            responses = responding.respond(env, nets["policy"], reference, prompt, key_respond)
        value = jnp.zeros(config.num_envs)
        if config.objective == "a_lol":
            asked = jnp.repeat(responses.prompt[:, None], config.num_references, axis=1)
            judged = responding.respond(env, nets["policy"], reference, asked, key_value)
            value = judged.reward.mean(-1)
        return Data(responses, responses.log_prob, value, jnp.zeros(config.num_envs, jnp.int32))

    def apply(params: dict[str, PyTree], responses: Responses) -> dict[str, Array]:
        return {
            name: nets[name].apply(part, responses.prompt, responses.response)
            for name, part in params.items()
        }

    def loss(
        params: dict[str, PyTree], targets: Outputs, data: Data, key: Key
    ) -> tuple[Array, Metrics]:
        responses = data.responses
        law = reading.law(nets["policy"], params["policy"], responses.prompt, responses.response)
        made = apply(params, responses)  # of which only what a method reads is computed
        policy, critic = method.loss(config, Batch(data, law.log_prob, made, targets), key)
        policy, critic = add_up(policy, responses.mask), add_up(critic, responses.mask)
        metrics = {
            "policy_loss": policy,
            "critic_loss": critic,
            "entropy": statistics.masked_mean(law.entropy, responses.mask),
            "nll": statistics.masked_mean(-law.log_prob, responses.mask),
        }
        return policy + critic, metrics

    def add_up(x: Array, mask: Array) -> Array:
        if x.ndim < mask.ndim:
            return x.mean()
        return tokens.aggregate(x, mask, config.aggregation, max_length=env.max_length)

    def learn(learner: Learner, data: Data, step: Array, key: Key) -> tuple[Learner, Metrics]:
        targets = apply(learner.target, data.responses) | {
            "reference": nets["policy"].apply(
                learner.reference, data.responses.prompt, data.responses.response
            )
        }
        grads, metrics = jax.grad(loss, has_aux=True)(learner.params, targets, data, key)
        metrics["grad_norm"] = optax.tree.norm(grads["policy"])
        params, state = {}, {}
        for name, part in learner.params.items():
            critic = name in method.critics
            rate: Numeric = config.critic_learning_rate
            if not critic:
                rate = config.learning_rate * (step >= config.critic_warm_up)
            direction, state[name] = optimizer.update(grads[name], learner.optimizer[name])
            params[name] = responding.descend(part, direction, rate)
        fresh = {name: params[name] for name in method.critics}
        target = optax.incremental_update(fresh, learner.target, config.target_rate)
        return Learner(params, state, target, learner.reference), metrics

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_learn, key_judge = jax.random.split(state.key, 3)
        turn = state.step % num_batches
        minibatch = jax.tree.map(
            lambda x: x[turn], responding.minibatches(state.actor, num_batches)
        )
        learner, metrics = learn(state.learner, minibatch, state.step, key_learn)
        now = (jnp.arange(config.num_envs) % num_batches == turn).astype(jnp.int32)
        actor = state.actor._replace(read=state.actor.read + now)
        metrics |= responding.judge(env, decision, learner.params, config.num_judged, key_judge)
        metrics["env_steps"] = jnp.int32(config.batch_size)
        return TrainState(learner, actor, key, state.step + 1), metrics

    def decide(outputs: Outputs) -> Array:
        if config.objective != "ilql":
            return outputs["policy"]
        return values.ilql_logits(outputs["policy"], _both(outputs), config.beta)

    decision = responding.join(nets, decide)
    return Agent(init, step, lambda learner: responding.policy(env, decision, learner.params))
