"""Steps whose chance is drawn ahead are the steps of `AutoReset`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import envs, networks
from rlax_pref.agents import acting
from rlax_pref.types import Box, Discrete

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)


class Laden:
    """A pole whose cart carries a state too large to be made for many steps at once."""

    def __init__(self):
        self.env = envs.CartPole(time_limit=3)
        self.action_space = self.env.action_space

    def reset(self, key):
        state, obs = self.env.reset(key)
        return (state, jax.random.normal(key, (100,))), obs

    def step(self, key, state, action):
        light, load = state
        light, timestep = self.env.step(key, light, action)
        return (light, load + 1.0), timestep


@pytest.mark.parametrize(
    ("world", "made_ahead"),
    [(envs.CartPole(time_limit=3), True), (envs.Pendulum(time_limit=5), True), (Laden(), False)],
)
def test_drawn_ahead_is_drawn_step_by_step(world, made_ahead):
    env = envs.AutoReset(world)
    keys = jax.random.split(KEY, (2, 8, 2))
    now = acting.init(env, KEY, 2)
    action = jnp.zeros((2, *getattr(env.action_space, "shape", ())))
    chance = jax.jit(lambda key: acting.draw(env, key, (8, 2)))(KEY)

    def ahead(now, chance):
        now, timestep, _ = acting.step(env, now, action, chance)
        return now, timestep

    def one_by_one(state, keys):
        return jax.vmap(env.go_on)(jax.vmap(env.draw)(*keys), state, action)

    end, found = jax.jit(lambda: jax.lax.scan(ahead, now, chance))()
    state, expected = jax.jit(lambda: jax.lax.scan(one_by_one, now.env, (keys[0], keys[1])))()
    close = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7)
    jax.tree.map(close, (end.env, found), (state, expected))
    assert found.done.any() and not found.done.all()
    assert (chance.begun is not None) == made_ahead


def test_actions_follow_their_law():
    for space, width in ((Discrete(3), 3), (Box(-1.0, 1.0, (2,)), 2)):
        network = networks.policy(space, (4,))
        params = network.init(KEY, jnp.ones((1, 3)))
        noise = networks.sampling_noise(space, KEY, (20_000,))
        assert noise.shape == (20_000, width)

        @jax.jit
        def act(params, noise, network=network):
            law = network.apply(params, jnp.ones((20_000, 3)))
            action, log_prob = networks.sample_with(law, noise)
            return log_prob, law.log_prob(action), law.entropy().mean()

        log_prob, expected, entropy = act(params, noise)
        np.testing.assert_array_equal(log_prob, expected)
        assert float(-log_prob.mean()) == pytest.approx(float(entropy), abs=0.02)
        gradient = jax.grad(lambda p, act=act, noise=noise: act(p, noise)[0].mean())(params)
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))
