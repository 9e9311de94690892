"""How surely does one model of choice explain people better than another?

For every condition of the human study (Knox et al., 2022, arXiv:2206.02231; Hatgis-Kessell et al.,
2025, arXiv:2501.06416): how likely people's choices are given the true reward, under partial
return, regret, change in expected return, and a free mixture of the three parts of regret.

    python -m benchmarks.learning.human_choices --data DIR --out FILE
        [--folds 10] [--resamples 2000]

DIR holds `human/<condition>.npz` or the published `.npy` files. FILE gets one JSON line for each
condition and model:

  nll        nats a choice at the best of 51 scales
  nll_exact  the same with each weight fitted exactly: one scale, or three for the mixture
  nll_cv     the same for choices that were not fitted, by cross-validation
  accuracy   how often a person without noise says what people said, ties included

with 95 % intervals, by the paired bootstrap over choices, of what regret gains on each model. Then
one line for each treatment (a condition in which people were influenced) and model: was accuracy
changed against the control of its study (Fisher's exact test), and were the nats of single choices,
each condition at its own best scale (Mann-Whitney)?
"""

import argparse
import pathlib
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import record
from rlax_pref import metrics, preferences
from rlax_pref.datasets import knox
from rlax_pref.envs import grid
from rlax_pref.types import Array, Key

# By model, its features: sums of differences (first minus second) of partial return, V*(s_0) and
# V*(s_L), one column a weight.
MODELS = {
    "partial_return": np.array([[1], [0], [0]]),
    "regret": np.array([[1], [-1], [1]]),
    "expected_return": np.array([[1], [0], [1]]),
    "expressive": np.eye(3),
}
REFERENCE = "regret"
STEPS, LEARNING_RATE = 2000, 0.2  # of each fit, in units of features of size 1
Line = dict[str, Any]


class Explained(NamedTuple):
    """What a model says of single choices, and its fits."""

    nll: Array  # [N] nats of each choice at the best of the common scales
    nll_cv: Array  # [N] nats of each choice, fitted without it
    agrees: Array  # [N] bool, a person without noise says the same
    scale: Array  # [] the best of the common scales
    weights: Array  # [D] fitted exactly
    nll_exact: Array  # [] mean nats at these weights


@partial(jax.jit, static_argnames="folds")
def explain(key: Key, features: Array, p_first: Array, *, folds: int) -> Explained:
    """Fits a model to choices.

    Args:
      key: for the folds.
      features: `[N, D]`; the score of the first minus that of the second is `features @ weights`.
      p_first: `[N]`.
      folds: parts for cross-validation.
    """
    num, width = features.shape
    fold = jax.random.permutation(key, num) % folds
    train = jnp.arange(folds + 1)[:, None] != fold  # the last one trains on everything
    size = jnp.sqrt(jnp.mean(features**2, axis=0))
    size = jnp.where(size > 0, size, 1.0)  # V*(s_0) never differs where all pairs share a start
    unit = features / size

    def fit(weight: Array) -> Array:
        scores = lambda w: jnp.stack([unit @ w, jnp.zeros(num)], axis=1)
        return preferences.fit(
            scores,
            jnp.zeros(width),
            p_first,
            weight.astype(jnp.float32),
            learning_rate=LEARNING_RATE,
            num_steps=STEPS,
            best=True,
        ).params

    weights = jax.vmap(fit)(train)  # [folds + 1, D]
    held_out = preferences.logistic_loss(jnp.sum(unit * weights[fold], axis=1), p_first)
    z = features[:, 0] if width == 1 else features @ (weights[-1] / size)
    best = metrics.likelihood(z, p_first)
    said = jnp.where(z == 0, 0.5, (z > 0).astype(jnp.float32))
    return Explained(
        nll=preferences.logistic_loss(best.scale * z, p_first),
        nll_cv=held_out,
        agrees=said == p_first,
        scale=best.scale,
        weights=weights[-1] / size,
        nll_exact=preferences.logistic_loss(unit @ weights[-1], p_first).mean(),
    )


@partial(jax.jit, static_argnames="resamples")
def interval(key: Key, gains: Array, *, resamples: int) -> Array:
    """`[2, M]` the 95 % bootstrap interval of the means of `gains` `[N, M]`, drawn by rows."""
    num = len(gains)
    mean = lambda key: gains[jax.random.randint(key, (num,), 0, num)].mean(0)
    means = jax.lax.map(mean, jax.random.split(key, resamples))
    return jnp.quantile(means, jnp.array([0.025, 0.975]), axis=0)


