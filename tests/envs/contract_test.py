"""What all environments promise, checked on runs of each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.envs import (
    Addition,
    AutoReset,
    CartPole,
    DelayChain,
    Evergreen,
    GaussianMixture,
    Gymnax,
    Pendulum,
    SoftTree,
    bernoulli_prompts,
    corridor,
    delivery,
    four_rooms,
    random_grid,
    token_lock,
)
from rlax_pref.envs.check import sample_action
from rlax_pref.types import TimeStep

STEPS, BATCH = 30, 3


def short_gymnax():
    env = Gymnax("MountainCar-v0")
    return Gymnax("MountainCar-v0", env.params.replace(max_steps_in_episode=6))


ENVS = {  # with limits that end many episodes in one run
    "cartpole": lambda: CartPole(time_limit=11, max_theta=0.1),
    "pendulum": lambda: Pendulum(time_limit=7),
    "delay_chain": lambda: DelayChain(num_steps=3),
    "evergreen": Evergreen,
    "gaussian_mixture": GaussianMixture,
    "delivery": lambda: delivery(time_limit=9),
    "random_grid": lambda: random_grid(jax.random.key(3), time_limit=5),
    "corridor": lambda: corridor(2, 3, num_waves=1, time_limit=9),
    "four_rooms": lambda: four_rooms(continuous=True, time_limit=9),
    "token_lock": lambda: token_lock(max_length=4, critical=(1, 3)),
    "soft_tree": SoftTree,
    "bernoulli_prompts": lambda: bernoulli_prompts(num_prompts=5),
    "addition": lambda: Addition(2),
    "gymnax": short_gymnax,
}


ONE_START = ("delay_chain", "evergreen", "soft_tree")  # nothing in them is random


class Run:
    """Compiled once for each environment: a run of one, and the same in a batch."""

    def __init__(self, name):
        self.name, raw = name, ENVS[name]()
        env = AutoReset(raw)

        def begin(key):
            return env.reset(key)

        def advance(state, key):
            key_action, key_step = jax.random.split(key)
            action = sample_action(env.action_space, key_action)
            state, timestep = env.step(key_step, state, action)
            return state, (state, timestep, raw.reset(jax.random.split(key_step)[1]))

        def run(seed):
            key_begin, key_run = jax.random.split(jax.random.key(seed))
            start = begin(key_begin)
            _, steps = jax.lax.scan(advance, start[0], jax.random.split(key_run, STEPS))
            return start, steps

        self.one = jax.jit(run)
        self.batch = jax.jit(jax.vmap(run))
        self.types = jax.eval_shape(run, 0)


@pytest.fixture(scope="module", params=ENVS)
def run(request):
    return Run(request.param)


def assert_close(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_types_never_change(run):
    (state, obs), (states, timestep, resets) = run.types

    def kinds(tree):
        return [(x.shape, x.dtype) for x in jax.tree.leaves(tree)]

    def after_time(tree):
        return [(x.shape[1:], x.dtype) for x in jax.tree.leaves(tree)]

    assert kinds(state) == after_time(states)
    assert kinds((state, obs)) == after_time(resets)
    assert isinstance(timestep, TimeStep)
    scalar = jax.ShapeDtypeStruct((), jnp.float32)
    expected = TimeStep(obs, scalar, scalar, jax.ShapeDtypeStruct((), bool), obs)
    assert after_time(timestep) == kinds(expected)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31 - 1))
def test_runs_keep_the_contract(run, seed):
    (_, first_obs), (states, timestep, resets) = jax.tree.map(np.asarray, run.one(seed))
    assert not np.any(timestep.terminated & timestep.truncated)
    assert set(np.unique(timestep.discount)) <= {0.0, 1.0}
    for values in (timestep.obs, timestep.last_obs, timestep.reward):
        assert np.isfinite(values).all()

    done = timestep.done
    assert done.any(), "the limits of these environments end episodes within a run"
    np.testing.assert_array_equal(timestep.obs[~done], timestep.last_obs[~done])
    assert_close(
        jax.tree.map(lambda x: x[done], (states, timestep.obs)),
        jax.tree.map(lambda x: x[done], resets),
    )
    starts = np.concatenate([first_obs[None], timestep.obs[done]])
    if run.name in ONE_START:
        np.testing.assert_array_equal(starts, first_obs[None].repeat(len(starts), axis=0))
    else:
        assert np.any(timestep.obs[done] != timestep.last_obs[done])
        assert len(np.unique(starts, axis=0)) > 1


def test_a_batch_is_a_loop(run):
    seeds = jnp.arange(BATCH)
    batch = run.batch(seeds)
    for i in range(BATCH):
        assert_close(jax.tree.map(lambda x, i=i: x[i], batch), run.one(seeds[i]))
