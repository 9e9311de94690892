"""Locks with two keys: what each pays, and what a direction makes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.envs import directed_lock

KEY = jax.random.key(0)
LOCK = directed_lock(seed=1, num_prompts=5, max_length=4, critical=(0, 1, 3))
LIVE = jnp.ones(4, bool)


def test_each_key_pays_for_itself():
    first, second = (task.accepted[:, 0] for task in LOCK.tasks)
    assert (first != second).all()  # no token is right for both
    rewards = jax.jit(LOCK.rewards)
    for lock in range(5):
        for direction in range(3):
            prompt = LOCK.prompts()[3 * lock + direction]
            for key, expected in ((first, [1, 0]), (second, [0, 1])):
                np.testing.assert_allclose(rewards(KEY, prompt, key[lock], LIVE), expected)
            mixed = first[lock].at[1].set(second[lock, 1])
            np.testing.assert_allclose(rewards(KEY, prompt, mixed, LIVE), [2 / 3, 1 / 3])
            assert int(LOCK.limit(prompt)) == 4


def test_the_score_is_along_the_direction():
    response = LOCK.tasks[0].accepted[2, 0].at[1].set(LOCK.tasks[1].accepted[2, 0, 1])
    prompts = LOCK.prompts()[6:9]
    scores = jax.jit(jax.vmap(LOCK.score, (None, 0, None, None)))(KEY, prompts, response, LIVE)
    np.testing.assert_allclose(scores, [2 / 3, 1 / np.sqrt(2), 1 / 3], rtol=1e-6)
    longer = LOCK.replace(directions=10 * LOCK.directions)
    np.testing.assert_allclose(longer.score(KEY, prompts[1], response, LIVE), scores[1], rtol=1e-6)


def test_prompts():
    assert LOCK.num_prompts == 15 and LOCK.num_symbols == 19
    drawn = jax.vmap(LOCK.prompt)(jax.random.split(KEY, 300))
    np.testing.assert_array_equal(np.unique(drawn), LOCK.prompts()[:, 0])


def test_it_says_what_is_wrong():
    with pytest.raises(ValueError, match="num_directions=1: there are two ends, so 2 or more"):
        directed_lock(num_directions=1)
