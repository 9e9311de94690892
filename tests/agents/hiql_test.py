"""HIQL, OTA and ICVF: they fit together, and find goals where data show the way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, datasets, envs
from rlax_pref.agents import configs, hiql, icvf, runner
from rlax_pref.envs.maze import corridor, wander

KEY = jax.random.key(0)
SMALL = {"num_envs": 2, "batch_size": 8, "warm_up": 16, "hidden": (8,), "num_updates": 2}
TINY = {"num_envs": 2, "batch_size": 64, "hidden": (32,), "target_rate": 0.05}
LANE = corridor(1, 7, speed=1.0, time_limit=12)


@pytest.fixture(scope="module")
def walks():
    return datasets.collect(LANE.replace(terminates=False), wander(LANE), KEY, 800, noise=0.1)


@pytest.mark.parametrize("name", ["hiql", "ota", "icvf"])
@pytest.mark.parametrize("continuous", [False, True])
def test_it_fits_together(name, continuous):
    agent = agents.make(name, envs.four_rooms(continuous=continuous), SMALL)
    state = jax.eval_shape(agent.init, KEY)
    after, metrics = jax.eval_shape(agent.step, state)
    assert jax.tree.map(lambda x: x.shape, after) == jax.tree.map(lambda x: x.shape, state)
    assert metrics["value_loss"].shape == ()
    assert ("option_value" in state.learner.params) == (name == "ota")
    assert set(state.learner.target) <= {"value", "option_value"}


def test_data_may_lack_goals(walks):
    states = walks._replace(obs_tm1=walks.obs_tm1[:, :2], obs_t=walks.obs_t[:, :2])
    agent = hiql.make(LANE, configs.HIQL(**SMALL), states)
    _, metrics = jax.eval_shape(lambda key: agent.step(agent.init(key)), KEY)
    assert metrics["value_loss"].shape == ()


def test_it_finds_the_way_and_options_count_as_steps(walks):
    """From one end to the other; and a far goal is nearer, the longer the options are."""
    config = configs.OTA(
        **TINY,
        learning_rate=3e-3,
        subgoal_steps=2,
        option_steps=2,
        num_updates=50,
        discount=0.9,
        expectile=0.95,
    )
    agent = hiql.make(LANE, config, walks)
    state, _ = jax.jit(lambda key: runner.run(agent, agent.init(key), 30))(KEY)
    end = jnp.zeros((1, 7), bool).at[0, -1].set(True)
    task = LANE.replace(starts=end[:, ::-1], goals=end)
    policy = agent.policy(state.learner)
    steps = jax.jit(lambda: envs.rollout(task, policy, KEY, 1, 8))()
    assert int(jnp.argmax(steps.terminated_t[:, 0])) == 5  # the shortest way

    seen = LANE.see(jnp.stack([jnp.zeros(7), jnp.arange(7.0)], axis=-1))
    value = hiql.make_networks(LANE.action_space, config).value
    v, of_options = (
        value(state.learner.params[name], seen, jnp.broadcast_to(seen[-1], seen.shape)).mean(0)
        for name in ("value", "option_value")
    )
    np.testing.assert_allclose(v, -10 * (1 - 0.9 ** jnp.arange(6.0, -1, -1)), atol=0.8)
    assert np.all(v[:-1] < v[1:]) and np.all(of_options[:4] > v[:4] + 0.7)


def test_icvf_knows_what_is_near_and_encodes_it(walks):
    config = configs.ICVF(**TINY, learning_rate=3e-3, num_features=8, num_updates=50, discount=0.9)
    agent = icvf.make(LANE, config, walks)
    state, _ = jax.jit(lambda key: runner.run(agent, agent.init(key), 30))(KEY)
    params = state.learner.params["value"]
    seen = LANE.see(jnp.stack([jnp.zeros(7), jnp.arange(7.0)], axis=-1))
    goal = jnp.broadcast_to(seen[-1], seen.shape)
    v = icvf.value(config, params, seen, goal, goal)
    assert np.all(np.diff(v[3:]) > 0) and np.all(v[:3] < v[4]) and v[-1] > -0.8 and v[0] < -1.9
    away = icvf.value(config, params, seen, goal, jnp.broadcast_to(seen[0], seen.shape))
    assert np.all(away[2:6] < v[2:6])  # who wants to go elsewhere does not come so soon
    assert icvf.encode(config, params, seen).shape == (7, 8)


def test_subgoals_have_one_length():
    x = hiql.unit(jax.random.normal(KEY, (3, 4, 10)))
    np.testing.assert_allclose(jnp.square(x).sum(-1), 10.0, rtol=1e-5)
    assert not np.any(np.isnan(jax.grad(lambda x: hiql.unit(x).sum())(jnp.zeros(3))))


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match=r"HIQL needs .* with goals.*has_goals = True`$"):
        hiql.make(envs.CartPole())
    with pytest.raises(
        ValueError, match=r"ICVF needs .* with goals.*set num_state \(--num-state\)"
    ):
        icvf.make(envs.CartPole())


def test_icvf_may_be_told_what_is_of_the_state():
    """All of an observation, or the first of its numbers, where there are no goals."""
    for num_state in (4, 3):
        agent = icvf.make(envs.CartPole(), configs.ICVF(num_state=num_state, **SMALL))
        state = jax.eval_shape(agent.init, KEY)
        assert state.learner.params["value"]["state"]["Dense_0"]["kernel"].shape == (num_state, 8)
        after, _ = jax.eval_shape(agent.step, state)
        assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
