import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import preferences
from rlax_pref.policies import dno, gpo, sppo, tilted

pytestmark = pytest.mark.usefixtures("strict")

PREVIOUS = jnp.log(jnp.array([0.6, 0.3, 0.1]))
ROCK_PAPER_SCISSORS = jnp.array([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])
FIRST, SECOND = (jnp.array(x) for x in np.triu_indices(3, 1))


def round_of(logits, win_rate, eta):
    log_ratio = jax.nn.log_softmax(logits) - PREVIOUS
    return dno(log_ratio[FIRST], log_ratio[SECOND], win_rate[FIRST], win_rate[SECOND], eta).mean()


def test_its_minimum_is_the_exact_step():
    win_rate = preferences.win_rates(ROCK_PAPER_SCISSORS, jnp.exp(PREVIOUS))
    best = tilted(PREVIOUS, win_rate, 0.2)
    np.testing.assert_allclose(jax.grad(round_of)(best, win_rate, 0.2), np.zeros(3), atol=1e-6)
    assert round_of(best, win_rate, 0.2) < round_of(PREVIOUS, win_rate, 0.2)


def test_indifference_does_not_move():
    even = jnp.full(3, 0.5)
    np.testing.assert_allclose(jax.grad(round_of)(PREVIOUS, even, 1.0), np.zeros(3), atol=1e-7)
    np.testing.assert_allclose(tilted(PREVIOUS, even, 1.0), PREVIOUS, atol=1e-6)


def test_each_round_beats_the_one_before():
    """P(new > old) >= 1/2 + eta KL(new, old)."""
    win_rate = preferences.win_rates(ROCK_PAPER_SCISSORS, jnp.exp(PREVIOUS))
    new = tilted(PREVIOUS, win_rate, 2.0)
    wins = jnp.exp(new) @ ROCK_PAPER_SCISSORS @ jnp.exp(PREVIOUS)
    assert wins >= 0.5 + 2.0 * jnp.sum(jnp.exp(new) * (new - PREVIOUS)) > 0.5


def test_tilted_by_definition():
    expected = np.exp(np.float64(PREVIOUS)) * np.exp(np.float64([0, 1, 2]) / 0.5)
    found = jnp.exp(jax.jit(tilted)(PREVIOUS + 7.0, jnp.arange(3.0), 0.5))
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-5)
    slope = jax.grad(lambda x: tilted(x, 1e4 * x, 0.1)[0])(PREVIOUS)
    assert np.all(np.isfinite(slope))
    with pytest.raises(AssertionError, match="tilted: reward must be"):
        tilted(PREVIOUS, jnp.ones((3, 3)), 1.0)


def test_regressions_to_scores():
    log_ratio, rate = jnp.array([0.5, -1.0, 2.0]), jnp.array([0.7, 0.5, 0.1])
    expected = (np.float64(log_ratio) - (np.float64(rate) - 0.5) / 0.2) ** 2
    np.testing.assert_allclose(sppo(log_ratio, rate, 0.2), expected, rtol=1e-5)
    np.testing.assert_allclose(gpo(log_ratio, rate - 0.5, 0.2), expected, rtol=1e-5)
    slopes = jax.grad(lambda x, y: gpo(x, y, 0.2).sum(), argnums=(0, 1))(log_ratio, rate)
    assert np.all(slopes[0]) and not np.any(slopes[1])
    np.testing.assert_allclose(
        jax.vmap(lambda x, y: sppo(x, y, 0.2))(log_ratio, rate), expected, rtol=1e-5
    )


def test_a_swapped_pair_is_the_same_pair():
    first, second, rate, other = jax.random.uniform(jax.random.key(1), (4, 5))
    found = dno(first, second, rate, other, 0.3)
    np.testing.assert_allclose(dno(second, first, other, rate, 0.3), found, rtol=1e-5)


def test_only_the_policy_learns():
    f = lambda *x: dno(*x, 0.5).sum()
    slopes = jax.grad(f, argnums=(0, 1, 2, 3))(*jax.random.uniform(jax.random.key(0), (4, 3)))
    assert np.all(slopes[0]) and np.all(slopes[1]) and not np.any(slopes[2:])
    x = jnp.array([1e4, -1e4])
    assert np.isfinite(dno(x, -x, jnp.ones(2), jnp.zeros(2), 1.0)).all()
    with pytest.raises(AssertionError, match="dno: second must be"):
        dno(jnp.ones((2, 2)), x, x, x, 1.0)
