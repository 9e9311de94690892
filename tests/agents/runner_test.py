"""The loop, its hooks and run directories, driven by an agent that compiles in an instant."""

import itertools
import json
import os
import socket
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rlax_pref
from rlax_pref.agents import hooks, runner
from rlax_pref.checkpoints import CheckpointError, Checkpoints
from rlax_pref.types import Policy, TrainState

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import toy  # noqa: E402

AGENT = toy.make()
KEY = jax.random.key(0)


def bits(tree) -> list:
    """The tree as raw bytes, so that equal means equal bit for bit."""

    def raw(x):
        x = jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        return str(x.dtype), x.shape, np.asarray(x).tobytes()

    return [raw(x) for x in jax.tree.leaves(tree)]


@pytest.fixture(scope="module")
def twenty() -> list:
    """What 20 steps come to, in one scan."""
    run = jax.jit(partial(runner.run, AGENT, num_steps=20))
    return bits(run(jax.jit(AGENT.init)(KEY))[0])


# The loop -------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 4, 5, 7, 20, 50])
def test_chunks_change_nothing(every, twenty):
    assert bits(runner.train(AGENT, KEY, 20, every=every)) == twenty


def test_one_step_at_a_time(twenty):
    state, step = jax.jit(AGENT.init)(KEY), jax.jit(AGENT.step)
    for _ in range(20):
        state, _ = step(state)
    assert bits(state) == twenty


def test_going_on_from_a_state_and_leaving_it_whole(twenty):
    half = runner.train(AGENT, KEY, 10, every=5)
    before = bits(half)
    assert bits(runner.train(AGENT, half, 20, every=4)) == twenty
    assert bits(half) == before
    assert bits(runner.train(AGENT, half, 10)) == before


def test_metrics_are_those_of_run():
    seen = []
    runner.train(AGENT, KEY, 17, every=5, hooks=[lambda state, metrics: seen.append(metrics)])
    assert [len(x["loss"]) for x in seen] == [5, 5, 5, 2]
    _, expected = jax.jit(partial(runner.run, AGENT, num_steps=17))(jax.jit(AGENT.init)(KEY))
    for name, x in expected.items():
        np.testing.assert_array_equal(np.concatenate([row[name] for row in seen]), x)


def test_step_is_traced_once():
    """Chunks of any length, a short last one included, are one program."""
    traces = []

    def step(state):
        traces.append(1)
        return AGENT.step(state)

    runner.train(AGENT._replace(step=step), KEY, 17, every=5)
    assert len(traces) == 1


def test_run_under_jit_vmap_and_grad():
    keys = jax.random.split(KEY, 3)
    one = lambda key: runner.run(AGENT, AGENT.init(key), 3)[0].learner["w"]
    batched, alone = jax.jit(jax.vmap(one))(keys), jax.jit(one)
    for i in range(3):
        np.testing.assert_allclose(batched[i], alone(keys[i]), atol=1e-6)

    @jax.jit
    @jax.value_and_grad
    def final(rate):
        agent = toy.make(toy.Config(rate=rate))
        return runner.run(agent, agent.init(KEY), 3)[0].learner["w"].sum()

    numeric = (final(0.051)[0] - final(0.049)[0]) / 0.002
    np.testing.assert_allclose(final(0.05)[1], numeric, rtol=0.02)


def test_hooks_hear_each_other_in_order():
    heard = []
    first = lambda state, metrics: {"eval_return": 3.0}
    second = lambda state, metrics: heard.append((int(state.step), metrics["eval_return"]))
    runner.train(AGENT, KEY, 6, every=3, hooks=[first, second])
    assert heard == [(3, 3.0), (6, 3.0)]


def test_hooks_change_nothing(tmp_path, twenty):
    """Neither evaluating, at any rhythm, nor logging, drawing and saving."""
    for every in (1, 3, 100):
        evaluation = hooks.Evaluation(
            toy.Countdown(), AGENT.policy, jax.random.key(5), every=every, num_episodes=2
        )
        where = tmp_path / str(every)
        with (
            Checkpoints(where) as saved,
            hooks.MetricsLog(where) as log,
            hooks.Progress(20, terminal=False) as progress,
        ):
            saving = hooks.Checkpointing(saved, every=every, total=20)
            after = [evaluation, hooks.Finite(), log, progress, saving]
            state = runner.train(AGENT, KEY, 20, every=4, hooks=after)
        assert bits(state) == twenty


def test_weak_types_are_shed():
    """A state restored has none, so one that begins with them would be another program."""
    weak = AGENT._replace(init=lambda key: AGENT.init(key)._replace(learner=dict(x=1.0 * KEY.size)))
    assert not any(x.weak_type for x in jax.tree.leaves(runner.init(weak, KEY).learner))


