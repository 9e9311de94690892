"""Libraries of policies, and the value of choosing from them in single precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import tabular
from rlax_pref.envs import grid
from rlax_pref.rewards import policy_library, policy_library_value

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)
BOARD = np.array([[0, 4, 0, 6], [5, 0, 3, 0], [0, 2, 0, 1]])
WORLD = grid.grid_world(BOARD, [-1.0, 5.0, -5.0, 1.0, -2.0, -3.0])
MDP, REWARD = jax.jit(lambda: (WORLD.tabular(), WORLD.rewards()))()

make = jax.jit(policy_library, static_argnames=("num_policies", "weights"))
value = jax.jit(policy_library_value)


def definition(q, keep, temperature):
    """Value and gradient in float64."""
    q = np.asarray(q, np.float64)
    p = np.exp(np.where(keep, q - q[keep].max(), -np.inf) / temperature)
    p /= p.sum()
    v = p @ q
    return v, p * (1 + (q - v) / temperature)


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([1.0, 100.0, 1e4]),
    temperature=st.sampled_from([1e-3, 0.1, 10.0]),
)
def test_values_and_gradients_survive_single_precision(seed, scale, temperature):
    """Values up to 1e4 with ties between them, where the temperature is below their rounding."""
    rng = np.random.default_rng(seed)
    q = (rng.choice(scale * rng.normal(size=4), 8)).astype(np.float32)
    q[:2] += np.float32(rng.normal() * temperature)
    keep = rng.random(8) < 0.7
    keep[rng.integers(8)] = True
    v, gradient = definition(q, keep, temperature)
    np.testing.assert_allclose(value(q, keep, temperature)[0], v, rtol=1e-6, atol=1e-6)
    own = jax.grad(lambda q: value(q, keep, temperature)[0])(jnp.asarray(q))
    np.testing.assert_allclose(own, gradient, atol=1e-5)


def test_an_empty_library_is_worth_nothing():
    f = lambda q: value(q, jnp.zeros(3, bool), 1e-3)[0]
    assert float(f(jnp.ones(3))) == 0
    np.testing.assert_array_equal(jax.grad(f)(jnp.ones(3)), 0)


def test_values_of_states_are_a_batch():
    q = jax.random.normal(KEY, (5, 3))
    keep = jnp.array([True, False, True, True, False])
    batch, p = value(q, keep, 0.5)
    np.testing.assert_allclose(p.sum(0), 1, rtol=1e-6)
    assert not np.any(p[~np.asarray(keep)])
    mapped = jax.vmap(lambda q: policy_library_value(q, keep, 0.5)[0], 1)(q)
    np.testing.assert_allclose(batch, mapped, rtol=1e-6)


def test_a_library_contains_the_optimum_unless_told_not_to():
    """Its best entry is then as good as the best policy, in every state."""
    library = make(KEY, MDP, num_policies=60)
    best = tabular.optimal(MDP, REWARD, 0.999).value
    q = library.psi @ WORLD.weights
    np.testing.assert_allclose(value(q, library.keep)[0], best, atol=1e-3)
    assert np.all(q <= best[None] + 1e-3)
    assert not np.any(library.psi[:, MDP.terminal])
    held_out = make(KEY, MDP, num_policies=60, without=REWARD)
    assert 0 < int(held_out.keep.sum()) < int(library.keep.sum())
    is_best = jnp.abs(q - best[None]).max(1) < 1e-3
    assert np.any(library.keep & is_best)


def test_duplicates_do_not_count():
    """From two values a feature there are few different policies, and each counts once."""
    library = make(KEY, MDP, num_policies=40, weights=(-1.0, 1.0))
    psi, keep = np.asarray(library.psi), np.asarray(library.keep)
    assert keep.sum() < 40
    kept = psi[keep]
    distance = np.abs(psi[:, None] - kept[None]).max((2, 3))
    assert np.all(distance.min(1) < 1e-2)


def test_seeds_are_a_batch_axis():
    keys = jax.random.split(KEY, 2)
    batch = jax.vmap(lambda key: policy_library(key, MDP, num_policies=5))(keys)
    for i, key in enumerate(keys):
        alone = make(key, MDP, num_policies=5)
        np.testing.assert_array_equal(batch.keep[i], alone.keep)
        np.testing.assert_allclose(batch.psi[i], alone.psi, rtol=1e-3, atol=1e-3)
