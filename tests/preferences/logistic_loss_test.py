"""The pairwise loss: its values, its laws, and that nothing overflows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.preferences import logistic_loss

pytestmark = pytest.mark.usefixtures("strict")

loss = jax.jit(logistic_loss)
unit = st.floats(0, 1)


def definition(z, p_first, margin, temperature, lapse):
    """Cross-entropy of the mixed sigmoid, term by term."""
    total = 0.0
    for x, mass in (
        ((z - margin) / temperature, p_first),
        ((-z - margin) / temperature, 1 - p_first),
    ):
        p = (1 - lapse) / (1 + np.exp(-x)) + lapse / 2
        total -= mass * np.log(p)
    return total


def test_known_values():
    assert float(loss(0.0, 0.3)) == pytest.approx(0.693147, abs=1e-6)
    assert float(loss(2.0, 1.0)) == pytest.approx(0.126928, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.floats(-20, 20), unit, st.floats(-3, 3), st.floats(0.2, 5), st.floats(0, 0.9))
def test_it_is_the_cross_entropy(z, p_first, margin, temperature, lapse):
    own = loss(z, p_first, margin=margin, temperature=temperature, lapse=lapse)
    expected = definition(z, p_first, margin, temperature, lapse)
    np.testing.assert_allclose(own, expected, rtol=2e-5, atol=1e-6)


both = jax.jit(
    jax.value_and_grad(lambda z, p: (logistic_loss(z, p) + logistic_loss(-z, 1 - p)) / 2)
)
once = jax.jit(jax.value_and_grad(logistic_loss))


@settings(deadline=None, max_examples=20)
@given(st.floats(-20, 20), unit)
def test_swapping_a_pair_changes_nothing(z, p_first):
    """So there is no need to list every pair a second time in the other order."""
    np.testing.assert_allclose(both(z, p_first), once(z, p_first), rtol=1e-5, atol=1e-6)


def test_a_tie_is_best_explained_by_equal_scores():
    z = jnp.linspace(-1, 1, 21)
    losses = loss(z, jnp.full(21, 0.5))
    assert int(losses.argmin()) == 10
    assert float(losses[10]) == pytest.approx(np.log(2))


@pytest.mark.parametrize("lapse", [None, 0.0, 1e-3, 0.5])
def test_nothing_overflows(lapse):
    """Values and gradients in all arguments are finite wherever the score is."""
    z = jnp.array([-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4])
    arguments = {"margin": 0.1, "temperature": 0.5} | ({} if lapse is None else {"lapse": lapse})

    differentiate = jax.jit(
        jax.value_and_grad(lambda z, p, arguments: logistic_loss(z, p, **arguments).sum(), (0, 2))
    )
    for p_first in (0.0, 0.25, 0.5, 1.0):
        value, gradients = differentiate(z, jnp.full(7, p_first), arguments)
        assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((value, gradients)))
    # Without lapses a wrong call costs in proportion; with them it is bounded.
    wrong = float(logistic_loss(1e4, 0.0, lapse=lapse))
    assert wrong == pytest.approx(1e4 if not lapse else np.log(2 / lapse), rel=1e-5)


def test_weight_multiplies():
    np.testing.assert_allclose(
        logistic_loss(jnp.ones(2), jnp.ones(2), weight=jnp.array([0.0, 3.0])),
        [0, 3 * float(loss(1.0, 1.0))],
        rtol=1e-6,
    )


def test_batching_and_mapping_agree():
    z, p = jax.random.normal(jax.random.key(0), (2, 4, 3))
    p = jax.nn.sigmoid(p)
    np.testing.assert_allclose(jax.vmap(jax.vmap(logistic_loss))(z, p), loss(z, p), rtol=1e-6)
    np.testing.assert_allclose(
        jax.grad(lambda z: logistic_loss(z, p).sum())(z), jax.nn.sigmoid(z) - p, atol=1e-6
    )
