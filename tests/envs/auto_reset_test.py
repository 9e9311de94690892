"""AutoReset keeps what the last step brought and starts afresh, for any state."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from rlax_pref.envs import AutoReset, CartPole
from rlax_pref.types import Discrete, TimeStep

pytestmark = pytest.mark.usefixtures("strict")


@struct.dataclass
class Lottery:
    """Adds up what is drawn from a key that travels in the state; ends after three steps."""

    price: Any = 2.0
    terminates: bool = struct.field(pytree_node=False, default=True)

    @property
    def action_space(self):
        return Discrete(2)

    def reset(self, key):
        key_start, key_draws = jax.random.split(key)
        total = jax.random.uniform(key_start, (3,))
        state = {"draws": key_draws, "inner": (total, jnp.int32(0)), "none": None}
        return state, total

    def step(self, key, state, action):
        draws, draw = jax.random.split(state["draws"])
        total = state["inner"][0] + jax.random.normal(draw, (3,))
        time = state["inner"][1] + 1
        over = time == 3
        state = {"draws": draws, "inner": (total, time), "none": None}
        terminated = over & self.terminates
        return state, TimeStep(
            total,
            self.price * total.sum(),
            1.0 - terminated.astype(jnp.float32),
            over & ~terminated,
            total,
        )


def jitted(terminates):
    raw = Lottery(terminates=terminates)
    return jax.jit(AutoReset(raw).step), jax.jit(raw.step)


STEP = {flag: jitted(flag) for flag in (True, False)}


def leaves(tree):
    def plain(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if is_key else x)

    return [plain(x) for x in jax.tree.leaves(tree)]


def assert_equal(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("terminates", [True, False])
def test_keeps_the_last_step_and_starts_afresh(terminates):
    step, raw_step = STEP[terminates]
    env = Lottery(terminates=terminates)
    state, _ = AutoReset(env).reset(jax.random.key(0))
    raw_state = state
    for i in range(3):
        key = jax.random.key(10 + i)
        key_step, key_reset = jax.random.split(key)
        state, timestep = step(key, state, jnp.int32(0))
        raw_state, raw = raw_step(key_step, raw_state, jnp.int32(0))
        for name in ("reward", "discount", "truncated", "last_obs"):
            assert_equal(getattr(timestep, name), getattr(raw, name))
        if i < 2:
            assert_equal((state, timestep.obs), (raw_state, raw.obs))
            assert not timestep.done
    assert timestep.done
    assert bool(timestep.truncated) != terminates
    assert bool(timestep.terminated) == terminates
    assert_equal((state, timestep.obs), env.reset(key_reset))
    assert not np.allclose(timestep.obs, timestep.last_obs)


def test_no_two_episodes_start_alike():
    env = AutoReset(Lottery())

    def roll(state, key):
        state, timestep = env.step(key, state, jnp.int32(0))
        return state, (timestep.done, timestep.obs)

    state, first = env.reset(jax.random.key(0))
    _, (done, obs) = jax.lax.scan(roll, state, jax.random.split(jax.random.key(1), 30))
    starts = np.concatenate([np.asarray(first)[None], np.asarray(obs)[np.asarray(done)]])
    assert done.sum() == 10
    assert len(np.unique(starts, axis=0)) == 11


def test_batch_is_a_loop():
    env = AutoReset(Lottery())
    keys = jax.random.split(jax.random.key(2), 4)
    states, _ = jax.jit(jax.vmap(env.reset))(keys)
    times = jnp.array([0, 1, 2, 2], jnp.int32)  # the last two are over with the next step
    states["inner"] = (states["inner"][0], times)
    batch_state, batch = jax.jit(jax.vmap(env.step))(keys, states, jnp.zeros(4, jnp.int32))
    np.testing.assert_array_equal(batch.done, [False, False, True, True])
    for i in range(4):
        one = jax.tree.map(lambda x, i=i: x[i], states)
        state, timestep = STEP[True][0](keys[i], one, jnp.int32(0))
        expected = jax.tree.map(lambda x, i=i: x[i], (batch_state, batch))
        for x, y in zip(leaves((state, timestep)), leaves(expected), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6)


def test_gradient_is_that_of_the_raw_step():
    """The reset that is computed beside every step adds nothing to the gradient."""
    state, _ = Lottery().reset(jax.random.key(0))
    state["inner"] = (state["inner"][0], jnp.int32(2))  # the episode ends with this step
    key = jax.random.key(1)

    def reward(env, key):
        return env.step(key, state, jnp.int32(0))[1].reward

    key_step = jax.random.split(key)[0]
    wrapped = jax.jit(jax.grad(lambda price: reward(AutoReset(Lottery(price)), key)))(2.0)
    raw = jax.jit(jax.grad(lambda price: reward(Lottery(price), key_step)))(2.0)
    assert wrapped == raw != 0


def test_wraps_a_batch_of_worlds():
    worlds = jax.vmap(lambda gravity: CartPole(gravity=gravity))(jnp.array([1.6, 9.8]))
    keys = jax.random.split(jax.random.key(0), 2)
    state, obs = jax.jit(jax.vmap(AutoReset.reset))(AutoReset(worlds), keys)
    step = jax.jit(jax.vmap(AutoReset.step))
    _, timestep = step(AutoReset(worlds), keys, state, jnp.array([0, 1]))
    assert timestep.obs.shape == obs.shape == (2, 4)
    assert AutoReset(worlds).action_space == Discrete(2)
