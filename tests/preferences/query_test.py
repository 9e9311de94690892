import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.preferences import disagreement, doubt

pytestmark = pytest.mark.usefixtures("strict")

Z = jnp.array([[0.0, 2.0, -1e4], [1.0, 2.0, 1e4], [-1.0, 2.0, 0.0]])


def test_definitions():
    p = 1 / (1 + np.exp(-np.clip(np.float64(Z), -500, 500)))
    np.testing.assert_allclose(jax.jit(disagreement)(Z), p.std(0), atol=1e-6)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(x > 0, -x * np.log(x), 0.0) for x in (p, 1 - p)]
    np.testing.assert_allclose(jax.vmap(doubt)(Z), sum(terms), atol=1e-6)


def test_ends():
    np.testing.assert_allclose(disagreement(jnp.array([[-1e4], [1e4]])), [0.5])
    assert disagreement(Z[:1]).max() == 0
    np.testing.assert_allclose(doubt(jnp.zeros(2)), np.log(2), rtol=1e-6)
    assert doubt(Z[0])[2] == 0 and np.all(np.diff(doubt(jnp.array([0.0, 1.0, 3.0]))) < 0)
    slope = jax.grad(lambda z: doubt(z).sum())(jnp.array([1e4, 0.0, -1e4]))
    assert np.all(np.isfinite(slope))
