"""A policy whose proposals a critic chooses among."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.agents import steering
from rlax_pref.types import Policy, TimeStep


def counting(actions):
    """A policy that does any of these, remembers what it did, and counts rewards."""
    actions = jnp.asarray(actions, jnp.float32)

    def act(memory, obs, key):
        action = jax.random.choice(key, actions)
        return {**memory, "last": action}, action[None]

    def observe(memory, timestep):
        return {**memory, "earned": memory["earned"] + timestep.reward}

    return Policy(lambda key: {"last": jnp.zeros(()), "earned": jnp.zeros(())}, act, observe)


def steered(num, temperature, q, size=4000):
    policy = steering.steer(
        counting([0.0, 1.0, 2.0]), lambda obs, action: jnp.asarray(q)[action[0].astype(int)],
        num, temperature,
    )  # fmt: skip
    memory = policy.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(1), size)
    after, action = jax.vmap(lambda key: policy.act(memory, jnp.zeros(1), key))(keys)
    np.testing.assert_array_equal(after["last"], action[:, 0])
    return np.bincount(np.asarray(action[:, 0], int), minlength=3) / size


def test_one_proposal_is_the_policy_as_it_was():
    np.testing.assert_allclose(steered(1, 0.01, [1.0, 2.0, 0.0]), 1 / 3, atol=0.03)


def test_without_preference_too():
    np.testing.assert_allclose(steered(8, 1e6, [1.0, 2.0, 0.0]), 1 / 3, atol=0.03)


def test_many_proposals_are_a_softmax():
    found = steered(64, 1.0, [1.0, 2.0, 0.0])
    np.testing.assert_allclose(found, [0.244728, 0.665241, 0.090031], atol=0.03)


def test_cold_it_takes_the_best():
    assert steered(16, 1e-3, [1.0, 2.0, 0.0])[1] > 0.99


def test_steering_keeps_the_policys_memory():
    policy = steering.steer(counting([2.0]), lambda obs, action: action[0], 3)
    memory = policy.init(jax.random.key(0))
    nothing = jnp.zeros(1)
    timestep = TimeStep(nothing, jnp.float32(3.0), jnp.float32(1.0), jnp.zeros((), bool), nothing)
    assert policy.observe(memory, timestep)["earned"] == 3.0


def test_steering_needs_a_proposal():
    with pytest.raises(ValueError, match="num=0"):
        steering.steer(counting([2.0]), lambda obs, action: action[0], 0)
