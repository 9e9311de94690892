"""Which samples to learn from: the best, or pairs that differ enough.

Sample, score, select, imitate: RAFT, DNO, DRAGON and DPA are one loop, and differ in the selection.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from rlax_pref._shapes import assert_like
from rlax_pref.types import Array, Numeric, PyTree


class Selected(NamedTuple):
    """A sample of each group. Take it with `jnp.take_along_axis`."""

    chosen: Array  # [...] int32 within the group
    keep: Array  # [...] bool, whether there was anything to choose from


class SelectedPairs(NamedTuple):
    """Two samples of each group, or more pairs than one."""

    chosen: Array  # [...] int32 within the group
    rejected: Array  # [...] int32
    keep: Array  # [...] bool, whether the pair meets the rules


def best_of_n(score: Array, valid: Array | None = None) -> Selected:
    """The best of each prompt's samples, RAFT (Dong et al., 2023, arXiv:2304.06767).

    To imitate what is kept, again and again, is reward-ranked fine-tuning. The best of n has
    distribution `P(y) = F(score of y)^n - F(just below)^n`, and is at most `log n - (n - 1) / n`
    nats away.

    Args:
      score: `[..., G]` of the samples, the group last.
      valid: `[..., G]` bool, which are well formed. Leave others out before they are ranked.

    Returns:
      `Selected` of `[...]`; the first of equals. Not kept where no sample is valid.
    """
    assert_like("best_of_n", score=score, valid=valid)
    valid = jnp.ones(score.shape, bool) if valid is None else valid.astype(bool)
    return Selected(jnp.argmax(jnp.where(valid, score, -jnp.inf), axis=-1), valid.any(-1))


def top_fraction(score: Array, fraction: Numeric = 0.2, valid: Array | None = None) -> Array:
    """The best of all samples of all prompts, RAFT's global form (Dong et al., 2023).

    It favours easy prompts, whose samples are all good.

    Args:
      score: `[...]` of all samples.
      fraction: in (0, 1], of the valid ones, rounded up.
      valid: `[...]` bool, which are well formed.

    Returns:
      `[...]` bool, which to imitate: exactly so many, the first of equals.
    """
    assert_like("top_fraction", score=score, valid=valid)
    valid = jnp.ones(score.shape, bool) if valid is None else valid.astype(bool)
    flat = jnp.where(valid, score, -jnp.inf).reshape(-1)
    order = jnp.argsort(-flat, stable=True)
    rank = jnp.zeros(flat.shape, jnp.int32).at[order].set(jnp.arange(flat.size))
    return (rank < jnp.ceil(fraction * valid.sum() - 1e-4)).reshape(score.shape) & valid


def best_and_worst(score: Array, valid: Array | None = None) -> SelectedPairs:
    """The widest pair of each prompt's samples, for any loss of pairs (Yuan et al., 2024).

    Args:
      score: `[..., G]` of the samples, the group last.
      valid: `[..., G]` bool, which are well formed.

    Returns:
      `SelectedPairs` of `[...]`; not kept where the scores are equal.
    """
    best, worst = best_of_n(score, valid), best_of_n(-score, valid)
    at = lambda index: jnp.take_along_axis(score, index[..., None], axis=-1)[..., 0]
    keep = best.keep & (at(best.chosen) > at(worst.chosen))
    return SelectedPairs(best.chosen, worst.chosen, keep)


def dno_pairs(
    score: Array,
    teacher_score: Array,
    *,
    at_least: Numeric = 5.0,
    gap: Numeric = 2.0,
    own_gap: Numeric = 1.0,
) -> SelectedPairs:
    """Which pairs are worth learning from, DNO-Prct (Rosset et al., 2024, arXiv:2404.03715).

    Every two of a prompt's samples and the teacher's answer make a pair if the better is good, and
    better by enough; the policy's own good answers need less of a lead.

    Args:
      score: `[..., G]` of the policy's samples, 1 to 6 in the paper.
      teacher_score: `[...]` of a stronger model's answer to the same prompt.
      at_least: what a preferred answer must score.
      gap: by how much the teacher's must lead.
      own_gap: by how much the policy's own must lead.

    Returns:
      `SelectedPairs` of `[..., (G + 1)^2]`; index G is the teacher.
    """
    assert_like("dno_pairs", score=score[..., 0], teacher_score=teacher_score)
    every = jnp.concatenate([score, teacher_score[..., None]], axis=-1)
    num = every.shape[-1]
    chosen, rejected = (x.reshape(-1) for x in jnp.indices((num, num)))
    lead = every[..., chosen] - every[..., rejected]
    enough = jnp.broadcast_to(jnp.where(chosen == num - 1, gap, own_gap), lead.shape)
    two = jnp.broadcast_to(chosen != rejected, lead.shape)
    rounding = 1e-6  # 0.9 leads 0.5 by 0.4
    keep = (every[..., chosen] >= at_least - rounding) & (lead >= enough - rounding) & two
    return SelectedPairs(
        jnp.broadcast_to(chosen, keep.shape), jnp.broadcast_to(rejected, keep.shape), keep
    )


def along(reward: Array, direction: Array) -> Array:
    """Score of many rewards in a direction, DPA (Wang et al., 2024, arXiv:2402.18571).

        score = reward . direction / |direction|

    Say the direction in the prompt, sample, keep the `best_of_n` along it, and imitate: one policy
    learns all trade-offs between rewards. What was kept for one direction is no demonstration of
    another.

    Args:
      reward: `[..., M]` of M kinds, on a common scale.
      direction: `[..., M]` what matters how much.

    Returns:
      `[...]` scores; 0 along no direction.
    """
    chex.assert_equal_shape(
        [reward, direction], custom_message="along: direction must be shaped like reward"
    )
    square = jnp.square(direction).sum(-1)
    scale = jnp.where(square > 0, jax.lax.rsqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return jnp.sum(reward * direction, axis=-1) * scale


def pareto(first: Array, second: Array) -> tuple[Array, Array]:
    """Choices by many rewards that must agree, as for D3PO (Yang et al., 2023, arXiv:2311.13231).

    Args:
      first: `[..., M]` rewards of M kinds.
      second: `[..., M]` the same of the other.

    Returns:
      `(p_first, weight)`, `[...]` each: 1 or 0 where one is at least as good in all and better in
      some; 0.5 where they are equal or disagree. Where they disagree nothing is said, and the
      weight is 0: a constant loss that is not left out would spoil the mean.
    """
    chex.assert_equal_shape(
        [first, second], custom_message="pareto: second must be shaped like first"
    )
    no_worse, no_better = (first >= second).all(-1), (first <= second).all(-1)
    p_first = 0.5 * (1.0 + no_worse - no_better)
    return p_first, (no_worse | no_better).astype(jnp.float32)


def dragon(
    reward: Callable[[PyTree], Array], first: PyTree, second: PyTree
) -> tuple[PyTree, PyTree]:
    """A better and a worse batch, DRAGON (Bai et al., 2025, arXiv:2504.15217).

    Samples at equal places, of one prompt, change batches whenever that makes the first batch
    better than it is, relative to the second. Learn from the pairs (first_i, second_i), or from
    both batches as wanted and unwanted.

    Args:
      reward: `samples [N, ...] -> []`, e.g. minus `metrics.frechet_distance` to a target.
      first: samples, every leaf `[N, ...]`.
      second: others for the same prompts, every leaf `[N, ...]`.

    Returns:
      The two batches after one pass over their places, the better first: its reward is at least the
      other's. For a reward that is a mean over samples this is the comparison sample by sample.

    Reference: the order of the swaps is not in the paper's abstract; this is the simplest.
    """
    num = jax.tree.leaves(first)[0].shape[0]
    swapped = reward(first) < reward(second)
    exchange = lambda where, x, y: (
        jax.tree.map(lambda a, b: jnp.where(where, b, a), x, y),
        jax.tree.map(lambda a, b: jnp.where(where, a, b), x, y),
    )
    better, worse = exchange(swapped, first, second)

    def visit(carry: tuple[PyTree, PyTree, Array], i: Array) -> tuple[tuple, None]:
        better, worse, lead = carry
        mine, other = (jax.tree.map(lambda x: x[i], batch) for batch in (better, worse))
        new_better, new_worse = (
            jax.tree.map(lambda x, y: x.at[i].set(y), batch, sample)
            for batch, sample in ((better, other), (worse, mine))
        )
        new_lead = reward(new_better) - reward(new_worse)
        gains = new_lead > lead
        better, worse = (
            jax.tree.map(lambda x, y: jnp.where(gains, y, x), old, new)
            for old, new in ((better, new_better), (worse, new_worse))
        )
        return (better, worse, jnp.where(gains, new_lead, lead)), None

    carry = better, worse, reward(better) - reward(worse)
    (better, worse, _), _ = jax.lax.scan(visit, carry, jnp.arange(num))
    return better, worse
