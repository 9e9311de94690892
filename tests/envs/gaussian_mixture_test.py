"""Two modes, of which neither is quite what pays."""

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref import envs

ENV, KEY = envs.GaussianMixture(reach=0.4, target=0.7, spread=0.05), jax.random.key(0)


def test_demonstrations_have_two_modes():
    _, obs = ENV.reset(KEY)
    points = jax.vmap(ENV.demonstrate, (0, None))(jax.random.split(KEY, 2000), obs)
    along, across = points @ obs, points @ jnp.array([-obs[1], obs[0]])
    np.testing.assert_allclose(np.mean(along > 0), 0.5, atol=0.05)
    np.testing.assert_allclose(np.abs(along).mean(), 0.4, atol=0.01)
    np.testing.assert_allclose([np.abs(along).std(), across.std()], 0.05, atol=0.005)


def test_a_point_pays_how_near_it_is():
    state, obs = ENV.reset(KEY)
    step = jax.jit(lambda action: ENV.step(KEY, state, action)[1])
    np.testing.assert_allclose(step(0.7 * obs).reward, 0.0, atol=1e-6)
    np.testing.assert_allclose(step(-0.4 * obs).reward, -1.1, rtol=1e-5)
    assert step(jnp.full(2, 9.0)).reward == step(jnp.ones(2)).reward  # clipped
    assert step(obs).terminated and not step(obs).truncated


def test_a_set_pays_if_it_is_spread_like_the_exemplars():
    _, obs = ENV.reset(KEY)
    near = 0.7 * obs + 0.05 * jax.random.normal(KEY, (2000, 2))
    np.testing.assert_allclose(ENV.score_set(obs, near), 0.0, atol=1e-4)
    np.testing.assert_allclose(ENV.score_set(obs, near - 1.1 * obs), -1.21, atol=0.01)
    same = jnp.broadcast_to(0.7 * obs, (10, 2))
    np.testing.assert_allclose(ENV.score_set(obs, same), -2 * 0.05**2, rtol=1e-3)


def test_directions_have_length_one_in_any_space():
    env = envs.GaussianMixture(num_dimensions=3)
    obs = jax.vmap(env.reset)(jax.random.split(KEY, 500))[1]
    np.testing.assert_allclose(np.linalg.norm(obs, axis=-1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(obs.mean(0), 0.0, atol=0.1)
