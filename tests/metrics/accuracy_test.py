"""How often choices are called right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import metrics

pytestmark = pytest.mark.usefixtures("strict")

accuracy = jax.jit(metrics.accuracy)


def test_ties_are_left_out_and_no_opinion_is_half_right():
    z = jnp.array([3.0, -1.0, -1.0, 0.0, 9.0])
    p_first = jnp.array([1.0, 0.0, 1.0, 1.0, 0.5])
    assert float(accuracy(z, p_first)) == pytest.approx((1 + 1 + 0 + 0.5) / 4)


def test_the_opposite_opinion_is_right_as_often_as_this_one_is_wrong():
    z = jax.random.normal(jax.random.key(0), (4, 50))
    p_first = jnp.round(jax.random.uniform(jax.random.key(1), (50,)))
    own = jax.vmap(metrics.accuracy, (0, None))(z, p_first)
    np.testing.assert_allclose(own, [1 - accuracy(-row, p_first) for row in z], rtol=1e-6)


def test_nothing_but_ties_has_no_accuracy():
    assert np.isnan(accuracy(jnp.ones(2), jnp.full(2, 0.5)))
