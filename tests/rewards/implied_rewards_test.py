"""Rewards that policies and critics imply: rto, process_loss, process_reward, inverse_bellman."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.rewards import inverse_bellman, process_loss, process_reward, rto

pytestmark = pytest.mark.usefixtures("strict")

X, Y = jax.random.normal(jax.random.key(0), (2, 3, 4))
MASK = jnp.array([[1, 1, 1, 1], [0, 1, 1, 0], [0, 0, 0, 0]])


def test_rto_adds_up_to_the_reward_of_dpo():
    reward = rto(X, Y, MASK, beta=0.3, kl_weight=0.0, clip=None)
    np.testing.assert_allclose(reward.sum(-1), 0.3 * (X * MASK).sum(-1), rtol=1e-5, atol=1e-7)


def test_rto_by_definition():
    score = jnp.array([2.0, 99.0, 1.0])
    expected = np.clip(0.5 * np.float64(X), -0.2, 0.2) - 0.1 * np.float64(Y)
    expected[0, 3] += 2.0
    expected[1, 2] += 10.0  # on the last token, not in the last column
    found = jax.jit(lambda *x: rto(*x, beta=0.5, clip=0.2, kl_weight=0.1))(X, Y, MASK, score)
    np.testing.assert_allclose(found, expected * MASK, rtol=1e-4, atol=1e-6)
    each = jax.vmap(lambda *x: rto(*x, beta=0.5, clip=0.2, kl_weight=0.1))(X, Y, MASK, score)
    np.testing.assert_allclose(each, found, rtol=1e-6)


def test_process_loss_is_cross_entropy_of_the_sum():
    q, correct = jnp.array([[0.2, -0.1, 0.4], [1e6, 0.0, 0.0]]), jnp.array([1.0, 0.0])
    value, slope = jax.value_and_grad(lambda q: process_loss(q, jnp.ones((2, 3)), correct).sum())(q)
    np.testing.assert_allclose(value, np.logaddexp(0, -0.025) + 5e4, rtol=1e-6)
    assert np.all(np.isfinite(slope))
    np.testing.assert_allclose(slope[0], np.full(3, -0.05 / (1 + np.exp(0.025))), rtol=1e-5)
    np.testing.assert_allclose(process_loss(X, MASK, jnp.ones(3))[2], np.log(2), rtol=1e-6)


def test_what_follows_is_at_most_one():
    reward = jax.jit(process_reward)(X, MASK)
    following = np.cumsum(np.asarray(reward)[:, ::-1], axis=-1)
    np.testing.assert_allclose(np.abs(following).max(), 1.0, rtol=1e-6)
    q = np.where(MASK, X, 0)
    np.testing.assert_allclose(reward * q[0, 0], q * reward[0, 0], rtol=1e-4, atol=1e-6)
    assert not np.any(process_reward(X, jnp.zeros((3, 4))))
    assert not np.any(jax.grad(lambda q: process_reward(q, MASK).sum())(X))


def test_rewards_and_values_are_one_to_one():
    """Q = (1 - gamma P)^-1 r, for the policy's process P over states and actions."""
    p = jax.nn.softmax(jax.random.normal(jax.random.key(1), (6, 6)))
    r = np.float64(jax.random.normal(jax.random.key(2), (6,)))
    q = np.linalg.solve(np.eye(6) - 0.9 * np.float64(p), r)
    next_value = jnp.float32(np.float64(p) @ q)
    found = inverse_bellman(jnp.float32(q), jnp.full(6, 0.9), next_value)
    np.testing.assert_allclose(found, r, rtol=1e-4, atol=1e-5)


def test_inverse_bellman_learns_by_its_first_argument_only():
    arguments = X, jnp.where(MASK, 0.9, 0.0), jnp.where(MASK, Y, jnp.nan)
    slope = jax.grad(lambda *x: inverse_bellman(*x).sum(), argnums=(0, 2))(*arguments)
    np.testing.assert_array_equal(slope[0], np.ones((3, 4)))
    assert not np.any(slope[1])
    found = inverse_bellman(*arguments)
    np.testing.assert_allclose(found, X - np.where(MASK, 0.9 * Y, 0), rtol=1e-5)
    bounded = inverse_bellman(X, jnp.ones((3, 4)), 1e6 * Y, bound=2.0)
    np.testing.assert_allclose(bounded, X - 2.0 * jnp.sign(Y), rtol=1e-5)


def test_padding_changes_nothing():
    """Whatever stands there, also in front; and of a response without tokens all is 0."""
    q, live, none = jnp.array([0.2, -0.1, 0.4]), jnp.ones(3), jnp.zeros(3)
    longer = jnp.pad(q, (1, 2), constant_values=jnp.nan)
    mask, score = jnp.pad(live, (1, 2)), jnp.float32(2.0)
    for f in (
        process_reward,
        lambda q, mask: rto(q, 2 * q, mask, score),
        lambda q, mask: jax.grad(lambda q: process_loss(q, mask, jnp.float32(1.0)))(q),
    ):
        np.testing.assert_array_equal(f(longer, mask)[1:4], f(q, live))
        assert not np.any(f(longer, mask)[jnp.array([0, 4, 5])])
        assert not np.any(f(q, none))
    loss = lambda q, mask: process_loss(q, mask, jnp.float32(1.0))
    np.testing.assert_array_equal(loss(longer, mask), loss(q, live))
    np.testing.assert_allclose(loss(q, none), np.log(2), rtol=1e-6)


def test_messages():
    with pytest.raises(AssertionError, match="rto: log_ratio must be"):
        rto(X, Y[0], MASK)
    with pytest.raises(AssertionError, match="rto: score must be"):
        rto(X, Y, MASK, jnp.ones(4))
    with pytest.raises(AssertionError, match="process_loss: correct must be"):
        process_loss(X, MASK, jnp.ones(4))
    with pytest.raises(AssertionError, match="inverse_bellman: v_t must be"):
        inverse_bellman(X, X, Y[0])
