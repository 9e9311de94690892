"""What to report of policies that learn from pairs (von Werra et al., 2020)."""

import jax
import jax.numpy as jnp

from rlax_pref import statistics
from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Metrics, Numeric
from rlax_pref.vocabulary import Law


def pairs(
    chosen_log_prob: Array,
    rejected_log_prob: Array,
    chosen_log_ratio: Array,
    rejected_log_ratio: Array,
    beta: Numeric,
) -> Metrics:
    """What to log of pairs, by TRL's names (von Werra et al., 2020).

    `rewards/chosen`, `rewards/rejected`, `rewards/margins`, `rewards/accuracies`, `logps/chosen`
    and `logps/rejected`: means over the batch of what the policy says that responses are worth,
    `beta * log pi / reference`, and of how likely they are.

    Args:
      chosen_log_prob: `[...]` log pi of the preferred responses, summed over tokens.
      rejected_log_prob: `[...]` the same of the others.
      chosen_log_ratio: `[...]` log pi / reference of the preferred responses.
      rejected_log_ratio: `[...]` the same of the others.
      beta: > 0, how much a nat is worth.

    Returns:
      `{name: []}`, detached. As in TRL, an equal pair is not accurate: before the first step the
      accuracy is 0, not 1/2 as in `accuracy`.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs.
    """
    assert_like(
        "pairs",
        chosen_log_prob=chosen_log_prob,
        rejected_log_prob=rejected_log_prob,
        chosen_log_ratio=chosen_log_ratio,
        rejected_log_ratio=rejected_log_ratio,
    )
    chosen, rejected = beta * chosen_log_ratio, beta * rejected_log_ratio
    reported = {
        "rewards/chosen": chosen,
        "rewards/rejected": rejected,
        "rewards/margins": chosen - rejected,
        "rewards/accuracies": chosen > rejected,
        "logps/chosen": chosen_log_prob,
        "logps/rejected": rejected_log_prob,
    }
    return {name: jax.lax.stop_gradient(jnp.mean(x)) for name, x in reported.items()}


def thumbs(log_prob: Array, log_ratio: Array, desirable: Array, beta: Numeric) -> Metrics:
    """What to log of responses judged one by one, by TRL's names (von Werra et al., 2020).

    `rewards/chosen`, `rewards/rejected`, `rewards/margins`, `logps/chosen` and `logps/rejected`, as
    `pairs` has them, with what is wanted for the chosen and what is not for the rejected.

    Args:
      log_prob: `[...]` log pi of the responses, summed over tokens.
      log_ratio: `[...]` log pi / reference.
      desirable: `[...]` bool or in [0, 1], whether they are wanted.
      beta: > 0, how much a nat is worth.

    Returns:
      `{name: []}`, detached; 0 of a kind of which there is none.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs.
    """
    assert_like("thumbs", log_prob=log_prob, log_ratio=log_ratio, desirable=desirable)
    wanted = jnp.asarray(desirable, jnp.float32)

    def mean(x: Array, weight: Array) -> Array:
        return jnp.sum(x * weight) / jnp.maximum(weight.sum(), jnp.finfo(jnp.float32).tiny)

    reported = {}
    for name, weight in (("chosen", wanted), ("rejected", 1.0 - wanted)):
        reported[f"rewards/{name}"] = beta * mean(log_ratio, weight)
        reported[f"logps/{name}"] = mean(log_prob, weight)
    reported["rewards/margins"] = reported["rewards/chosen"] - reported["rewards/rejected"]
    return {name: jax.lax.stop_gradient(x) for name, x in reported.items()}


def pair_tokens(chosen: Law, rejected: Law, chosen_mask: Array, rejected_mask: Array) -> Metrics:
    """What to log of the tokens of pairs, by TRL's names (von Werra et al., 2020).

    `entropy` of the law of a token, over both responses; `mean_token_accuracy`, how often the
    likeliest token is that of the preferred response; `logits/chosen` and `logits/rejected`, means
    over the vocabulary, of which only changes mean something.

    Args:
      chosen: of `[..., L]` tokens of the preferred responses, as `reading.law` gives them.
      rejected: the same of the others.
      chosen_mask: `[..., L]` 1 on the tokens of a response.
      rejected_mask: `[..., L]` the same of the others.

    Returns:
      `{name: []}`, detached: means over all tokens of the batch; 0 where there are none.

    Raises:
      AssertionError: while tracing, naming the argument whose shape differs.
    """
    assert_like(
        "pair_tokens",
        chosen=chosen.entropy,
        rejected=rejected.entropy,
        chosen_mask=chosen_mask,
        rejected_mask=rejected_mask,
    )
    mean = statistics.masked_mean
    entropy = jnp.stack([chosen.entropy, rejected.entropy])
    reported = {
        "entropy": mean(entropy, jnp.stack([chosen_mask, rejected_mask])),
        "mean_token_accuracy": mean(chosen.likeliest.astype(jnp.float32), chosen_mask),
        "logits/chosen": mean(chosen.mean_output, chosen_mask),
        "logits/rejected": mean(rejected.mean_output, rejected_mask),
    }
    return {name: jax.lax.stop_gradient(x) for name, x in reported.items()}


def perplexity_accuracy(chosen: Array, rejected: Array) -> Array:
    """The share of better answers that surprise less (Sonkar et al., 2024, arXiv:2402.05000).

    Asked of a tutor: does it find guidance likelier than giving the answer away?

    Args:
      chosen: `[...]` mean log-probability of a token of the preferred responses: minus the
        logarithm of the perplexity.
      rejected: `[...]` the same of the others.

    Returns:
      `[]` in [0, 1]; an equal pair does not count as right.

    Raises:
      AssertionError: while tracing, if the shapes differ.
    """
    assert_like("perplexity_accuracy", chosen=chosen, rejected=rejected)
    return jnp.mean(chosen > rejected)
