"""Shaping changes values by the potential, and nothing that matters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import rewards, tabular
from rlax_pref.envs import grid

pytestmark = pytest.mark.usefixtures("strict")

WORLD = grid.grid_world(np.array([[0, 0, 4], [3, 0, 1]]), np.array([-1.0, 10, -5, 1, -2, -3]))
MDP, REWARD = WORLD.tabular(), WORLD.rewards()
POTENTIAL = jnp.array([3.0, -2.0, 0.5, 7.0, 1.0, 9.0])


def test_by_hand():
    """From cell 1 to cell 2 (a coin, reward 0): 0 + 0.9 * 0.5 - (-2) = 2.45."""
    shaped = rewards.potential_shaping(MDP, REWARD, POTENTIAL, 0.9)
    np.testing.assert_allclose(shaped[1, 3], 2.45, rtol=1e-6)
    np.testing.assert_allclose(shaped[4, 3], 10 - 1, rtol=1e-6)  # into the goal, of potential 0
    assert not shaped[3].any() and not shaped[5].any()


def test_a_constant_pays_or_costs_the_same_at_every_end():
    shaped = rewards.potential_shaping(MDP, REWARD, 4.0, 1.0)
    enters = np.einsum("sat,t->sa", MDP.transition, MDP.terminal) * ~MDP.terminal[:, None]
    np.testing.assert_allclose(shaped, REWARD - 4.0 * enters, atol=1e-6)


@pytest.mark.parametrize("discount", [0.5, 0.99])
def test_advantages_stay_and_values_fall_by_the_potential(discount):
    shaped = rewards.potential_shaping(MDP, REWARD, POTENTIAL, discount)
    before, after = (tabular.optimal(MDP, r, discount) for r in (REWARD, shaped))
    np.testing.assert_allclose(after.advantage, before.advantage, atol=1e-3)
    expected = jnp.where(MDP.terminal, 0.0, before.value - POTENTIAL)
    np.testing.assert_allclose(after.value, expected, atol=1e-3)


def test_under_jit_vmap_and_grad():
    many = jax.jit(jax.vmap(lambda c: rewards.potential_shaping(MDP, REWARD, c, 0.9)))
    alone = rewards.potential_shaping(MDP, REWARD, 2.0, 0.9)
    np.testing.assert_allclose(many(jnp.array([1.0, 2.0]))[1], alone, rtol=1e-6)
    grad = jax.grad(lambda c: rewards.potential_shaping(MDP, REWARD, c, 0.9)[0, 3])(1.0)
    np.testing.assert_allclose(grad, 0.9 - 1, rtol=1e-5)


def test_a_potential_of_the_wrong_shape_is_named():
    with pytest.raises(AssertionError, match="potential must be"):
        rewards.potential_shaping(MDP, REWARD, jnp.ones(3), 0.9)