def test_wrong_calls():
    with pytest.raises(ValueError, match="every=0: a chunk has at least 1 step"):
        runner.train(AGENT, KEY, 20, every=0)
    scalar = AGENT._replace(init=lambda key: AGENT.init(key)._replace(actor={"t": jnp.zeros(())}))
    with pytest.raises(ValueError, match=r"actor\.t is \[\]: it must lead with num_envs"):
        runner.train(scalar, KEY, 20)


# Sweeps ---------------------------------------------------------------------------------------


def test_sweep_equals_a_loop():
    configs = runner.grid(toy.Config(), rate=[0.1, 0.02], decay=[0.9, 0.5, 0.1])
    keys = jax.random.split(jax.random.key(3), 2)
    states, metrics = runner.sweep(toy.make, configs, keys, 4)
    assert metrics["loss"].shape == (6, 2, 4)
    assert isinstance(states, TrainState)

    @jax.jit
    def alone(config, key):
        agent = toy.make(config)
        return runner.run(agent, agent.init(key), 4)[0].learner["w"]

    for c, (rate, decay) in enumerate((r, d) for r in (0.1, 0.02) for d in (0.9, 0.5, 0.1)):
        for s in range(2):
            expected = alone(toy.Config(rate, decay), keys[s])
            np.testing.assert_allclose(states.learner["w"][c, s], expected, atol=1e-6)


def test_grid_lays_out_all_combinations():
    configs = runner.grid(toy.Config(), decay=[0.1, 0.2], rate=[1, 2, 3])
    np.testing.assert_allclose(configs.decay, [0.1, 0.1, 0.1, 0.2, 0.2, 0.2])
    np.testing.assert_allclose(configs.rate, [1, 2, 3, 1, 2, 3])
    np.testing.assert_array_equal(configs.time_limit, [5] * 6)
    assert runner.grid(toy.Config()).rate.shape == (1,)
    with pytest.raises(ValueError, match="tau cannot be swept over: choose among rate, decay"):
        runner.grid(toy.Config(), tau=[1.0])


# Evaluation -----------------------------------------------------------------------------------

still = Policy(lambda key: jnp.int32(0), lambda memory, obs, key: (memory + 1, jnp.int32(0)))
evaluate = jax.jit(partial(runner.evaluate, toy.Countdown(), still), static_argnums=(1, 2))


def test_evaluation_counts_each_episode_to_its_end():
    key = jax.random.key(4)
    episodes = evaluate(key, 32, 100)
    keys = jax.vmap(lambda k: jax.random.split(k, 3)[0])(jax.random.split(key, 32))
    lengths = jax.vmap(toy.Countdown().reset)(keys)[0]
    assert set(np.asarray(lengths)) == {1, 2, 3, 4, 5, 6}
    np.testing.assert_array_equal(episodes["length"], lengths)
    np.testing.assert_array_equal(episodes["return"], lengths)
    assert episodes["finished"].all()


def test_evaluation_stops_at_max_steps():
    cut, whole = evaluate(KEY, 32, 3), evaluate(KEY, 32, 100)
    np.testing.assert_array_equal(cut["length"], np.minimum(whole["length"], 3))
    np.testing.assert_array_equal(cut["return"], np.minimum(whole["return"], 3))
    np.testing.assert_array_equal(cut["finished"], whole["length"] <= 3)


def test_evaluation_under_jit_and_vmap():
    keys = jax.random.split(KEY, 3)
    batched = jax.jit(jax.vmap(lambda key: evaluate(key, 4, 10)))(keys)
    for i in range(3):
        for name, x in evaluate(keys[i], 4, 10).items():
            np.testing.assert_array_equal(batched[name][i], x)


def test_policies_carry_memory():
    """Its action is what it remembers, and so is the reward: 0 + 1 + ... to the end."""

    class Echo(toy.Countdown):
        def step(self, key, state, action):
            state, timestep = super().step(key, state, action)
            return state, timestep._replace(reward=action.astype(jnp.float32))

    policy = Policy(lambda key: jnp.int32(0), lambda memory, obs, key: (memory + 1, memory))
    episodes = runner.evaluate(Echo(), policy, KEY, 16, 10)
    n = episodes["length"]
    np.testing.assert_array_equal(episodes["return"], n * (n - 1) / 2)


