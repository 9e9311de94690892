"""Policies of tokens, trained on what whole responses earn.

One agent for a family of methods: what is minimised (`objective`), what rewards are compared with
(`baseline`), how tokens are added up (`aggregation`) and what holds the policy back (`kl`) are
settings. GRPO, RLOO, PPO, RTO, SPO, A*-PO, REBEL and the others are the classes of
`configs.tokens`.
"""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rlax_pref import advantages, policies, reading, rewards, sampling, statistics, tokens, values
from rlax_pref.names import lookup
from rlax_pref.types import Agent, Array, Key, Metrics, Numeric, PyTree, TrainState
from rlax_pref.vocabulary import Law

from . import preference_tokens, responding
from .configs.preferences import DPO
from .configs.tokens import GRPO, TOKENS, TokenPolicy
from .configs.tokens import Tokens as Config
from .responding import Responses

for _config in (Config, *TOKENS.values()):
    jax.tree_util.register_dataclass(_config)


class Learner(NamedTuple):
    """What is learned; equal on all devices."""

    params: dict[str, PyTree]  # of the "policy"; of a "critic" or a model of the "process", if any
    optimizer: dict[str, PyTree]
    reference: PyTree  # the policy's first parameters, or a soup of two policies'
    taught: PyTree = None  # what DPO makes of them, where tokens are paid for that


class Actor(NamedTuple):
    """What is asked next; every leaf leads with `[E]`."""

    prompt: Array  # [E, Lp]
    value: Array  # [E] what the prompt is thought to be worth; 0 where no baseline asks


class Batch(NamedTuple):
    """What is learned from; every leaf leads with `[E, G]`."""

    responses: Responses
    reference: Array  # [E, G, L] log-probabilities under the first policy
    advantage: Array  # [E, G, L]
    target: Array  # [E, G, L] for the critic
    value: Array  # [E, G] of the prompt
    learned: Array  # [E, G, L] bool, tokens that the policy learns from
    keep: Array  # [E, G] bool, responses that it learns from


def _log_ratio(log_prob: Array, anchor: Array, batch: Batch) -> Array:
    return tokens.response_sum(log_prob - anchor, batch.responses.mask)


# From log-probabilities [E, G, L] to the loss of each token [E, G, L] or each response [E, G].
OBJECTIVES: dict[str, Callable[[Config, Array, Batch], Array]] = {
    "reinforce": lambda config, log_prob, batch: policies.reinforce(log_prob, batch.advantage),
    "ppo_clip": lambda config, log_prob, batch: policies.ppo_clip(
        log_prob, batch.responses.log_prob, batch.advantage, (config.clip_low, config.clip_high)
    ),
    "gspo": lambda config, log_prob, batch: policies.gspo(
        log_prob,
        batch.responses.log_prob,
        batch.advantage,
        batch.responses.mask,
        (config.clip_low, config.clip_high),
    ),
    "cispo": lambda config, log_prob, batch: policies.cispo(
        log_prob, batch.responses.log_prob, batch.advantage, config.clip_high
    ),
    "apa": lambda config, log_prob, batch: policies.apa(
        log_prob, batch.reference, batch.advantage, config.beta
    ),
    "a_star_po": lambda config, log_prob, batch: policies.a_star_po(
        _log_ratio(log_prob, batch.reference, batch),
        batch.responses.reward,
        batch.value,
        config.beta,
    ),
    "rebel": lambda config, log_prob, batch: policies.rebel(
        _log_ratio(log_prob, batch.responses.log_prob, batch), batch.responses.reward, config.beta
    ),
    "reg_grpo": lambda config, log_prob, batch: policies.reg_grpo(
        _log_ratio(log_prob, batch.responses.log_prob, batch), batch.responses.reward
    ),
    "oreal": lambda config, log_prob, batch: policies.oreal(
        log_prob, batch.advantage, batch.learned, negative_scale=config.negative_scale
    ),
}

# From what responses earn [E, G] and what their prompts are worth [E] to advantages [E, G].
BASELINES: dict[str, Callable[[Array, Array], Array]] = {
    "none": lambda reward, value: reward,
    "mean": lambda reward, value: advantages.dr_grpo(reward),
    "grpo": lambda reward, value: advantages.grpo(reward),
    "leave_one_out": lambda reward, value: advantages.leave_one_out(reward),
    "optimal_value": lambda reward, value: reward - value[:, None],
    "v_half": lambda reward, value: (
        reward - values.v_half(reward, value, reward_range=(0.0, 1.0)).baseline
    ),
}
TOKEN_BASELINES = ("critic", "process", "segment")  # these give advantages of tokens


