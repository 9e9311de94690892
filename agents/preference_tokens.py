"""Policies of tokens, trained on preferences between responses.

One agent for a family of methods: the loss, which responses it compares, where they come from and
what log-ratios are taken to are settings; the loop is `selecting`'s. Some responses may be a
teacher's. DPO, IPO, KTO, RAFT, DPA, DNO and the others are the classes of `configs.preferences`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp

from rlax_pref import metrics as reports
from rlax_pref import policies, preferences, reading, statistics, tokens
from rlax_pref.names import lookup
from rlax_pref.types import Agent, Array, Key, Metrics, PyTree, TrainState
from rlax_pref.vocabulary import Law

from . import responding, selecting
from .configs.preferences import DPA, DPO, PREFERENCE_TOKENS, Loss, Reference, Selection
from .configs.preferences import PreferenceTokens as Config
from .responding import Responses
from .selecting import Learner, Pairs

Teacher = Callable[[Key, Array], tuple[Array, Array]]
"""`(key, prompt [Lp]) -> (response [L], mask [L])`."""

for _config in (Config, *PREFERENCE_TOKENS.values()):
    jax.tree_util.register_dataclass(_config)


class Data(NamedTuple):
    """What is learned from, the actor's part of a state; every leaf leads with `[E]`."""

    responses: Responses  # [E, G, ...]
    chosen: Array  # [E] int32, which of the G is preferred
    rejected: Array  # [E] int32, to which
    p_first: Array  # [E] probability of that, 1/2 or more
    read: Array  # [E] int32, how often a prompt was learned from


class Batch(NamedTuple):
    """A minibatch, and what the networks make of it; every leaf leads with `[B]`."""

    data: Data
    made: policies.Completion  # [B, G]
    # The previous prompt's responses, with this one's prompt; 0 where no loss asks:
    mismatched: Array  # [B, G] their log-ratios
    elsewhere: Array  # [B, G] what they earn


def _pair(data: Data, each: PyTree) -> tuple[Any, Any]:
    """What there is of the preferred and of the other responses, of each `[B, G, ...]`."""
    of = jax.vmap(lambda group, index: jax.tree.map(lambda x: x[index], group))
    return of(each, data.chosen), of(each, data.rejected)


def _win_rate(config: Config, reward: Array) -> Array:
    """`[B, G]` how likely each response is preferred to one of its group."""
    scale = 1e-6 if config.noiseless else config.label_temperature
    return jax.nn.sigmoid((reward[:, :, None] - reward[:, None]) / scale).mean(-1)


def _kto(config: Config, batch: Batch) -> Array:
    pair = jnp.stack(_pair(batch.data, batch.made.log_ratio), axis=1)
    point = policies.kto_reference_point(batch.mismatched)
    p_first = batch.data.p_first
    wanted = jnp.stack([p_first, 1.0 - p_first], axis=1)  # of a tie, neither more than the other
    return policies.kto(pair, wanted, point, config.beta)


def _mapl(config: Config, batch: Batch) -> Array:
    """DPO of responses, and of prompts: which of two does a response answer better?"""
    pairs = policies.dpo(
        *_pair(batch.data, batch.made.log_ratio), config.beta, p_first=batch.data.p_first
    )
    at_home, reward = (
        jnp.roll(x, 1, axis=0) for x in (batch.made.log_ratio, batch.data.responses.reward)
    )
    better = jnp.sign(reward - batch.elsewhere)  # where prompts are alike nothing is said
    prompts = policies.mapl(at_home, batch.mismatched, config.beta, p_first=0.5 * (1.0 + better))
    return pairs + config.prompt_weight * (jnp.abs(better) * prompts).mean(-1)


def _nll(config: Config, batch: Batch) -> Array:
    best = preferences.best_of_n(batch.data.responses.reward)
    at = jnp.take_along_axis(batch.made.mean_log_prob, best.chosen[:, None], axis=1)[:, 0]
    return -at


def _brain(config: Config, batch: Batch) -> Array:
    made, responses = batch.made, batch.data.responses
    target = made.ref_log_prob + responses.reward / config.beta
    proposal = jnp.where(responses.mask, responses.log_prob, 0.0).sum(-1)
    weight = policies.brain_weights(target, made.log_prob, proposal)
    return policies.weighted_nll(made.log_prob, weight)


def _dno(config: Config, batch: Batch) -> Array:
    ratio, rate = batch.made.log_ratio, _win_rate(config, batch.data.responses.reward)
    return policies.dno(ratio[:, 0], ratio[:, 1], rate[:, 0], rate[:, 1], config.beta)


