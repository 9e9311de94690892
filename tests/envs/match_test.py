"""States of other packages take the types that a scan can carry."""

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref.envs import Gymnax
from rlax_pref.envs._match import match_types
from rlax_pref.types import Discrete


def test_numbers_become_arrays_of_the_examples_type():
    key = jax.random.key(0)
    tree = {"time": 0, "speed": 1, "key": key, "none": None}
    example = {"time": jnp.int32(3), "speed": jnp.float32(2.5), "key": key, "none": None}
    matched = match_types(tree, jax.eval_shape(lambda: example))
    assert (matched["time"].dtype, matched["speed"].dtype) == (jnp.int32, jnp.float32)
    assert not matched["time"].weak_type and matched["none"] is None
    assert matched["key"].dtype == key.dtype
    np.testing.assert_array_equal(matched["speed"], 1.0)


class Loose:
    """Starts from plain integers, goes on in floats: what packages do, and no scan accepts."""

    default_params = None

    def action_space(self, params):
        return type("Space", (), {"n": 2})

    def reset_env(self, key, params):
        return jnp.zeros(1, jnp.int32), {"x": 0, "time": 0}

    def step_env(self, key, state, action, params):
        state = {"x": state["x"] + 0.5, "time": state["time"] + 1}
        return jnp.array([state["x"]]), state, 1, state["x"] > 9, {}

    def is_truncated(self, state, params):
        return state["time"] >= 3


def test_a_loose_environment_can_be_scanned_and_mapped():
    env = Gymnax(Loose())
    assert env.action_space == Discrete(2)

    def run(key):
        state, obs = env.reset(key)
        keys = jax.random.split(key, 4)
        last, steps = jax.lax.scan(lambda s, k: env.step(k, s, jnp.int32(0)), state, keys)
        return obs, last, steps

    obs, last, steps = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 2))
    assert obs.dtype == steps.obs.dtype == jnp.float32
    np.testing.assert_array_equal(last["x"], [2.0, 2.0])
    np.testing.assert_array_equal(steps.truncated[0], [False, False, True, True])
    assert steps.reward.dtype == steps.discount.dtype == jnp.float32


def test_gradients_pass():
    """A leaf that already has its type is left alone, gradient and all."""
    slope = jax.grad(lambda x: 3 * match_types({"x": x}, {"x": x})["x"])(jnp.float32(2.0))
    assert slope == 3