def make(env: Any, config: Config = GRPO(), pairs: Responses | None = None) -> Agent:  # noqa: B008
    """Makes the agent.

    Args:
      env: a task of tokens (`envs.TokenEnv`).
      config: see `configs.tokens.Tokens`.
      pairs: what DPO learns from, if `dpo_steps` asks for it: two responses to each of `dpo_pairs`
        prompts, as `preference_tokens.make` takes them. By default the first policy makes them.

    Returns:
      `Agent(init, step, policy)`. One `step` answers `num_envs` prompts, `group_size` times each,
      and learns from the answers for `num_epochs`. Its policy takes the likeliest token.

    Raises:
      ValueError: the environment is no task of tokens, a setting is unknown, or settings do not
        fit together; the message says which.
    """
    responding.check(env)
    _check(config)
    network = responding.network(env, config, env.num_tokens)
    critic = responding.network(env, config, 1)
    optimizer = responding.optimizer(config)

    def init(key: Key) -> TrainState:
        key, key_policy, key_critic, key_warm_up, key_prompt = jax.random.split(key, 5)
        policy, taught = begin(key_policy, key_warm_up)
        params = {"policy": policy}
        if config.baseline == "critic":
            params["critic"] = critic.init(key_critic)
        if config.baseline == "process":
            params["process"] = policy
        reference = policy
        if config.soup:
            other, _ = begin(key_policy, jax.random.fold_in(key_warm_up, 1))
            reference = policies.soup(policy, other)
        state = {name: optimizer.init(part) for name, part in params.items()}
        learner = Learner(params, state, reference, taught)
        return TrainState(learner, ask(learner, key_prompt), key, jnp.zeros((), jnp.int32))

    def begin(key: Key, key_warm_up: Key) -> tuple[PyTree, PyTree]:
        """The first policy, and what DPO makes of it where tokens are paid for that."""
        if not config.dpo_steps:
            return responding.warm_up(env, network, network.init(key), key_warm_up, config), None
        shared = {field.name: getattr(config, field.name) for field in fields(TokenPolicy)}
        settings = DPO(
            **shared, num_envs=config.dpo_pairs, batch_size=config.dpo_pairs, beta=config.dpo_beta
        )
        dpo = preference_tokens.make(env, settings, pairs)
        state = dpo.init(key)
        step = lambda state, _: (dpo.step(state)[0], None)
        last, _ = jax.lax.scan(step, state, length=config.dpo_steps)
        return state.learner.params, last.learner.params

    def ask(learner: Learner, key: Key) -> Actor:
        """New prompts, and what they are worth where the baseline wants to know it."""
        key_prompt, key_respond = jax.random.split(key)
        prompt = responding.prompts(env, key_prompt, config.num_envs, every=config.keep_prompts)
        value = jnp.zeros(config.num_envs)
        if config.baseline == "optimal_value":
            reward = respond(learner.reference, prompt, config.num_references, key_respond).reward
            value = values.soft_optimal_value(reward, config.value_temperature)
        return Actor(prompt, value)

    def respond(params: PyTree, prompt: Array, num: int, key: Key) -> Responses:
        """`num` responses to each of `[E, Lp]` prompts, `[E, num]`."""
        prompt = jnp.repeat(prompt[:, None], num, axis=1)
        return responding.respond(env, network, params, prompt, key, config.temperature)

    def evaluate(params: PyTree, responses: Responses) -> Law:
        return reading.law(
            network, params, responses.prompt, responses.response, config.temperature
        )

    def estimate(learner: Learner, actor: Actor, responses: Responses, key: Key) -> Batch:
        """What was each token worth, compared with what was to be expected?"""
        mask, reference = responses.mask, responses.log_prob
        anchored = config.objective in ("apa", "a_star_po") or config.baseline == "process"
        if anchored or config.dpo_steps or config.kl != "none":
            reference = evaluate(learner.reference, responses).log_prob
        reward = jnp.where(tokens.last_token(mask), responses.reward[..., None], 0.0)
        if config.kl != "none" and config.kl_in == "reward":
            divergence = policies.kl(responses.log_prob, reference, config.kl)
            reward = reward - jnp.where(mask, config.kl_weight * divergence, 0.0)
        if config.dpo_steps:
            taught = evaluate(learner.taught, responses).log_prob
            reward += rewards.rto(
                taught - reference,
                responses.log_prob - reference,
                mask,
                beta=config.token_weight,
                kl_weight=0.0,  # it has been paid above
                clip=config.token_clip,
            )
        target = jnp.zeros(mask.shape)
        if config.baseline == "critic":
            v = critic.apply(learner.params["critic"], responses.prompt, responses.response)[..., 0]
            adaptive = advantages.length_adaptive_lambda(mask.sum(-1), config.length_adaptive)
            advantage, target = advantages.decoupled_gae(
                reward,
                v,
                mask,
                discount=config.discount,
                lambda_=jnp.where(config.length_adaptive > 0, adaptive, config.lambda_),
                critic_lambda=config.critic_lambda,
            )
        elif config.baseline == "process":  # as it was before these responses
            judged = evaluate(learner.params["process"], responses).log_prob
            process = rewards.process_reward(judged - reference, mask)
            total = tokens.response_sum(reward, mask)
            advantage = advantages.prime(total, process, mask, whiten=False)
        elif config.baseline == "segment":
            advantage = segment_advantage(learner, responses, key)
        else:
            advantage = BASELINES[config.baseline](tokens.response_sum(reward, mask), actor.value)
            advantage = jnp.where(mask, advantage[..., None], 0.0)
        keep = jnp.ones(mask.shape[:-1], bool)
        if config.dynamic_sampling:
            keep &= advantages.informative(responses.reward).keep[:, None]
        if config.one_of_each:
            keep &= one_of_each(responses.reward > 0, jax.random.fold_in(key, 1))
        learned = advantages.probability_mask(
            responses.log_prob, mask & keep[..., None], threshold=config.probability_mask
        )
        if config.whiten:
            advantage = statistics.whiten(advantage, learned)
        advantage = advantages.entropy_shaped(
            advantage, responses.entropy, alpha=config.entropy_shaping
        )
        value = jnp.broadcast_to(actor.value[:, None], keep.shape)
        return Batch(responses, reference, advantage, target, value, learned, keep)

    def segment_advantage(learner: Learner, responses: Responses, key: Key) -> Array:
        """What each segment changed, by continuing from where it begins and from where it ends."""
        mask, length = responses.mask, env.max_length
        cuts = advantages.spo_cuts(responses.log_prob, mask, interval=config.interval)
        # There are never more cuts than this; where there are fewer, a cut at 0 fills the row.
        num = max(length // config.interval, 1)
        at = jax.lax.top_k(jnp.where(cuts, jnp.arange(length), 0), num)[0]
        value = sampling.prefix_values(
            network,
            learner.params["policy"],
            env.score,
            responses.prompt,
            responses.response,
            jnp.concatenate([jnp.zeros_like(at[..., :1]), at], -1),
            key,
            num_samples=config.num_continuations,
            stop=env.stop,
            temperature=config.temperature,
            limit=responding.limit(env, responses.prompt),
        )
        there = jax.nn.one_hot(at, length)  # [E, G, C, L]
        v = jnp.einsum("...cl,...c->...l", there, value[..., 1:])
        return advantages.spo_chain(v, cuts, responses.reward, mask, v_start=value[..., 0])

    def loss(params: dict[str, PyTree], batch: Batch) -> tuple[Array, Metrics]:
        responses, learned = batch.responses, batch.learned
        law = evaluate(params["policy"], responses)
        log_prob = law.log_prob
        policy = OBJECTIVES[config.objective](config, log_prob, batch)
        if policy.ndim == learned.ndim:
            # A mean over responses is one over those kept: what the others add is 0.
            share = 1.0 if config.aggregation == "token_mean" else jnp.mean(batch.keep)
            policy = add_up(policy, learned) / jnp.maximum(share, 1e-6)
        else:
            policy = statistics.masked_mean(policy, batch.keep)
        entropy = statistics.masked_mean(law.entropy, responses.mask)
        total = policy - config.entropy_weight * entropy
        metrics = {"policy_loss": policy, "entropy": entropy}
        if config.kl != "none":
            metrics["kl"] = add_up(
                policies.kl(log_prob, batch.reference, config.kl), responses.mask
            )
            if config.kl_in == "loss":
                total += config.kl_weight * metrics["kl"]
        imitation = policies.positive_nll(log_prob, responses.reward > 0, responses.mask)
        total += config.positive_weight * statistics.masked_mean(imitation, responses.mask)
        if "critic" in params:
            v = critic.apply(params["critic"], responses.prompt, responses.response)[..., 0]
            metrics["value_loss"] = 0.5 * add_up(jnp.square(v - batch.target), responses.mask)
            total += metrics["value_loss"]
        if "process" in params:
            judged = evaluate(params["process"], responses).log_prob
            metrics["process_loss"] = rewards.process_loss(
                judged - batch.reference,
                responses.mask,
                (responses.reward > 0).astype(jnp.float32),
                config.process_beta,
            ).mean()
            total += metrics["process_loss"]
        log_ratio = jnp.where(responses.mask, log_prob - responses.log_prob, 0.0)
        clipped = (log_ratio > jnp.log1p(config.clip_high)) | (
            log_ratio < jnp.log1p(-config.clip_low)
        )
        metrics["clip_fraction"] = statistics.masked_mean(
            clipped.astype(jnp.float32), responses.mask
        )
        return total, metrics | {"loss": total}

    def add_up(x: Array, mask: Array) -> Array:
        return tokens.aggregate(x, mask, config.aggregation, max_length=env.max_length)

    def learn(learner: Learner, batch: Batch, step: Array) -> tuple[Learner, Metrics]:
        rates: dict[str, Numeric] = {
            "policy": config.learning_rate * (step >= config.critic_warm_up),
            "critic": config.critic_learning_rate,
            "process": config.critic_learning_rate,
        }

        def descend(learner: Learner, minibatch: Batch) -> tuple[Learner, Metrics]:
            grads, metrics = jax.grad(loss, has_aux=True)(learner.params, minibatch)
            metrics["grad_norm"] = optax.tree.norm(grads["policy"])
            params, state = {}, {}
            for name, part in learner.params.items():
                direction, state[name] = optimizer.update(grads[name], learner.optimizer[name])
                params[name] = responding.descend(part, direction, rates[name])
            return learner._replace(params=params, optimizer=state), metrics

        return responding.passes(
            descend,
            learner,
            batch,
            num_epochs=config.num_epochs,
            num_minibatches=config.num_minibatches,
        )

    def step(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_respond, key_estimate, key_ask = jax.random.split(state.key, 4)
        learner, actor = state.learner, state.actor
        responses = respond(learner.params["policy"], actor.prompt, config.group_size, key_respond)
        batch = estimate(learner, actor, responses, key_estimate)
        learner, metrics = learn(learner, batch, state.step)
        if config.keep_prompts:
            seen = responses.reward.mean(-1)
            known = config.baseline == "optimal_value"  # once and for all
            actor = (
                actor if known else actor._replace(value=actor.value + 0.3 * (seen - actor.value))
            )
        else:
            actor = ask(learner, key_ask)
        metrics |= responding.summary(responses) | {"kept": jnp.mean(batch.keep)}
        return TrainState(learner, actor, key, state.step + 1), metrics

    return Agent(
        init, step, lambda learner: responding.policy(env, network, learner.params["policy"])
    )


def one_of_each(good: Array, key: Key) -> Array:
    """Picks a good and a bad member at random, `[..., G]` bool, of each group that has both."""
    noise = jax.random.uniform(key, good.shape)

    def one_of(these: Array) -> Array:
        place = jnp.argmax(jnp.where(these, noise, -1.0), axis=-1)
        return these & (jnp.arange(these.shape[-1]) == place[..., None])

    mixed = good.any(-1, keepdims=True) & ~good.all(-1, keepdims=True)
    return mixed & (one_of(good) | one_of(~good))


def _check(config: Config) -> None:
    lookup(OBJECTIVES, config.objective, "objective")
    lookup(dict.fromkeys((*BASELINES, *TOKEN_BASELINES)), config.baseline, "baseline")
    lookup(dict.fromkeys(tokens.AGGREGATIONS), config.aggregation, "aggregation")
    lookup(dict.fromkeys(("none", "k1", "k2", "k3")), config.kl, "kl")
    lookup(dict.fromkeys(("loss", "reward")), config.kl_in, "kl_in")
    if config.num_envs % config.num_minibatches:
        raise ValueError(
            f"num_envs={config.num_envs} must be a multiple of "
            f"num_minibatches={config.num_minibatches}"
        )
    if config.baseline == "v_half" and not config.keep_prompts:
        raise ValueError(
            "baseline='v_half' needs keep_prompts: its prior is what a prompt earned before"
        )
    if config.objective == "rebel" and config.group_size < 2:
        raise ValueError("objective='rebel' compares responses: group_size must be at least 2")