# Losses that see more than a pair: from a minibatch to [B] or [B, G].
LOSSES: dict[str, Callable[[Config, Batch], Array]] = {
    "kto": _kto,
    "mapl": _mapl,
    "uft": lambda config, batch: policies.uft(
        batch.made.log_ratio, jnp.clip(batch.data.responses.reward, 0.0, 1.0), config.beta
    ),
    "nll": _nll,
    "brain": _brain,
    "dno": _dno,
    "gpo": lambda config, batch: policies.gpo(
        batch.made.log_ratio, statistics.centre(batch.data.responses.reward), config.beta
    ),
    "sppo": lambda config, batch: policies.sppo(
        batch.made.log_ratio, _win_rate(config, batch.data.responses.reward), config.beta
    ),
}

# What losses of pairs can be told, besides beta: the option and the setting.
OPTIONS: dict[str, dict[str, str]] = {
    "cdpo": {"label_smoothing": "label_smoothing"},
    "robust": {"label_smoothing": "label_smoothing"},
    "exo_pair": {"label_smoothing": "label_smoothing"},
    "discopop": {"tau": "discopop_tau"},
    "simpo": {"margin": "margin"},
    "slic": {"margin": "margin"},
    "rpo": {"weight": "imitation"},
    "cpl": {"bias": "bias"},
    "cpl_kl": {"bias": "bias"},
    "tdpo2": {"alpha": "divergence_weight"},
}


def make(
    env: Any,
    config: Config = DPO(),  # noqa: B008 (it is frozen)
    data: Responses | None = None,
    teacher: Teacher | None = None,
) -> Agent:
    """Makes the agent.

    Args:
      env: a task of tokens (`envs.TokenEnv`), whose scores decide which response is preferred.
      config: see `configs.preferences.PreferenceTokens`.
      data: `group_size` responses to each of `num_envs` prompts, every leaf leading with `[E, G]`;
        their rewards say which is preferred, and their log-probabilities are those of the policy
        that they are from. By default the first policy makes them.
      teacher: a better policy, for `demonstrations` among responses that are made here; by default
        the task's own answers.

    Returns:
      `Agent(init, step, policy)`. One `step` learns from one minibatch; minibatches take turns. Its
      metrics have TRL's names: `rewards/margins`, `logps/chosen`, `mean_token_accuracy` ...

    Raises:
      ValueError: settings do not fit together, or the loss is unknown; the message says which.
    """
    responding.check(env)
    _check(env, config, data, teacher)
    network = responding.network(env, config, env.num_tokens)
    optimizer = responding.optimizer(config)

    def init(key: Key) -> TrainState:
        key, key_params, key_first, key_second, key_data = jax.random.split(key, 5)
        blank = network.init(key_params)
        params = responding.warm_up(env, network, blank, key_first, config)
        reference = params
        if config.reference == "soup":
            other = responding.warm_up(env, network, blank, key_second, config)
            reference = policies.soup(params, other)
        learner = Learner(params, optimizer.init(params), reference)
        return TrainState(learner, gather(params, key_data), key, jnp.zeros((), jnp.int32))

    def gather(params: PyTree, key: Key) -> Data:
        """Responses of a policy, and which of them a judge prefers."""
        key_prompt, key_respond, key_judge = jax.random.split(key, 3)
        responses = data
        if responses is None:
            prompt = responding.prompts(env, key_prompt, config.num_envs)
            prompt = jnp.repeat(prompt[:, None], config.group_size, axis=1)
            responses = responding.respond(env, network, params, prompt, key_respond)
            if config.demonstrations:
                responses = demonstrate(responses, jax.random.fold_in(key_respond, 1))
        reward, read = responses.reward, jnp.zeros(config.num_envs, jnp.int32)
        select = _lead if config.selection == "lead" else selecting.select
        return Data(responses, *select(config, reward, key_judge), read)

    def demonstrate(responses: Responses, key: Key) -> Responses:
        """The last of each group become a teacher's."""
        key_teach, key_score = jax.random.split(key)
        answer = teacher or (lambda key, prompt: env.answer(prompt))
        keys = jax.random.split(key_teach, responses.reward.shape)
        response, mask = jax.vmap(jax.vmap(answer))(keys, responses.prompt)
        shown = responses._replace(response=response, mask=mask)
        shown = shown._replace(reward=score(shown, key_score))
        last = jnp.arange(config.group_size) >= config.group_size - config.demonstrations
        choose = lambda new, old: jnp.where(last[:, None] if new.ndim == 3 else last, new, old)
        return jax.tree.map(choose, shown, responses)

    def score(responses: Responses, key: Key) -> Array:
        keys = jax.random.split(key, responses.reward.shape)
        each = jax.vmap(jax.vmap(env.score))
        return each(keys, responses.prompt, responses.response, responses.mask)

    def complete(
        params: PyTree, reference: PyTree, responses: Responses
    ) -> tuple[policies.Completion, Law]:
        """What losses look at, `[B, G]`, and the laws of the tokens, `[B, G, L]`."""
        reference = jax.lax.stop_gradient(reference)
        law = reading.law(network, params, responses.prompt, responses.response)
        anchor = reading.law(network, reference, responses.prompt, responses.response)
        divergence: Any = jnp.zeros(responses.mask.shape[:-1])
        if config.loss in ("tdpo1", "tdpo2"):
            each = reading.compare(
                risk, network, params, reference, responses.prompt, responses.response
            )
            divergence = tokens.response_sum(each, responses.mask)
        made = policies.completion(law.log_prob, anchor.log_prob, responses.mask, divergence)
        return made, law

    def risk(logits: Array, ref_logits: Array) -> Array:
        """What the policy lost at each token, `[..., K]` -> `[...]`: each is a response of one."""
        one = jnp.ones((*logits.shape[:-1], 1))
        return policies.sequential_divergence(
            logits[..., None, :],
            ref_logits[..., None, :],
            one,
            config.risk,
            level=config.risk_level,
        )

    def loss(params: PyTree, reference: PyTree, data: Data, key: Key) -> tuple[Array, Metrics]:
        responses = data.responses
        made, law = complete(params, reference, responses)
        mismatched = elsewhere = jnp.zeros(made.log_prob.shape)
        if config.loss in ("kto", "mapl"):
            moved = jax.tree.map(lambda x: jnp.roll(x, 1, axis=0), responses)
            moved = moved._replace(prompt=responses.prompt)
            mismatched = complete(params, reference, moved)[0].log_ratio
            elsewhere = score(moved, key) if config.loss == "mapl" else elsewhere
        batch = Batch(data, made, mismatched, elsewhere)
        chosen, rejected = _pair(data, made)
        if config.loss in LOSSES:
            total = LOSSES[config.loss](config, batch).mean()
        else:
            options = {
                option: getattr(config, setting)
                for option, setting in OPTIONS.get(config.loss, {}).items()
            }
            total = policies.pairwise(
                config.loss, chosen, rejected, config.beta, p_first=data.p_first, **options
            ).mean()
        report = reports.pairs(
            chosen.log_prob, rejected.log_prob, chosen.log_ratio, rejected.log_ratio, config.beta
        )
        report |= reports.pair_tokens(*_pair(data, law), *_pair(data, responses.mask))
        return total, report | {"loss": total, "kl": -made.log_ratio.mean()}

    def judge(learner: Learner, key: Key) -> Metrics:
        return responding.judge(env, network, learner.params, config.num_judged, key)

    step = selecting.make_step(config, gather, loss, judge)
    return Agent(init, step, lambda learner: responding.policy(env, network, learner.params))


