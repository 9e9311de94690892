import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.policies import aco, dpo

pytestmark = pytest.mark.usefixtures("strict")

jitted = jax.jit(aco, static_argnames="calibration")
slope = jax.jit(
    jax.grad(lambda *x, **options: aco(*x, **options).sum(), argnums=(0, 1, 2, 3)),
    static_argnames="calibration",
)
number = st.floats(-5.0, 5.0, width=32)


@pytest.mark.parametrize(
    ("loser", "calibration", "g"),
    (
        (0.6, "relax", 0.6065),
        (0.6, "strengthen", 1.0),
        (-0.4, "relax", 1.0),
        (-0.4, "strengthen", 1.6487),
    ),
)
def test_how_much_the_loser_counts(loser, calibration, g):
    """A winner of advantage 0.1: at log-ratios of 0 it is the ratio of the two gradients."""
    zeros = jnp.zeros(1)
    slopes = slope(zeros, zeros, jnp.array([0.1]), jnp.array([loser]), calibration=calibration)
    np.testing.assert_allclose(-slopes[1] / slopes[0], [g], rtol=1e-4)


@settings(deadline=None, max_examples=30)
@given(number, number, number, number, st.floats(0.125, 2.0, width=32))
def test_definition(winner, loser, a_w, a_l, alpha):
    g = min(1.0, np.exp(-(np.float64(a_l) - a_w) / alpha))
    expected = np.log1p(np.exp(-(0.5 * winner - 0.5 * g * loser)))
    found = jitted(*(jnp.array([x]) for x in (winner, loser, a_w, a_l)), 0.5, alpha=alpha)
    np.testing.assert_allclose(found, [expected], rtol=1e-4, atol=1e-5)


def test_without_good_losers_it_is_direct_preference_optimisation():
    chosen, rejected = jax.random.normal(jax.random.key(0), (2, 4))
    advantages = jnp.array([1.0, 0.5, 0.0, 9.0]), jnp.array([0.0, 0.5, -3.0, 1.0])
    found = jitted(chosen, rejected, *advantages)
    np.testing.assert_allclose(found, dpo(chosen, rejected), rtol=1e-6)


def test_advantages_do_not_learn():
    """Where losers look good, and count."""
    ones = jnp.ones(4)
    by_chosen, by_rejected, *by_advantages = slope(ones, ones, -ones, ones)
    assert np.all(by_chosen) and np.all(by_rejected) and not np.any(by_advantages)


def test_extremes():
    d = jnp.array([1e4, -1e4, 0.0])
    advantages = jnp.array([0.0, 1e4, 0.0]), jnp.array([0.0, 0.0, 1e4])
    np.testing.assert_allclose(jitted(d, -d, *advantages), [0.0, 2e3, np.log(2)], rtol=1e-5)
    for calibration in ("relax", "strengthen"):
        slopes = slope(d, -d, *advantages, calibration=calibration)
        assert all(np.all(np.isfinite(x)) for x in slopes)


def test_vmap():
    x = jax.random.normal(jax.random.key(0), (4, 3, 2))
    np.testing.assert_allclose(jax.vmap(aco)(*x), jitted(*x), rtol=1e-6)


@pytest.mark.parametrize("name", ("rejected", "chosen_advantage", "rejected_advantage"))
def test_messages(name):
    names = ("chosen", "rejected", "chosen_advantage", "rejected_advantage")
    good = dict.fromkeys(names, jnp.ones((3, 3)))
    with pytest.raises(AssertionError, match=f"aco: {name} must be"):
        aco(**(good | {name: jnp.ones(3)}))
    with pytest.raises(ValueError, match="calibration='max' must be one of relax, strengthen"):
        aco(**good, calibration="max")
