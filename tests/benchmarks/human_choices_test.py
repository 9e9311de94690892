"""The analysis of people's choices: its fits, intervals and tests are what they are said to be."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import human_choices
from rlax_pref.datasets import knox
from rlax_pref.envs import grid

from .human_preferences_test import write_condition

optimize = pytest.importorskip("scipy.optimize")

WEIGHTS = np.array([0.3, -0.2, 0.0])


@pytest.fixture(scope="module")
def choices():
    """Whole-numbered differences, the last always 0, and noisy choices, some of them ties."""
    rng = np.random.default_rng(0)
    features = rng.integers(-9, 10, (120, 3)) * (1, 4, 0)
    p_first = rng.random(120) < 1 / (1 + np.exp(-features @ WEIGHTS))
    return features.astype(np.float32), np.where(rng.random(120) < 0.1, 0.5, p_first)


def nats(features, p_first, weights):
    z = features @ weights
    return p_first * np.logaddexp(0, -z) + (1 - p_first) * np.logaddexp(0, z)


def fitted(features, p_first):
    mean = lambda w: nats(features, p_first, w).mean()
    return optimize.minimize(mean, np.zeros(features.shape[1])).x


@pytest.mark.parametrize("columns", [[0], [0, 1, 2]])
def test_fits_are_exact_and_choices_are_held_out(choices, columns):
    features, p_first = choices[0][:, columns], choices[1]
    key = jax.random.key(0)
    found = human_choices.explain(key, jnp.asarray(features), jnp.asarray(p_first), folds=5)
    best = fitted(features, p_first)
    np.testing.assert_allclose(found.weights, best, atol=5e-3)
    least = nats(features, p_first, best).mean()
    assert found.nll_exact == pytest.approx(least, abs=1e-5)
    assert least - 1e-5 <= found.nll.mean() < least + 0.01
    fold = np.asarray(jax.random.permutation(key, 120) % 5)
    for i in range(5):
        out = fold == i
        expected = nats(features[out], p_first[out], fitted(features[~out], p_first[~out]))
        np.testing.assert_allclose(found.nll_cv[out], expected, atol=2e-2)
    if columns == [0]:
        said = 0.5 * (1 + np.sign(features[:, 0]))
        np.testing.assert_array_equal(found.agrees, said == p_first)


def test_intervals_are_of_the_mean_and_paired():
    x = np.random.default_rng(0).normal(3, 2, 400)
    gains = jnp.asarray(np.stack([x, x - x, 10 + 2 * x], axis=1))
    low, high = np.asarray(human_choices.interval(jax.random.key(0), gains, resamples=500))
    half = 1.96 * x.std() / 20
    np.testing.assert_allclose([low[0], high[0]], [x.mean() - half, x.mean() + half], atol=0.05)
    assert low[1] == high[1] == 0
    np.testing.assert_allclose([low[2], high[2]], [10 + 2 * low[0], 10 + 2 * high[0]], rtol=1e-4)


def test_it_writes_a_line_for_every_condition_and_every_treatment(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(human_choices, "STEPS", 20)
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    rng = np.random.default_rng(0)
    for i, name in enumerate(("A-Control", "Pr-A", "B-Control")):
        write_condition(tmp_path, name, 12, jax.random.key(i))
        stem = str(tmp_path / f"{name}_full_filtered_")
        np.save(stem + "X.npy", rng.integers(-5, 6, (12, 3)))
        np.save(stem + "Y.npy", rng.integers(0, 3, 12) / 2)
    out = tmp_path / "lines.jsonl"
    human_choices.main(["--data", str(tmp_path), "--out", str(out), "--folds", "3"])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    conditions = [line for line in lines if "condition" in line]
    assert [(line["condition"], line["model"]) for line in conditions] == [
        (name, model)
        for name in ("A-Control", "B-Control", "Pr-A")
        for model in human_choices.MODELS
    ]
    for line in conditions:
        low, high = line["regret_gains_nats"]
        assert line["n"] == 12 and low <= high
        if line["model"] == "regret":
            assert low == high == 0
    treatments = lines[len(conditions) :]
    assert [(line["treatment"], line["control"]) for line in treatments] == [
        ("Pr-A", "A-Control")
    ] * 4
    for line in treatments:
        assert 0 <= line["fisher_p"] <= 1 and 0 <= line["mann_whitney_u"] <= 144
    assert "Pr-A against A-Control, expressive" in capsys.readouterr().out


def test_an_unsound_folder_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    with pytest.raises(SystemExit) as error:
        human_choices.main(["--data", str(tmp_path), "--out", str(tmp_path / "out.jsonl")])
    assert error.value.code == 1 and "no condition found" in capsys.readouterr().err


def test_published_choices_give_published_figures(data):
    """A control and the treatment that taught people to compare partial returns."""
    lines, explained = {}, {}
    found = knox.find_human(data)
    for name in ("Privileged-Control", "Pr-Privileged"):
        if name not in found:
            pytest.skip(f"no condition {name}")
        human = knox.load_human(found[name], grid.delivery())
        rows, explained[name] = human_choices.study(human, folds=10, resamples=200)
        lines |= {(name, row["model"]): row for row in rows}
    control = {model: lines["Privileged-Control", model] for model in human_choices.MODELS}
    for model, nll, accuracy in (
        ("partial_return", 0.6197, 0.4858),
        ("regret", 0.5727, 0.5594),
        ("expected_return", 0.5652, None),
    ):
        assert control[model]["nll"] == pytest.approx(nll, abs=1e-4)
        if accuracy:
            assert control[model]["accuracy"] == pytest.approx(accuracy, abs=1e-4)
    np.testing.assert_allclose(control["expressive"]["weights"], [0.299, -0.163, 0.284], atol=2e-3)
    assert control["regret"]["nll_cv"] == pytest.approx(0.5732, abs=1e-3)
    assert control["partial_return"]["regret_gains_nats"][0] > 0
    tests = {line["model"]: line for line in human_choices.influences(explained)}
    assert tests["partial_return"]["fisher_p"] == pytest.approx(9.5e-73, rel=0.01)
    assert tests["partial_return"]["mann_whitney_u"] == pytest.approx(1418607, abs=5)
    assert tests["partial_return"]["mann_whitney_p"] == pytest.approx(5.5e-99, rel=0.1)
