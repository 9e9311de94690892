import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rlax_pref.policies import entropy, gaussian_entropy

pytestmark = pytest.mark.usefixtures("strict")

jitted = jax.jit(entropy)
jitted_gaussian = jax.jit(gaussian_entropy)


def test_golden():
    """A coin is worth log 2, what is certain nothing; a unit Gaussian 1.4189 nats an axis."""
    np.testing.assert_allclose(
        jitted(jnp.array([[3.0, 3.0], [50.0, -50.0]])), [0.693147, 0], atol=1e-6
    )
    np.testing.assert_allclose(jitted_gaussian(jnp.zeros((1, 2))), [2 * 1.418939], rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(hnp.arrays(np.float32, (2, 3), elements=st.floats(-20.0, 20.0, width=32)))
def test_definition(logits):
    expected = []
    for row in logits.astype(np.float64):
        p = np.exp(row) / sum(np.exp(row))
        expected.append(-sum(x * np.log(x) for x in p))
    np.testing.assert_allclose(jitted(logits), expected, rtol=1e-4, atol=1e-5)


def test_distrax():
    x = jax.random.normal(jax.random.key(0), (4, 3))
    np.testing.assert_allclose(jitted(x), distrax.Categorical(logits=x).entropy(), rtol=1e-5)
    gaussian = distrax.Normal(0.0, jnp.exp(x)).entropy().sum(-1)
    np.testing.assert_allclose(jitted_gaussian(x), gaussian, rtol=1e-5)


def test_a_forbidden_action_counts_for_nothing():
    allowed = jnp.array([1.0, 0.0])
    masked = jnp.array([1.0, 0.0, -jnp.inf])
    np.testing.assert_allclose(entropy(masked), entropy(allowed), rtol=1e-6)
    np.testing.assert_allclose(
        jax.grad(entropy)(masked), [*jax.grad(entropy)(allowed), 0.0], rtol=1e-6
    )


def test_most_where_all_is_equal():
    """The gradient vanishes at the uniform policy, and leads there from elsewhere."""
    np.testing.assert_allclose(jax.grad(entropy)(jnp.ones(4)), np.zeros(4), atol=1e-6)
    x = jnp.array([2.0, 0.0])
    assert entropy(x) < entropy(x + 0.1 * jax.grad(entropy)(x)) < np.log(2)


def test_jit_and_vmap():
    x = jax.random.normal(jax.random.key(0), (4, 3))
    for plain, jit in ((entropy, jitted), (gaussian_entropy, jitted_gaussian)):
        np.testing.assert_allclose(plain(x), jit(x), rtol=1e-6)
        np.testing.assert_allclose(jax.vmap(plain)(x), jit(x), rtol=1e-6)


def test_gaussian_gradient_is_one_per_axis():
    np.testing.assert_array_equal(jax.grad(gaussian_entropy)(jnp.array([1.0, -3.0])), [1, 1])
