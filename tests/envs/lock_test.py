"""Locks: which tokens matter, and how long responses may be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.envs import token_lock

KEY = jax.random.key(0)


def test_a_lock_opens_for_its_critical_tokens_only():
    lock = token_lock(seed=3, num_accepted=2)
    assert lock.accepted.shape == (32, 2, 12)
    score = jax.jit(lock.score)
    prompt, live = lock.prompts()[7], jnp.ones(12, bool)
    for right in lock.accepted[7]:
        assert score(KEY, prompt, right, live) == 1
        for position in range(12):
            changed = right.at[position].set((right[position] + 1) % 4)
            opened = (
                (lock.accepted[7][:, [2, 6, 10]] == changed[jnp.array([2, 6, 10])]).all(-1).any()
            )
            assert score(KEY, prompt, changed, live) == opened
        assert score(KEY, prompt, right, live.at[10].set(False)) == 0


def test_a_uniform_policy_opens_one_lock_in_64():
    lock = token_lock()
    response = jax.random.randint(KEY, (40_000, 12), 0, 4)
    prompt = jax.vmap(lock.prompt)(jax.random.split(KEY, 40_000))
    mean = jax.jit(jax.vmap(lock.score, (None, 0, 0, None)))(
        KEY, prompt, response, jnp.ones(12, bool)
    ).mean()
    np.testing.assert_allclose(mean, 1 / 64, atol=4 * np.sqrt(1 / 64 / 40_000))


def test_part_of_a_key_may_earn_part_of_the_score():
    lock = token_lock(num_accepted=2, partial=True, noise=0.0)
    prompt, live = lock.prompts()[0], jnp.ones(12, bool)
    right = lock.accepted[0, 0]
    wrong = right.at[2].set(5).at[6].set(5)
    other = (lock.accepted[0, 1][jnp.array([2, 6, 10])] == wrong[jnp.array([2, 6, 10])]).sum()
    np.testing.assert_allclose(lock.score(KEY, prompt, wrong, live), jnp.maximum(other, 1) / 3)
    noisy = jax.vmap(lock.replace(noise=0.5).score, (0, None, None, None))
    scores = noisy(jax.random.split(KEY, 2000), prompt, right, live)
    np.testing.assert_allclose([scores.mean(), scores.std()], [1, 0.5], atol=0.05)


def test_random_lengths():
    lock = token_lock(num_prompts=4000, max_length=20, random_lengths=True)
    lengths = np.asarray(lock.lengths)
    assert lengths.min() == 1 and lengths.max() == 20
    expected = np.minimum(np.ceil(np.random.default_rng(0).lognormal(size=200_000)), 20).mean()
    np.testing.assert_allclose(lengths.mean(), expected, rtol=0.06)
    critical = np.asarray(lock.critical)
    assert not (critical & (np.arange(20) >= lengths[:, None])).any()
    np.testing.assert_array_equal(critical.sum(-1), np.minimum(lengths, 3))
    np.testing.assert_array_equal(critical[np.arange(4000), lengths - 1], True)
    np.testing.assert_array_equal([lock.limit(p) for p in lock.prompts()[:3]], lengths[:3])


def test_answers_open_locks():
    lock = token_lock(num_prompts=6, max_length=12, num_accepted=2, random_lengths=True)
    response, live = jax.vmap(lock.answer)(lock.prompts())
    np.testing.assert_array_equal(live.sum(-1), lock.lengths)
    assert (jax.vmap(lock.score, (None, 0, 0, 0))(KEY, lock.prompts(), response, live) == 1).all()


def test_a_lock_says_what_is_wrong():
    with pytest.raises(ValueError, match=r"critical=\(2, 12\) must be positions 0 to 11"):
        token_lock(critical=(2, 12))