def test_evaluation_draws_on_the_step_alone():
    """The same step brings the same figures, whatever was evaluated before."""

    def figures(every):
        seen = {}
        evaluation = hooks.Evaluation(
            toy.Countdown(), AGENT.policy, jax.random.key(5), every=every, num_episodes=3
        )
        note = lambda state, metrics: seen.update({int(state.step): metrics.get("eval_return")})
        runner.train(AGENT, KEY, 12, every=2, hooks=[evaluation, note])
        return seen

    often, seldom = figures(2), figures(6)
    assert None not in often.values()
    assert len(set(often.values())) > 1
    assert {step for step, x in seldom.items() if x is not None} == {6, 12}
    assert seldom[6] == often[6]
    assert seldom[12] == often[12]


# Hooks ----------------------------------------------------------------------------------------


def test_summary_by_hand():
    metrics = {
        "loss": np.array([1.0, 2.0, 6.0]),
        "episodes": np.array([1, 0, 3]),
        "return": np.array([10.0, np.nan, 30.0]),
        "length": np.array([4.0, np.nan, 8.0]),
        "true_return": np.array([1.0, np.nan, np.inf]),
        "env_steps": np.array([8, 8, 8]),
        "bad": np.array([1.0, np.nan, 1.0]),
        "eval_return": np.float32(5),
    }
    assert hooks.summary(metrics) == {
        "loss": 3.0,
        "episodes": 4.0,
        "return": 25.0,  # (1 * 10 + 3 * 30) / 4
        "length": 7.0,
        "true_return": None,
        "bad": None,
        "eval_return": 5.0,
    }


def test_summary_where_no_episode_ended():
    metrics = {"episodes": np.zeros(3), "return": np.full(3, np.nan)}
    assert hooks.summary(metrics) == {"episodes": 0.0, "return": None}


