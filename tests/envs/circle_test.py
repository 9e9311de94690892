"""Answers of which each beats the next: who beats whom, and what nothing beats."""

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref import envs, preferences


def leads(env):
    """`[K, K]` by how much each answer is preferred to each."""
    answer, one = jnp.arange(env.num_tokens)[:, None], jnp.ones(1)
    each = lambda x, y: env.versus(env.prompts()[0], x, one, y, one)
    return jax.vmap(lambda x: jax.vmap(lambda y: each(x, y))(answer))(answer)


def test_each_beats_those_up_to_half_a_turn_on():
    for num in (3, 5):
        found = np.asarray(leads(envs.Circle(num_tokens=num)))
        steps = (np.arange(num)[None, :] - np.arange(num)[:, None]) % num
        np.testing.assert_allclose(found, 3 * np.sin(2 * np.pi * steps / num), atol=1e-5)
        np.testing.assert_allclose(found, -found.T, atol=1e-6)


def test_nothing_beats_all_alike():
    wins = jax.nn.sigmoid(leads(envs.Circle()))
    np.testing.assert_allclose(preferences.win_rates(wins), 0.5, atol=1e-6)
    assert preferences.win_rates(wins, jnp.array([0.5, 0.3, 0.2])).max() > 0.55