def _lead(config: Config, reward: Array, key: Key) -> Pairs:
    """One of the pairs of each group that are worth learning from, the teacher's answer last."""
    pairs = preferences.dno_pairs(
        reward[:, :-1],
        reward[:, -1],
        at_least=config.at_least,
        gap=config.lead,
        own_gap=config.own_lead,
    )
    pick = jax.random.categorical(key, jnp.where(pairs.keep, 0.0, -jnp.inf))[:, None]
    chosen, rejected, keep = (jnp.take_along_axis(x, pick, axis=1)[:, 0] for x in pairs)
    # Where there is none, two that are one and the same teach nothing.
    return Pairs(chosen, jnp.where(keep, rejected, chosen), 1.0 - 0.5 * ~keep)


def _check(env: Any, config: Config, data: Responses | None, teacher: Teacher | None) -> None:
    lookup(dict.fromkeys(get_args(Loss)), config.loss, "loss")
    lookup(dict.fromkeys(get_args(Selection)), config.selection, "selection")
    lookup(dict.fromkeys(get_args(Reference)), config.reference, "reference")
    selecting.check(config)
    if isinstance(config, DPA) and not hasattr(env, "directions"):
        raise ValueError(
            f"{type(env).__name__} has no directions, which dpa follows: choose directed_lock"
        )
    if config.demonstrations >= config.group_size:
        raise ValueError(
            f"demonstrations={config.demonstrations} of group_size={config.group_size}: "
            "at least one response must be the policy's own"
        )
    if config.demonstrations and config.loss == "brain":
        raise ValueError("loss='brain' must know how likely responses were: demonstrations=0")
    given = data is not None or teacher is not None or hasattr(env, "answer")
    if config.demonstrations and not given:
        raise ValueError(
            f"demonstrations={config.demonstrations}: {type(env).__name__} has no answers; "
            "give a teacher"
        )
    if config.selection == "lead" and config.demonstrations != 1:
        raise ValueError("selection='lead' compares with one answer of a teacher: demonstrations=1")
    wanted = (config.num_envs, config.group_size)
    if data is not None and data.reward.shape != wanted:
        raise ValueError(
            f"data has rewards {list(data.reward.shape)}: they must be {list(wanted)}, "
            "[num_envs, group_size]"
        )
    if data is not None and config.resample_every:
        raise ValueError("resample_every must be 0 where data are given: they would be lost")
