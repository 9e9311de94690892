"""Run directories: begun, gone on with, refused, and loaded as policies."""

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rlax_pref
from rlax_pref.agents import runner
from rlax_pref.checkpoints import CheckpointError, Checkpoints

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import toy  # noqa: E402

AGENT = toy.make()
KEY = jax.random.key(0)


DESCRIPTION = {"agent": "toy", "env": "countdown", "config": {"rate": 0.05, "clip": float("inf")}}


def train_run(directory, num_steps=20, **options):
    options = {"description": DESCRIPTION, "every": 4, "save_every": 8, "progress": False} | options
    return runner.train_run(directory, AGENT, num_steps, **options)


def test_a_run_directory(tmp_path, twenty):
    assert toy.bits(train_run(tmp_path)) == twenty
    assert {p.name for p in tmp_path.iterdir()} == {
        "LOCK",
        "checkpoints",
        "metrics.jsonl",
        "run.json",
    }
    with Checkpoints(tmp_path) as saved:
        assert saved.steps == [8, 16, 20]
    about = runner.describe(tmp_path)
    assert about["config"] == DESCRIPTION["config"]
    assert (about["seed"], about["num_steps"], about["save_every"]) == (0, 20, 8)
    assert about["versions"]["jax"] == jax.__version__
    json.loads((tmp_path / "run.json").read_text(), parse_constant=pytest.fail)


def test_stopped_and_continued_equals_uninterrupted(tmp_path, twenty):
    train_run(tmp_path, 8)
    assert toy.bits(train_run(tmp_path, 20)) == twenty
    assert [row["step"] for row in toy.read_log(tmp_path / "metrics.jsonl")] == [4, 8, 12, 16, 20]


def test_continued_after_damage_equals_uninterrupted(tmp_path, twenty, capsys):
    """The work between two checkpoints is done again, and logged once."""
    train_run(tmp_path, 20)
    (tmp_path / "checkpoints" / "000000000020" / "manifest.json").unlink()
    assert toy.bits(train_run(tmp_path, 20)) == twenty
    assert capsys.readouterr().err.count("\n") == 1
    assert [row["step"] for row in toy.read_log(tmp_path / "metrics.jsonl")] == [4, 8, 12, 16, 20]


def test_a_finished_run_stays_as_it_is(tmp_path, twenty):
    train_run(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_text()
    assert toy.bits(train_run(tmp_path)) == twenty
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_another_run_is_refused(tmp_path):
    train_run(tmp_path, 4)
    with pytest.raises(runner.RunError, match=r"another run: seed was 0 there and is 1 now"):
        train_run(tmp_path, seed=1)
    other = DESCRIPTION | {"config": {"rate": 0.1, "clip": float("inf")}}
    with pytest.raises(runner.RunError, match=r"config\.rate was 0\.05 there and is 0\.1 now"):
        train_run(tmp_path, description=other)
    train_run(tmp_path, 8)


def test_a_run_in_use_is_refused(tmp_path):
    with (
        Checkpoints(tmp_path),
        pytest.raises(CheckpointError, match=r"another process \(pid \d+\) is writing to"),
    ):
        train_run(tmp_path)


def test_resume_by_the_directory_alone(tmp_path, twenty, monkeypatch):
    made = []

    def make(name, env, config, data, start_from):
        made.append((name, config, data))
        return AGENT

    monkeypatch.setattr("rlax_pref.agents.make", make)
    monkeypatch.setattr("rlax_pref.envs.make", lambda name: toy.Countdown(), raising=False)
    train_run(tmp_path, 8)
    assert toy.bits(runner.resume(tmp_path, 20, progress=False)) == twenty
    assert made == [("toy", DESCRIPTION["config"], None)]
    with Checkpoints(tmp_path) as saved:
        assert saved.steps == [8, 16, 20]  # at the rhythm it began with
    assert runner.describe(tmp_path)["num_steps"] == 20
    assert toy.bits(runner.resume(tmp_path, progress=False)) == twenty


def test_load_policy(tmp_path):
    state = train_run(tmp_path)
    policy = rlax_pref.load_policy(tmp_path, agent=AGENT)
    obs = jnp.arange(3.0)
    expected = AGENT.policy(state.learner).act(jnp.int32(0), obs, KEY)
    memory, action = jax.jit(policy.act)(policy.init(KEY), obs, KEY)
    assert memory == 1
    np.testing.assert_allclose(action, expected[1], rtol=1e-6)


def test_load_the_best_policy(tmp_path):
    """The metric is highest in the middle; that learner's policy comes back, while in use too."""
    learners = {}

    def score(state, metrics):
        learners[int(state.step)] = jax.device_get(state.learner)
        return {"score": -abs(int(state.step) - 8.0)}

    train_run(tmp_path, 28, save_every=4, metric="score", hooks=[score])
    with Checkpoints(tmp_path) as saved:
        assert saved.steps == [8, 20, 24, 28]
        policy = runner.load_policy(tmp_path, agent=AGENT, which="best")
    _, action = policy.act(jnp.int32(0), jnp.ones(3), KEY)
    np.testing.assert_allclose(action, learners[8]["w"].sum(), rtol=1e-6)
    assert not np.isclose(action, learners[28]["w"].sum(), rtol=1e-3)


def test_load_policy_in_plain_words(tmp_path):
    with pytest.raises(runner.RunError, match=r"no run in .*nowhere: it has no run\.json"):
        runner.load_policy(tmp_path / "nowhere")
    train_run(tmp_path, 0)
    with pytest.raises(CheckpointError, match="nothing is saved yet in"):
        runner.load_policy(tmp_path, agent=AGENT)
    with pytest.raises(ValueError, match="Unknown environment 'countdown'"):
        runner.load_policy(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(runner.RunError, match=r"run\.json cannot be read"):
        runner.load_policy(tmp_path)


def test_load_policy_of_an_undescribed_run(tmp_path):
    train_run(tmp_path, 4, description=None)
    with pytest.raises(runner.RunError, match="no description of its agent and env"):
        runner.load_policy(tmp_path)
    assert runner.load_policy(tmp_path, agent=AGENT)