@settings(deadline=None, max_examples=50)
@given(
    counts=st.lists(st.integers(0, 4), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=4),
    seed=st.integers(0, 99),
)
def test_summaries_of_chunks_add_up_to_that_of_the_whole(counts, cuts, seed):
    """However a run is cut, episodes weigh the same: compared with a loop over episodes."""
    episodes = np.array(counts)
    returns = np.where(episodes > 0, np.random.default_rng(seed).normal(size=12), np.nan)
    total, number = 0.0, 0
    for count, value in zip(counts, returns, strict=True):
        for _ in range(count):
            total, number = total + float(value), number + 1
    edges = [0, *sorted(cuts), 12]
    parts = [
        hooks.summary({"episodes": episodes[a:b], "return": returns[a:b]})
        for a, b in itertools.pairwise(edges)
        if a < b
    ]
    assert sum(part["episodes"] for part in parts) == number
    summed = sum(part["episodes"] * part["return"] for part in parts if part["episodes"])
    np.testing.assert_allclose(summed, total, atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(chunks=st.lists(st.integers(1, 9), min_size=1, max_size=20), every=st.integers(1, 12))
def test_due_once_for_each_multiple_reached(chunks, every):
    due, step, state = hooks.Due(every), 0, TrainState(None, None, None, 0)
    for n in chunks:
        expected = any(s % every == 0 for s in range(step + 1, step + n + 1))
        step += n
        metrics = {"eval_return": np.float32(1), "loss": np.zeros(n)}
        assert due(state._replace(step=step), metrics) == expected


def test_due_needs_a_rhythm():
    with pytest.raises(ValueError, match="every=0: must be at least 1 step"):
        hooks.Due(0)


def test_finite_names_what_is_not():
    finite, state = hooks.Finite(), TrainState(None, None, None, np.int32(6))
    finite(state, {"loss": np.ones(2), "return": np.array([np.nan, 1.0])})
    with pytest.raises(FloatingPointError, match="loss is not finite at step 6"):
        finite(state, {"loss": np.array([1.0, np.nan])})


def test_progress_in_plain_lines(capsys):
    with hooks.Progress(30, seconds=0, terminal=False) as progress:
        runner.train(AGENT, KEY, 30, every=10, hooks=[progress])
    lines = capsys.readouterr().err.splitlines()
    assert [line[:4] for line in lines] == [" 33%", " 66%", "100%"]
    assert all("steps" in line and "return" in line for line in lines)
    assert "240 steps" in lines[-1]
    assert "steps/s" in lines[-1]
    assert "0:00:00 left" in lines[-1]


def test_progress_tells_the_time(monkeypatch, capsys):
    """10 steps of 8 in the first second, then 10 more an hour: 80 more steps take 8 hours."""
    clock = iter([100.0, 3700.0])
    monkeypatch.setattr(hooks.time, "monotonic", lambda: next(clock))
    progress = hooks.Progress(100, seconds=0, terminal=False)
    for step in (10, 20):
        progress(TrainState(None, None, None, step), {"env_steps": np.full(10, 8)})
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == " 20%  160 steps  0.0222 steps/s  8:00:00 left"


def test_progress_keeps_quiet_between(capsys):
    with hooks.Progress(30, seconds=1000, terminal=False) as progress:
        runner.train(AGENT, KEY, 30, every=5, hooks=[progress])
    assert len(capsys.readouterr().err.splitlines()) == 2  # the first and the last


def test_progress_in_a_terminal(capsys):
    with hooks.Progress(30, terminal=True) as progress:
        runner.train(AGENT, KEY, 30, every=10, hooks=[progress])
    assert "100%" in capsys.readouterr().err


# The log --------------------------------------------------------------------------------------


def strict(path: Path) -> list[dict]:
    """The lines, read by the letter of JSON, which has no NaN."""

    def refuse(word):
        raise AssertionError(word)

    return [json.loads(x, parse_constant=refuse) for x in path.read_text().splitlines()]


def test_log_has_a_line_a_chunk(tmp_path):
    with hooks.MetricsLog(tmp_path) as log:
        runner.train(AGENT, KEY, 12, every=3, hooks=[log])
    rows = strict(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    assert [row["env_steps"] for row in rows] == [24, 48, 72, 96]
    assert rows == hooks.read_metrics(tmp_path / "metrics.jsonl")
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds)
    assert {"loss", "return", "length", "episodes"} <= rows[0].keys()


def test_log_reaches_the_file_at_once(tmp_path):
    seen = []
    with hooks.MetricsLog(tmp_path) as log:
        look = lambda state, metrics: seen.append(len(hooks.read_metrics(log.path)))
        runner.train(AGENT, KEY, 6, every=2, hooks=[log, look])
    assert seen == [1, 2, 3]


def test_log_has_null_where_no_episode_ended(tmp_path):
    metrics = {"loss": np.ones(1), "return": np.array([np.nan]), "episodes": np.zeros(1)}
    with hooks.MetricsLog(tmp_path) as log:
        log(TrainState(None, None, None, np.int32(1)), metrics)
    assert strict(log.path)[0]["return"] is None


def test_log_drops_lines_of_lost_work(tmp_path):
    with hooks.MetricsLog(tmp_path) as log:
        middle = runner.train(AGENT, KEY, 6, every=2, hooks=[log])
        runner.train(AGENT, middle, 12, every=2, hooks=[log])
    first = hooks.read_metrics(log.path)
    with log.path.open("a") as file:
        file.write('{"step": 14, "env_')  # cut short by a crash
    with hooks.MetricsLog(tmp_path, step=6) as log:
        runner.train(AGENT, middle, 12, every=2, hooks=[log])
    second = hooks.read_metrics(log.path)
    assert [row["step"] for row in second] == [2, 4, 6, 8, 10, 12]
    drop = lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    assert drop(first) == drop(second)
    seconds = [row["seconds"] for row in second]
    assert seconds == sorted(seconds)


def test_log_for_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    with hooks.MetricsLog(tmp_path, tensorboard=True) as log:
        runner.train(AGENT, KEY, 4, every=2, hooks=[log])
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"loss" in events.read_bytes()


# Run directories ------------------------------------------------------------------------------

DESCRIPTION = {"agent": "toy", "env": "countdown", "config": {"rate": 0.05, "clip": float("inf")}}


def train_run(directory, num_steps=20, **options):
    options = {"description": DESCRIPTION, "every": 4, "save_every": 8, "progress": False} | options
    return runner.train_run(directory, AGENT, num_steps, **options)


def test_a_run_directory(tmp_path, twenty):
    assert bits(train_run(tmp_path)) == twenty
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
    assert bits(train_run(tmp_path, 20)) == twenty
    assert [row["step"] for row in strict(tmp_path / "metrics.jsonl")] == [4, 8, 12, 16, 20]


def test_continued_after_damage_equals_uninterrupted(tmp_path, twenty, capsys):
    """The work between two checkpoints is done again, and logged once."""
    train_run(tmp_path, 20)
    (tmp_path / "checkpoints" / "000000000020" / "manifest.json").unlink()
    assert bits(train_run(tmp_path, 20)) == twenty
    assert capsys.readouterr().err.count("\n") == 1
    assert [row["step"] for row in strict(tmp_path / "metrics.jsonl")] == [4, 8, 12, 16, 20]


def test_a_finished_run_stays_as_it_is(tmp_path, twenty):
    train_run(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_text()
    assert bits(train_run(tmp_path)) == twenty
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

    def make(name, env, config):
        made.append((name, config))
        return AGENT

    monkeypatch.setattr("rlax_pref.agents.make", make)
    monkeypatch.setattr("rlax_pref.envs.make", lambda name: toy.Countdown(), raising=False)
    train_run(tmp_path, 8)
    assert bits(runner.resume(tmp_path, 20, progress=False)) == twenty
    assert made == [("toy", DESCRIPTION["config"])]
    with Checkpoints(tmp_path) as saved:
        assert saved.steps == [8, 16, 20]  # at the rhythm it began with
    assert runner.describe(tmp_path)["num_steps"] == 20
    assert bits(runner.resume(tmp_path, progress=False)) == twenty


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


# Devices --------------------------------------------------------------------------------------


def test_sharded_equals_single(tmp_path, on_four_devices):
    """On 4 devices: same parameters to 1e-6, nothing gathered, resumed and moved between meshes."""
    script = """
        import sys
        import jax, numpy as np
        sys.path.insert(0, sys.argv[1])
        import toy
        from rlax_pref.agents import runner

        agent, key, directory = toy.make(), jax.random.key(0), sys.argv[2]
        assert len(jax.devices()) == 4
        mesh, one = runner.make_mesh(), runner.make_mesh(jax.devices()[:1])
        state = runner.init(agent, key, mesh)
        assert {s.data.shape for s in state.actor.x.addressable_shards} == {(2, 3)}
        assert {s.data.shape for s in state.learner["w"].addressable_shards} == {(3, 3)}
        program = runner.compile_chunk(agent, mesh, 20).lower(state, 20).compile().as_text()
        assert "all-gather" not in program and "all-to-all" not in program
        assert "all-reduce" in program

        close = lambda a, b: np.testing.assert_allclose(a.learner["w"], b.learner["w"], atol=1e-6)
        single = runner.train(agent, key, 20, mesh=one)
        spread = runner.train(agent, key, 20, mesh=mesh)
        close(single, spread)
        np.testing.assert_array_equal(
            jax.random.key_data(single.actor.key), jax.random.key_data(spread.actor.key)
        )
        assert spread.actor.x.sharding.num_devices == 4

        go = lambda n, mesh: runner.train_run(directory, agent, n, mesh=mesh, progress=False)
        go(10, mesh)
        resumed = go(20, mesh)  # bit for bit on the same devices
        np.testing.assert_array_equal(resumed.learner["w"], spread.learner["w"])
        np.testing.assert_array_equal(resumed.actor.x, spread.actor.x)
        assert resumed.actor.key.sharding.num_devices == 4
        close(go(30, one), runner.train(agent, key, 30, mesh=mesh))  # and on others

        try:
            runner.train(agent, key, 20, mesh=runner.make_mesh(jax.devices()[:3]))
        except ValueError as error:
            assert "a multiple of the 3 devices" in str(error), error
        print("equal")
        """
    assert on_four_devices(script, tmp_path / "run") == "equal\n"


def test_two_processes_equal_one(tmp_path):
    """Two hosts of two devices each, training in one run directory, stopped and resumed."""
    script = textwrap.dedent(
        """
        import sys
        import jax, numpy as np
        host, port, where, directory = sys.argv[1:]
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"localhost:{port}", 2, int(host))
        sys.path.insert(0, where)
        import toy
        from rlax_pref.agents import hooks, runner

        agent = toy.make()
        evaluation = hooks.Evaluation(
            toy.Countdown(), agent.policy, jax.random.key(5), every=4, num_episodes=2
        )
        options = dict(every=4, save_every=8, hooks=[evaluation], progress=False)
        runner.train_run(directory, agent, 12, **options)
        state = runner.train_run(directory, agent, 20, **options)
        assert state.actor.x.sharding.num_devices == 4
        np.save(f"{directory}/{host}.npy", np.asarray(state.learner["w"]))
        """
    )
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(Path(rlax_pref.__file__).parents[1]),
    }
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(host), str(port), str(HERE), str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for host in range(2)
    ]
    try:
        for host in hosts:
            _, err = host.communicate(timeout=200)
            assert host.returncode == 0, err
    finally:
        for host in hosts:
            host.kill()
    expected = runner.train(AGENT, KEY, 20).learner["w"]
    for host in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{host}.npy"), expected, atol=1e-6)
    rows = strict(tmp_path / "metrics.jsonl")
    assert [row["step"] for row in rows] == [4, 8, 12, 16, 20]
    with Checkpoints(tmp_path) as saved:
        assert set(saved.steps) >= {12, 16, 20}
        like = jax.eval_shape(AGENT.init, KEY)
        np.testing.assert_allclose(saved.restore(like)[1].learner["w"], expected, atol=1e-6)
