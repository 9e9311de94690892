"""The benchmark of loops finds them, counts what they foretell, and runs on a folder."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import loop_hypothesis, worlds
from rlax_pref.envs import grid

from .made_up import SMALL, WEIGHTS, write_world

# Two open cells, a goal: 0 - 1 - goal. Up and down stay in place.
CORRIDOR = grid.grid_world(np.array([[0, 0, 1]]), WEIGHTS)
UP, DOWN, LEFT, RIGHT = range(4)


@pytest.mark.parametrize(
    ("entries", "largest"),
    [
        ({(0, UP): 3.0}, 3.0),  # staying counts once
        ({(0, DOWN): 2.0, (1, UP): 2.5}, 2.5),
        ({(0, RIGHT): 5.0, (1, LEFT): -1.0}, 4.0),  # there and back
        ({(1, RIGHT): 50.0, (2, LEFT): 50.0, (2, UP): 50.0}, -1.0),  # an end is no part of a loop
    ],
)
def test_the_largest_loop_is_found(entries, largest):
    table = np.full((3, 4), -1.0, np.float32)
    table[tuple(np.transpose(list(entries)))] = list(entries.values())
    assert loop_hypothesis.largest_loop(CORRIDOR.tabular(), jnp.asarray(table)) == largest


@pytest.mark.parametrize(("gas", "terminates"), [(-1.0, True), (1.0, False)])
def test_it_is_known_whether_the_optimum_terminates(gas, terminates):
    weights = jnp.array([gas, 0, 0, 0, 0, 0])
    true = worlds.truth(worlds.Worlds(CORRIDOR.board, weights, None, None))
    assert bool(loop_hypothesis.ends(true)) == terminates


def test_a_case_counts_if_the_policies_differ_and_matches_if_foretold():
    #            loop > 0, reward worse; loop < 0, reward worse; no difference; clipped: none either
    measured = {
        "loop": np.array([1.0, -1.0, 1.0, 1.0]),
        "as_reward": np.array([-0.5, 0.0, 0.95, -9.0]),
        "greedy": np.array([1.0, 1.0, 1.0, -2.0]),
    }
    measured = {name: np.stack([x, x])[:, None] for name, x in measured.items()}
    judged = loop_hypothesis.judge(measured | {"ends": np.array([[True], [False]])})
    np.testing.assert_array_equal(judged["counts"][:, 0], [[1, 1, 0, 0]] * 2)
    np.testing.assert_array_equal(judged["matches"][:, 0], [[1, 0, 0, 0], [0, 1, 0, 0]])


def test_the_coin_is_the_binomial_test():
    stats = pytest.importorskip("scipy.stats")
    for matches, cases in ((0, 0), (3, 4), (40, 40), (5, 12)):
        p = stats.binomtest(matches, cases, alternative="greater").pvalue if cases else 1.0
        assert loop_hypothesis.coin(matches, cases) == pytest.approx(p)


def test_it_writes_a_line_for_every_condition_and_a_summary(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(worlds, "NUM_STEPS", 30)
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    for i, gas in enumerate((-1, 1)):
        weights = np.array([gas, *WEIGHTS[1:]], np.float32)
        path = tmp_path / "loop_mdps" / f"MDP_{i}.npz"
        write_world(path, SMALL, weights, pairs1=(20, 1), pairs2=(30, 2))
    out, plot = tmp_path / "lines.jsonl", tmp_path / "plot.png"
    files = ["--data", str(tmp_path), "--out", str(out), "--plot", str(plot)]
    loop_hypothesis.main([*files, "--sizes", "20", "--seeds", "2"])
    *lines, summary = [json.loads(line) for line in out.read_text().splitlines()]
    names = {(line["steps"], line["pairs"], line["labels"]) for line in lines}
    assert len(lines) == len(names) == 2 * 2
    for line in lines:
        assert np.shape(line["loop"]) == np.shape(line["matches"]) == (2, 2)
        assert line["ends"] == [True, False]
        assert line["matching"] == np.sum(line["matches"]) <= line["differing"] <= line["cases"]
    assert summary["cases"] == 4 * 4
    assert summary["differing"] == sum(line["differing"] for line in lines) > 0
    parts = [summary[f"where_{name}_is_optimal"] for name in ("terminating", "looping")]
    assert sum(part["matching"] for part in parts) == summary["matching"]
    assert "cases as foretold" in capsys.readouterr().out and plot.exists()


def test_an_empty_folder_ends_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)
    with pytest.raises(SystemExit) as error:
        loop_hypothesis.main(["--data", str(tmp_path), "--out", str(tmp_path / "out.jsonl")])
    assert error.value.code == 1 and "no world found" in capsys.readouterr().err


def test_loops_foretell_which_policy_is_better(data):
    """On one published world of each kind: wherever the policies differ, the loop told."""
    sources = [
        source
        for source in worlds.find(data, "loop_mdps", "pairs2", from_ends=True)
        if source.name in ("MDP_111", "MDP_120")
    ]
    measured = loop_hypothesis.study(
        worlds.stack(sources),
        worlds.seeds(jax.random.key(0), 2, 6),
        kinds=(worlds.Choices("regret", "stochastic"),),
        num_pairs=30,
    )
    judged = loop_hypothesis.judge(jax.tree.map(np.asarray, measured))
    assert judged["counts"].sum() >= 3
    np.testing.assert_array_equal(judged["matches"], judged["counts"])
