"""Policies of tokens, trained on preferences between responses.

One agent for a family of methods: the loss, which responses it compares, where they come from and
what log-ratios are taken to are settings; the loop is `selecting`'s. Some responses may be a
teacher's. DPO, IPO, KTO, RAFT, DPA, DNO and the others are the classes of `configs.preferences`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import jax
import jax.numpy as jnp

from rlax_pref import metrics as reports
from rlax_pref import policies, preferences, reading, tokens
from rlax_pref.names import lookup
from rlax_pref.types import Agent, Array, Key, Metrics, PyTree, TrainState
from rlax_pref.vocabulary import Law

from . import preference_losses, responding, selecting
from .configs import preferences as configs
from .configs.preferences import DPA, DPO, PREFERENCE_TOKENS
from .configs.preferences import PreferenceTokens as Config
from .preference_losses import Batch, Data, pair
from .responding import Responses
from .selecting import Learner, Pairs

Teacher = Callable[[Key, Array], tuple[Array, Array]]
"""`(key, prompt [Lp]) -> (response [L], mask [L])`."""

for _config in (Config, *PREFERENCE_TOKENS.values()):
    jax.tree_util.register_dataclass(_config)


def make(
    env: Any,
    config: Config = DPO(),  # noqa: B008 (it is frozen)
    data: Responses | None = None,
    teacher: Teacher | None = None,
) -> Agent:
    """Makes the agent.

    Args:
      env: a task of tokens (`envs.TokenEnv`), whose scores decide which response is preferred. If
        preferences go in circles no score says so; then it has `versus(prompt, response, live,
        other, other_live)`, too: by how much a response is preferred to another, in log-odds,
        which change sign if the two change places (`envs.Circle`).
      config: see `configs.preferences.PreferenceTokens`.
      data: `group_size` responses to each of `num_envs` prompts, every leaf leading with `[E, G]`;
        their rewards say which is preferred, and their log-probabilities are those of the policy
        that they are from. By default the first policy makes them; if the task is one of given
        answers (`envs.Texts`), they are, and both numbers are what it has, rows taken again to
        fill the last minibatch.
      teacher: a better policy, for `demonstrations` among responses that are made here; by default
        the task's own answers.

    Returns:
      `Agent(init, step, policy)`. One `step` learns from one minibatch; minibatches take turns. Its
      metrics have TRL's names: `rewards/margins`, `logps/chosen`, `mean_token_accuracy` ...

    Raises:
      ValueError: settings do not fit together, or the loss is unknown; the message says which.
    """
    responding.check(env)
    if data is None and hasattr(env, "judged"):
        config, data = _given(env, config)
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
        lead, read = compare(responses), jnp.zeros(config.num_envs, jnp.int32)
        if config.selection == "lead":
            pairs = _lead(config, responses.reward, key_judge)
        else:
            pairs = selecting.select(config, lead, key_judge)
        return Data(responses, lead, *pairs, read)

    def compare(responses: Responses) -> Array:
        """`[E, G, G]` by how much each response is better than each other one."""
        if not hasattr(env, "versus"):
            return selecting.differences(responses.reward)
        each = lambda prompt, x, live: jax.vmap(
            lambda y, on: jax.vmap(lambda z, to: env.versus(prompt, y, on, z, to))(x, live)
        )(x, live)
        return jax.vmap(each)(responses.prompt[:, 0], responses.response, responses.mask)

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
        total = preference_losses.loss(config, batch)
        report = reports.pair_tokens(*pair(data, law), *pair(data, responses.mask))
        if config.loss == "kto" and config.thumbs == "score":
            wanted = preference_losses.thumbs(batch)
            report |= reports.thumbs(made.log_prob, made.log_ratio, wanted, config.beta)
        else:
            x, y = pair(data, made)
            report |= reports.pairs(x.log_prob, y.log_prob, x.log_ratio, y.log_ratio, config.beta)
        return total, report | {"loss": total, "kl": -made.log_ratio.mean()}

    def judge(learner: Learner, key: Key) -> Metrics:
        if not config.num_judged:
            unknown = jnp.float32(jnp.nan)
            return {"episodes": jnp.int32(0), "return": unknown, "length": unknown}
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


def _given(env: Any, config: Config) -> tuple[Config, Responses]:
    """Answers that were judged before, and the settings that fit them."""
    if config.resample_every:
        raise ValueError("resample_every must be 0 where answers are given: nobody judges new ones")
    prompt, response, mask, reward = env.judged()
    prompt = jnp.broadcast_to(prompt[:, None], (*reward.shape, prompt.shape[-1]))
    unknown = jnp.zeros(response.shape)
    made = Responses(prompt, response, mask, unknown, unknown, reward)
    num, made = selecting.fill(made, config.batch_size)
    fitting = {"num_envs": num, "group_size": reward.shape[1], "num_judged": 0, "demonstrations": 0}
    if reward.shape[1] == 1:
        fitting["thumbs"] = "score"
    return dataclasses.replace(config, **fitting), made


def _check(env: Any, config: Config, data: Responses | None, teacher: Teacher | None) -> None:
    for name in ("loss", "selection", "reference", "imitated", "thumbs"):
        kinds = get_args(getattr(configs, name.capitalize()))
        lookup(dict.fromkeys(kinds), getattr(config, name), name)
    selecting.check(config, 2 if preference_losses.needs_pairs(config) else 1)
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
    if config.loss == "brain" and hasattr(env, "judged"):
        raise ValueError("loss='brain' must know how likely responses were; of texts it does not")
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
