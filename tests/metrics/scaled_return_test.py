"""The common scale of returns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import metrics

pytestmark = pytest.mark.usefixtures("strict")


def test_its_fixed_points():
    own = jax.jit(jax.vmap(metrics.scaled_return, (0, None, None)))(
        jnp.array([-71.0, 41.0, -183.0, 13.0]), -71.0, 41.0
    )
    np.testing.assert_allclose(own, [0, 1, -1, 0.75])


def test_units_cancel():
    assert metrics.scaled_return(3.0, 1.0, 4.0) == pytest.approx(
        metrics.scaled_return(30.0 + 7, 10.0 + 7, 40.0 + 7)
    )
    assert float(jax.grad(metrics.scaled_return)(3.0, 1.0, 4.0)) == pytest.approx(1 / 3)
