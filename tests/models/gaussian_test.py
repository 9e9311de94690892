"""Learned models: what they are worth, what they learn, and how they roll out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import models
from rlax_pref.types import Transition

bound = jax.jit(models.bound_log_variance)
nll = jax.jit(models.gaussian_nll)
NUMBERS = st.floats(-30, 30, width=32)


def test_bounds_by_hand():
    np.testing.assert_allclose(bound(3.0, -10.0, 0.5), 0.421140, atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.lists(NUMBERS, min_size=4, max_size=4))
def test_bounds_hold_and_keep_order(raw):
    found = np.asarray(bound(jnp.array(raw), -10.0, 0.5), np.float64)
    assert np.all(found >= -10.0) and np.all(found <= 0.5 + 1e-4)
    assert np.all(np.diff(found[np.argsort(raw)]) >= -1e-5)


def test_bounds_can_be_learned():
    grads = jax.grad(lambda raw, low, high: models.bound_log_variance(raw, low, high), (0, 1, 2))
    assert all(g > 0 for g in grads(jnp.float32(0.0), jnp.float32(-1.0), jnp.float32(1.0)))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-5, 5, width=32), min_size=12, max_size=12))
def test_loss_by_its_definition(numbers):
    mean, log_variance, outcome = np.array(numbers, np.float32).reshape(3, 2, 2)
    expected = np.zeros(2)
    for i in range(2):
        for d in range(2):
            squared = (float(mean[i, d]) - float(outcome[i, d])) ** 2
            expected[i] += squared * np.exp(-float(log_variance[i, d])) + float(log_variance[i, d])
    found = nll(mean, log_variance, outcome)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    each = jax.vmap(models.gaussian_nll)(mean, log_variance, outcome)
    np.testing.assert_allclose(each, found, rtol=1e-6)


def test_loss_is_least_at_the_truth():
    """Where the variance is the squared error."""
    slope = jax.grad(lambda x: models.gaussian_nll(jnp.array([2.0]), x, jnp.array([5.0])))
    np.testing.assert_allclose(slope(jnp.log(jnp.array([9.0]))), 0.0, atol=1e-6)


def test_loss_names_the_wrong_shape():
    with pytest.raises(AssertionError, match="gaussian_nll: outcome"):
        models.gaussian_nll(jnp.zeros((3, 2)), jnp.zeros((3, 2)), jnp.zeros(2))


# Learning -----------------------------------------------------------------------------------


def world(num=400, noise=0.1):
    """A place moves by half the action, with noise, and pays its square; half of rows are lies."""
    keys = jax.random.split(jax.random.key(0), 3)
    at = jax.random.uniform(keys[0], (num, 1), minval=-1.0, maxval=1.0)
    action = jax.random.uniform(keys[1], (num, 1), minval=-1.0, maxval=1.0)
    after = at + 0.5 * action + noise * jax.random.normal(keys[2], at.shape)
    valid = jnp.arange(num) % 2 == 0
    after = jnp.where(valid[:, None], after, 100.0)
    return Transition(at, action, at[:, 0] ** 2, jnp.ones(num), ~valid, valid, after)


SIZES = {"hidden": (32,), "num_models": 3, "num_elites": 2}


@pytest.fixture(scope="module")
def learned():
    fit = jax.jit(lambda key: models.fit_ensemble(key, world(), num_updates=1200, **SIZES))
    return fit(jax.random.key(1))


def test_what_is_learned(learned):
    """The mean of what comes, and how far it strays; what is not valid teaches nothing."""
    model = jax.jit(jax.vmap(models.from_ensemble(learned, (32,)), in_axes=(None, None, 0)))
    keys = jax.random.split(jax.random.key(2), 1000)
    for at, action in ((0.5, -0.6), (-0.2, 0.8)):
        after, reward, over = model(jnp.array([at]), jnp.array([action]), keys)
        np.testing.assert_allclose(after.mean(), at + 0.5 * action, atol=0.06)
        np.testing.assert_allclose(after.std(), 0.1, atol=0.04)
        np.testing.assert_allclose(reward.mean(), at**2, atol=0.08)
        assert not over.any()


def test_elites_foresee_best(learned):
    error = np.asarray(learned.error)
    np.testing.assert_array_equal(learned.elite, np.argsort(error)[:2])
    tower = jax.tree.leaves(learned.params["tower"])[0]
    assert tower.shape[0] == 3 and not np.allclose(tower[0], tower[1])


def test_only_elites_are_asked(learned):
    """The worst of them could say anything."""
    worst = int(np.argmax(learned.error))
    spoil = lambda x: x.at[worst].set(jnp.nan)
    spoilt = learned._replace(params=jax.tree.map(spoil, learned.params))
    model = models.from_ensemble(spoilt, (32,))
    keys = jax.random.split(jax.random.key(2), 50)
    after, _, _ = jax.vmap(model, in_axes=(None, None, 0))(jnp.zeros(1), jnp.zeros(1), keys)
    assert np.isfinite(after).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    (({"num_elites": 4}, "num_elites=4"), ({"held_out": 0.0}, "held_out=0.0 of 8 rows")),
)
def test_what_cannot_be_learned(changes, message):
    with pytest.raises(ValueError, match=message):
        models.fit_ensemble(jax.random.key(0), world(8), **{**SIZES, **changes})


# Rollouts -----------------------------------------------------------------------------------


def count(obs, action, key):
    """Counts up; it is over beyond 3."""
    after = obs + action
    return after, 10.0 * after[0], after[0] > 3


roll = jax.jit(
    lambda obs, key: models.rollout(count, lambda obs, key: jnp.ones(1), obs, key, length=3)
)


def test_a_rollout_is_cut_and_does_not_end():
    steps = roll(jnp.zeros(1), jax.random.key(0))
    np.testing.assert_array_equal(steps.obs_tm1[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(steps.obs_t[:, 0], [1, 2, 3])
    np.testing.assert_array_equal(steps.r_t, [10, 20, 30])
    np.testing.assert_array_equal(steps.discount_t, 1)
    np.testing.assert_array_equal(steps.truncated_t, [False, False, True])
    assert np.all(steps.valid_t)


def test_nothing_counts_after_the_end():
    steps = jax.vmap(roll)(jnp.array([[2.0], [1.0]]), jax.random.split(jax.random.key(0)))
    np.testing.assert_array_equal(steps.discount_t, [[1, 0, 0], [1, 1, 0]])
    np.testing.assert_array_equal(steps.valid_t, [[1, 1, 0], [1, 1, 1]])
    assert not np.any(steps.truncated_t)


def test_a_learned_model_may_be_told_what_ends(learned):
    model = models.from_ensemble(learned, (32,), lambda obs, action, after: obs[0] > 0)
    key = jax.random.key(0)
    assert (
        model(jnp.ones(1), jnp.zeros(1), key)[2] and not model(-jnp.ones(1), jnp.zeros(1), key)[2]
    )


def test_rollouts_can_be_differentiated():
    def total(action):
        choose = lambda obs, key: action * jnp.ones(1)
        return models.rollout(count, choose, jnp.zeros(1), jax.random.key(0), 3).r_t.sum()

    np.testing.assert_allclose(jax.grad(total)(jnp.float32(0.5)), 10 * (1 + 2 + 3))
