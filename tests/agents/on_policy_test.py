"""Agents that share `on_policy`: each learns, and each in its own way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import agents, envs, networks
from rlax_pref.agents import on_policy, runner

EMPTY = on_policy.Trajectory(**dict.fromkeys(on_policy.Trajectory._fields))
SMALL = {"num_envs": 4, "num_steps": 16, "num_epochs": 2, "num_minibatches": 2, "hidden": (8,)}


@pytest.mark.parametrize("name", ("awr", "trpo", "vmpo"))
def test_it_learns(name):
    """On CartPole the return grows, for every seed."""
    settings = {"num_steps": 64, "hidden": (32,), "learning_rate": 3e-3, "max_kl": 0.03}
    fields = agents.AGENTS[name].__dataclass_fields__
    config = agents.config_from(name, {k: v for k, v in settings.items() if k in fields})
    agent = agents.make(name, envs.CartPole(), config)

    def learn(key):
        return runner.run(agent, agent.init(key), 30)[1]["return"]

    returns = jax.jit(jax.vmap(learn))(jax.random.split(jax.random.key(0), 3))
    first, last = (np.nanmean(part, axis=1) for part in (returns[:, :4], returns[:, -4:]))
    assert (last > 2.5 * first).all(), (first, last)


def test_trpo_keeps_within_its_trust_region_and_fits_values_apart():
    """However far it might go; and values come to 10, not less, where a time limit cuts."""
    settings = {"max_kl": 0.02, "damping": 0.01, "max_kl_ratio": 1.0}
    agent = agents.make("trpo", envs.CartPole(), SMALL | settings)
    state = jax.jit(agent.init)(jax.random.key(0))
    state, metrics = jax.jit(lambda state: runner.run(agent, state, 20))(state)
    assert np.all(metrics["kl"] <= 0.02001) and np.median(metrics["kl"]) > 0.003
    assert np.all(metrics["policy_loss"] <= 0)  # a step improves, or is not taken
    assert set(np.unique(metrics["step_fraction"])) <= {0.0} | {0.5**k for k in range(10)}

    settings = {
        "num_steps": 20,
        "hidden": (),
        "discount": 0.9,
        "learning_rate": 3e-2,
        "max_grad_norm": 100.0,
        "normalize_obs": False,
        "normalize_reward": False,
    }
    agent = agents.make("trpo", envs.Evergreen(), SMALL | settings)
    state = jax.jit(agent.init)(jax.random.key(0))
    state, _ = jax.jit(lambda state: runner.run(agent, state, 200))(state)
    value = networks.value(()).apply(state.learner.params["critic"], jnp.ones((1, 1)))
    np.testing.assert_allclose(value, 10.0, atol=0.5)


def test_vmpo_sets_its_own_temperature_and_price():
    """Where the policy moves less than it may, moving becomes cheaper; where more, dearer."""

    def final(max_kl):
        settings = SMALL | {"max_kl": max_kl, "num_epochs": 8, "learning_rate": 0.01}
        agent = agents.make("vmpo", envs.CartPole(), settings)
        return runner.run(agent, agent.init(jax.random.key(0)), 20)[1]

    metrics = jax.jit(jax.vmap(final))(jnp.array([1.0, 0.0]))
    assert metrics["multiplier"][0, -1] < 5.0 < metrics["multiplier"][1, -1]
    assert metrics["kl"][0].mean() > 1.2 * metrics["kl"][1].mean()
    assert np.all(metrics["temperature"] > 0) and np.any(metrics["temperature"] != 1.0)


@pytest.mark.parametrize("name", ("awr", "ppo", "trpo", "vmpo"))
def test_only_networks_are_of_lower_precision(name):
    """In bfloat16 every product of a layer is; what is kept and reported is float32."""
    agent = agents.make(name, envs.CartPole(), SMALL | {"dtype": "bfloat16"})
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    kinds = {x.dtype for x in jax.tree.leaves((after.learner, metrics))}
    assert kinds <= {np.dtype("float32"), np.dtype("int32")}
    assert jax.tree.map(lambda x: x.dtype, state) == jax.tree.map(lambda x: x.dtype, after)
    program = str(jax.make_jaxpr(agent.step)(state)).splitlines()
    products = [line.split("=")[0] for line in program if "= dot_general" in line]
    assert any(":bf16[" in product for product in products)
    assert all(":bf16[" in product or ":f32[]" in product for product in products)
    with pytest.raises(ValueError, match="dtype='int8' must be one of"):
        agents.make(name, envs.CartPole(), SMALL | {"dtype": "int8"})


@pytest.mark.parametrize("name", ("awr", "trpo", "vmpo"))
def test_what_does_not_fit_is_said(name):
    with pytest.raises(ValueError, match="num_steps=30 must be a multiple of num_minibatches=4"):
        agents.make(name, envs.CartPole(), {"num_steps": 30})


def value_of(obs):
    return jnp.tanh(obs).sum(-1)


def reached(trajectory):
    return on_policy.values_reached(value_of, value_of(trajectory.obs_tm1), trajectory)


REACHED, EACH_REACHED = jax.jit(reached), jax.jit(jax.vmap(reached))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**16), cut=st.sampled_from([0.0, 0.2, 1.0]))
def test_values_reached_are_those_of_what_was_seen(seed, cut):
    """Also where episodes are cut often, with another number of cuts in each environment."""
    (num_steps, num_envs), key = (6, 3), jax.random.key(seed)
    keys = jax.random.split(key, 4)
    begun = jax.random.normal(keys[0], (num_steps, num_envs, 2))
    obs_t = jax.random.normal(keys[1], begun.shape)
    truncated = jax.random.bernoulli(keys[2], cut, begun.shape[:2])
    terminated = jax.random.bernoulli(keys[3], 0.2, begun.shape[:2]) & ~truncated
    next_obs = jnp.where((truncated | terminated)[..., None], begun, obs_t)
    obs_tm1 = jnp.concatenate([begun[:1], next_obs[:-1]])
    trajectory = EMPTY._replace(
        obs_tm1=obs_tm1, obs_t=obs_t, truncated_t=truncated, terminated_t=terminated
    )

    v_t = REACHED(trajectory)
    expected = jnp.where(terminated, 0.0, value_of(obs_t))
    np.testing.assert_allclose(jnp.where(terminated, 0.0, v_t), expected, rtol=1e-6)
    several = jax.tree.map(lambda x: jnp.stack([x, x[::-1]]), trajectory)
    np.testing.assert_array_equal(EACH_REACHED(several)[0], v_t)


def test_values_reached_are_asked_for_but_at_cuts():
    """Four rows of each environment are read off the next row, whose observation is not seen."""
    asked = []
    truncated = jnp.zeros((5, 2), bool).at[jnp.array([1, 2]), 0].set(True)
    trajectory = EMPTY._replace(obs_t=jnp.full((5, 2), jnp.nan), truncated_t=truncated)

    def value(obs):
        jax.debug.callback(asked.append, obs.shape)
        return obs

    v_t = on_policy.values_reached(value, jnp.arange(10.0).reshape(5, 2), trajectory)
    jax.effects_barrier()
    np.testing.assert_array_equal(v_t, [[2, 3], [np.nan, 5], [np.nan, 7], [8, 9], [np.nan, np.nan]])
    assert [tuple(map(int, shape)) for shape in asked] == [(2,)] * 3
