"""What `preference_tokens` minimises: losses of a minibatch of responses, by name.

Losses that see no more than a pair are `policies.pairwise`'s, told what the settings say.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rlax_pref import policies, preferences
from rlax_pref.types import Array, PyTree

from .configs.preferences import PreferenceTokens as Config
from .responding import Responses


class Data(NamedTuple):
    """What is learned from, the actor's part of a state; every leaf leads with `[E]`."""

    responses: Responses  # [E, G, ...]
    lead: Array  # [E, G, G] by how much each response is better than each other, in log-odds
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


def pair(data: Data, each: PyTree) -> tuple[Any, Any]:
    """What there is of the preferred and of the other responses, of each `[B, G, ...]`."""
    of = jax.vmap(lambda group, index: jax.tree.map(lambda x: x[index], group))
    return of(each, data.chosen), of(each, data.rejected)


def thumbs(batch: Batch) -> Array:
    """`[B, G]` how much each response is wanted by itself: what it scores, from 0 to 1."""
    return jnp.clip(batch.data.responses.reward, 0.0, 1.0)


def _kto(config: Config, batch: Batch) -> Array:
    if config.thumbs == "score":
        log_ratio, wanted = batch.made.log_ratio, thumbs(batch)
    else:
        log_ratio = jnp.stack(pair(batch.data, batch.made.log_ratio), axis=1)
        p_first = batch.data.p_first
        wanted = jnp.stack([p_first, 1.0 - p_first], axis=1)  # of a tie, neither more
    return policies.kto(
        log_ratio,
        wanted,
        policies.kto_reference_point(batch.mismatched),
        config.beta,
        desirable_weight=config.desirable_weight,
        undesirable_weight=config.undesirable_weight,
    )


def _mapl(config: Config, batch: Batch) -> Array:
    """DPO of responses, and of prompts: which of two does a response answer better?"""
    pairs = policies.dpo(
        *pair(batch.data, batch.made.log_ratio), config.beta, p_first=batch.data.p_first
    )
    at_home, reward = (
        jnp.roll(x, 1, axis=0) for x in (batch.made.log_ratio, batch.data.responses.reward)
    )
    better = jnp.sign(reward - batch.elsewhere)  # where prompts are alike nothing is said
    prompts = policies.mapl(at_home, batch.mismatched, config.beta, p_first=0.5 * (1.0 + better))
    return pairs + config.prompt_weight * (jnp.abs(better) * prompts).mean(-1)


def _imitated(config: Config, batch: Batch, each: Array) -> Array:
    """`[B]` or `[B, G]`, of the best responses, such that the mean is one over them."""
    reward = batch.data.responses.reward
    if config.imitated == "top":
        top = preferences.top_fraction(reward, config.top_share)
        return jnp.where(top, each, 0.0) / jnp.mean(top)
    best = preferences.best_of_n(reward)
    return jnp.take_along_axis(each, best.chosen[:, None], axis=1)[:, 0]


def _divergence_sft(config: Config, batch: Batch) -> Array:
    each = policies.divergence_sft(batch.made.log_ratio, config.beta, config.sft_divergence)
    return _imitated(config, batch, each)


def _brain(config: Config, batch: Batch) -> Array:
    made, responses = batch.made, batch.data.responses
    target = made.ref_log_prob + responses.reward / config.beta
    proposal = jnp.where(responses.mask, responses.log_prob, 0.0).sum(-1)
    weight = policies.brain_weights(target, made.log_prob, proposal)
    return policies.weighted_nll(made.log_prob, weight)


def _win_rate(config: Config, lead: Array) -> Array:
    """`[B, G]` how likely each response is preferred to one of its group."""
    scale = 1e-6 if config.noiseless else config.label_temperature
    return preferences.win_rates(jax.nn.sigmoid(lead / scale))


def _dno(config: Config, batch: Batch) -> Array:
    ratio, rate = batch.made.log_ratio, _win_rate(config, batch.data.lead)
    return policies.dno(ratio[:, 0], ratio[:, 1], rate[:, 0], rate[:, 1], config.beta)


# Losses that see more than a pair: from a minibatch to [B] or [B, G].
LOSSES: dict[str, Callable[[Config, Batch], Array]] = {
    "kto": _kto,
    "mapl": _mapl,
    "uft": lambda config, batch: policies.uft(batch.made.log_ratio, thumbs(batch), config.beta),
    "nll": lambda config, batch: _imitated(config, batch, -batch.made.mean_log_prob),
    "divergence_sft": _divergence_sft,
    "brain": _brain,
    "dno": _dno,
    "gpo": lambda config, batch: policies.gpo(
        batch.made.log_ratio, preferences.win_rates(batch.data.lead), config.beta
    ),
    "sppo": lambda config, batch: policies.sppo(
        batch.made.log_ratio, _win_rate(config, batch.data.lead), config.beta
    ),
}

# What losses of pairs can be told, besides beta: the option and the setting.
OPTIONS: dict[str, dict[str, str]] = {
    "sigmoid": {"divergence": "divergence", "alpha": "divergence_alpha"},
    "sigmoid_norm": {"divergence": "divergence", "alpha": "divergence_alpha"},
    "cdpo": {"label_smoothing": "label_smoothing"},
    "robust": {"label_smoothing": "label_smoothing"},
    "exo_pair": {"label_smoothing": "label_smoothing"},
    "discopop": {"tau": "discopop_tau"},
    "simpo": {"margin": "margin"},
    "slic": {"margin": "margin"},
    "rpo": {"weight": "imitation", "form": "imitation_form"},
    "cpl": {"bias": "bias"},
    "cpl_kl": {"bias": "bias"},
    "tdpo2": {"alpha": "divergence_weight"},
}


def loss(config: Config, batch: Batch) -> Array:
    """`[]` the mean loss."""
    if config.loss in LOSSES:
        return LOSSES[config.loss](config, batch).mean()
    options = {
        option: getattr(config, setting) for option, setting in OPTIONS.get(config.loss, {}).items()
    }
    chosen, rejected = pair(batch.data, batch.made)
    p_first = batch.data.p_first
    return policies.pairwise(
        config.loss, chosen, rejected, config.beta, p_first=p_first, **options
    ).mean()


def needs_pairs(config: Config) -> bool:
    """Whether one response to a prompt says nothing."""
    alone = config.loss in ("uft", "nll", "divergence_sft")
    return not (alone or (config.loss == "kto" and config.thumbs == "score"))
