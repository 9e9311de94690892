"""The loop, driven by an agent that compiles in an instant: chunks, sweeps, episodes."""

import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.agents import hooks, runner
from rlax_pref.checkpoints import Checkpoints
from rlax_pref.types import Discrete, Policy, TimeStep, TrainState

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import toy  # noqa: E402

AGENT = toy.make()
KEY = jax.random.key(0)


@pytest.mark.parametrize("every", [1, 4, 5, 7, 20, 50])
def test_chunks_change_nothing(every, twenty):
    assert toy.bits(runner.train(AGENT, KEY, 20, every=every)) == twenty


def test_one_step_at_a_time(twenty):
    state, step = jax.jit(AGENT.init)(KEY), jax.jit(AGENT.step)
    for _ in range(20):
        state, _ = step(state)
    assert toy.bits(state) == twenty


def test_going_on_from_a_state_and_leaving_it_whole(twenty):
    half = runner.train(AGENT, KEY, 10, every=5)
    before = toy.bits(half)
    assert toy.bits(runner.train(AGENT, half, 20, every=4)) == twenty
    assert toy.bits(half) == before
    assert toy.bits(runner.train(AGENT, half, 10)) == before


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
        assert toy.bits(state) == twenty


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


# Sweeps --------------------------------------------------------------------------------------


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


# Evaluation ----------------------------------------------------------------------------------


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


def test_policies_observe_what_their_actions_brought():
    """One that pays back what it was paid is paid the same at every step."""

    class Mirror:
        action_space = Discrete(2)

        def reset(self, key):
            return jnp.int32(0), jnp.zeros(1)

        def step(self, key, state, action):
            reward = jnp.where(state == 0, 1, action).astype(jnp.float32)
            done = state == 4
            obs = jnp.zeros(1)
            return state + 1, TimeStep(obs, reward, 1.0 - done, jnp.zeros((), bool), obs)

    policy = Policy(
        init=lambda key: jnp.zeros(()),
        act=lambda memory, obs, key: (memory, memory.astype(jnp.int32)),
        observe=lambda memory, timestep: timestep.reward,
    )
    np.testing.assert_array_equal(runner.evaluate(Mirror(), policy, KEY, 3, 10)["return"], 5.0)


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