def study(
    human: knox.HumanStudy, folds: int, resamples: int
) -> tuple[list[Line], dict[str, Explained]]:
    """The lines of one condition, one a model, and what they were made of."""
    start = time.perf_counter()
    key_folds, key_resamples = jax.random.split(jax.random.key(0))
    explained = {
        name: explain(
            key_folds,
            human.difference @ jnp.asarray(parts, jnp.float32),
            human.preferences.p_first,
            folds=folds,
        )
        for name, parts in MODELS.items()
    }
    reference = explained[REFERENCE]
    gains = jnp.stack(
        [x.nll_cv - reference.nll_cv for x in explained.values()]
        + [reference.agrees.astype(float) - x.agrees for x in explained.values()],
        axis=1,
    )
    low, high = np.asarray(interval(key_resamples, gains, resamples=resamples)).round(5).tolist()
    seconds = round(time.perf_counter() - start, 2)
    lines = [
        {
            "condition": human.report.name,
            "model": name,
            "n": human.report.num,
            "nll": float(x.nll.mean()),
            "scale": float(x.scale),
            "nll_exact": float(x.nll_exact),
            "weights": x.weights.tolist(),
            "nll_cv": float(x.nll_cv.mean()),
            "regret_gains_nats": [low[i], high[i]],
            "accuracy": float(x.agrees.mean()),
            "regret_gains_accuracy": [low[i + len(MODELS)], high[i + len(MODELS)]],
            "folds": folds,
            "resamples": resamples,
            "seconds": seconds,
            **record.where(),
        }
        for i, (name, x) in enumerate(explained.items())
    ]
    return lines, explained


def influences(by_condition: dict[str, dict[str, Explained]]) -> Iterator[Line]:
    """Each treatment against the control of its study, a line for each model."""
    from scipy import stats

    for control in (name for name in by_condition if name.endswith("-Control")):
        part = control.removesuffix("-Control")
        for treatment in (name for name in by_condition if name.endswith(f"-{part}")):
            for model in MODELS:
                treated, untreated = by_condition[treatment][model], by_condition[control][model]
                counts = [
                    [int(x.agrees.sum()), int((~x.agrees).sum())] for x in (treated, untreated)
                ]
                ranks = stats.mannwhitneyu(*(np.float64(x.nll) for x in (treated, untreated)))
                yield {
                    "treatment": treatment,
                    "control": control,
                    "model": model,
                    "accuracy": [right / (right + wrong) for right, wrong in counts],
                    "fisher_p": float(stats.fisher_exact(counts).pvalue),
                    "mann_whitney_u": float(ranks.statistic),
                    "mann_whitney_p": float(ranks.pvalue),
                }


def run(folder: pathlib.Path, folds: int, resamples: int) -> list[Line]:
    """Studies every condition in the folder, and prints tables."""
    lines: list[Line] = []
    by_condition = {}
    for name, path in knox.find_human(folder).items():
        human = knox.load_human(path, grid.delivery())
        print(
            f"\n{human.report}\n{'model':>18}  nll    scale  nll_cv  regret gains        accuracy"
        )
        fresh, by_condition[name] = study(human, folds, resamples)
        for line in fresh:
            low, high = line["regret_gains_nats"]
            print(
                "{model:>18}  {nll:.4f} {scale:.3f}  {nll_cv:.4f}".format(**line)
                + f"  {low:+.4f} to {high:+.4f}  {line['accuracy']:.4f}"
            )
        lines += fresh
    tests = list(influences(by_condition))
    for test in tests:
        print(
            "\n{treatment} against {control}, {model}: Fisher p = {fisher_p:.1e}, "
            "Mann-Whitney U = {mann_whitney_u:.0f}, p = {mann_whitney_p:.1e}".format(**test),
            end="",
        )
    return lines + tests


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with the choices")
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--resamples", type=int, default=2000)

    def measure(args: argparse.Namespace) -> list[Line]:
        if args.folds < 2:
            parser.error("--folds must be at least 2")
        return run(args.data, args.folds, args.resamples)

    record.run(parser, measure, arguments)


if __name__ == "__main__":
    main()
