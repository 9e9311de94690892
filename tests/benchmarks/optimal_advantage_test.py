"""The benchmark of learned advantages runs on a folder and on fresh worlds, and finds its claim."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import record
from benchmarks.learning import optimal_advantage, worlds

from .made_up import SMALL, WIDE, write_world


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(worlds, "NUM_STEPS", 20)
    monkeypatch.setattr(record.compilation, "enable_cache", lambda: None)


def test_it_writes_a_line_for_every_condition(tmp_path, capsys):
    write_world(tmp_path / "data" / "MDP_1.npz", SMALL, pairs=(40, 3))
    write_world(tmp_path / "data" / "MDP_2.npz", WIDE, pairs=(30, 3))
    out, plot = tmp_path / "results" / "lines.jsonl", tmp_path / "results" / "plot.png"
    files = ["--data", str(tmp_path / "data"), "--out", str(out), "--plot", str(plot)]
    optimal_advantage.main([*files, "--sizes", "5", "50", "--seeds", "2"])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    names = [(line["pairs"], line["absorbing"], line["score"], line["labels"]) for line in lines]
    assert len(set(names)) == len(names) == 2 * 2 * 2 * 2
    for line in lines:
        assert line["worlds"] == ["MDP_1", "MDP_2"] and line["seeds"] == 2
        returns = np.array(line["greedy"]["scaled_return"])
        assert returns.shape == (2, 2) and (returns <= 1.001).all()
        assert line["greedy"]["mean_clipped"] == pytest.approx(returns.clip(-1, 1).mean(), abs=1e-3)
        assert line["greedy"]["near_optimal"] == (returns >= 0.9).mean()
    printed = capsys.readouterr().out
    assert "milliseconds a table" in printed and "50 stochastic regret         without" in printed
    assert sorted(path.name for path in out.parent.iterdir()) == ["lines.jsonl", "plot.png"]


def test_fresh_worlds_need_no_folder(tmp_path):
    out = tmp_path / "lines.jsonl"
    options = ["--generate", "2", "--slip", "0.5", "--sizes", "5", "--labels", "noiseless"]
    optimal_advantage.main([*options, "--out", str(out)])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == 4 and lines[0]["worlds"] == ["generated_0", "generated_1"]
    assert lines[0]["slip"] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give --data, --generate"),
        (["--generate", "1", "--slip", "1"], 2, "--slip must be in"),
        (["--data", "/nowhere"], 1, "no world found"),
    ],
)
def test_nothing_to_study_ends_in_one_line(arguments, code, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        optimal_advantage.main([*arguments, "--out", str(tmp_path / "out.jsonl")])
    assert error.value.code == code
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


def test_without_absorbing_transitions_an_advantage_is_no_reward(data, monkeypatch):
    """On one published world, with 10000 noiseless choices; the control is the other way round."""
    monkeypatch.setattr(worlds, "NUM_STEPS", 1000)
    [source] = [s for s in worlds.find(data, "random_mdps") if s.name == "MDP_101"]
    measured = optimal_advantage.study(
        worlds.stack([source]),
        worlds.seeds(jax.random.key(0), 1, 1),
        jnp.array([True, False]),
        kinds=tuple(worlds.Choices(s, "noiseless") for s in optimal_advantage.SCORES),
        num_pairs=10_000,
    )
    values = {name: np.asarray(x)[0, :, 0].T for name, x in measured.items()}  # [kind, condition]
    assert (values["greedy"][0] > 0.99).all()
    assert values["as_reward"][0, 0] > 0.9 > 0 > values["as_reward"][0, 1]
    assert values["max"][0, 1] > 10 * abs(values["max"][0, 0])
    assert values["greedy"][1, 0] < 0 < 0.9 < values["as_reward"][1, 0]
