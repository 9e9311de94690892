import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref.metrics import frechet_distance, moments, vendi

ROOTS = jax.random.normal(jax.random.key(0), (2, 3, 3))
ONE, OTHER = (x @ x.T for x in ROOTS)


def test_golden():
    one = jnp.eye(1)
    np.testing.assert_allclose(frechet_distance(jnp.zeros(1), one, jnp.full(1, 2.0), one), 4.0)
    assert frechet_distance(jnp.ones(3), ONE, jnp.ones(3), ONE) < 1e-4
    np.testing.assert_allclose(vendi(jnp.ones((4, 4))), 1.0, rtol=1e-5)
    np.testing.assert_allclose(vendi(jnp.eye(4)), 4.0, rtol=1e-5)


def test_definition():
    c, d = np.float64(ONE), np.float64(OTHER)
    root = np.sqrt(np.linalg.eigvals(c @ d).real.clip(0)).sum()  # of the product, not symmetric
    expected = 3 * 4.0 + np.trace(c) + np.trace(d) - 2 * root
    found = jax.jit(frechet_distance)(jnp.zeros(3), ONE, jnp.full(3, 2.0), OTHER)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    swapped = frechet_distance(jnp.full(3, 2.0), OTHER, jnp.zeros(3), ONE)
    np.testing.assert_allclose(found, swapped, rtol=1e-4)
    share = np.array([0.5, 0.3, 0.2])
    kernel = jnp.diag(jnp.float32(3 * share))
    np.testing.assert_allclose(vendi(kernel), np.exp(-np.sum(share * np.log(share))), rtol=1e-5)


def test_small_ones_need_no_eigenvalues():
    """The same as with further dimensions in which nothing varies."""
    grow = lambda x: jnp.zeros((3, 3)).at[: len(x), : len(x)].set(x)
    for n in (1, 2):
        c, d = ONE[:n, :n], OTHER[:n, :n]
        small = frechet_distance(jnp.zeros(n), c, jnp.ones(n), d)
        large = frechet_distance(jnp.zeros(3), grow(c), jnp.ones(3).at[n:].set(0), grow(d))
        np.testing.assert_allclose(small, large, rtol=1e-3)
        np.testing.assert_allclose(
            jax.vmap(frechet_distance)(
                *jax.tree.map(lambda x: x[None], (jnp.zeros(n), c, jnp.ones(n), d))
            ),
            small[None],
            rtol=1e-5,
        )
    assert frechet_distance(jnp.ones(2), ONE[:2, :2], jnp.ones(2), ONE[:2, :2]) < 1e-5


def test_singular_and_extreme():
    flat, zero = jnp.zeros((3, 3)).at[0, 0].set(1e4), jnp.zeros(3)
    np.testing.assert_allclose(frechet_distance(zero, flat, zero, jnp.zeros((3, 3))), 1e4)
    slope = jax.grad(lambda m: frechet_distance(m, flat, zero, flat))(zero)
    assert not np.any(slope)  # a reward, detached


def test_vmap_goes_one_by_one():
    both = jnp.stack([ONE, OTHER])
    f = lambda c: frechet_distance(jnp.zeros(3), c, jnp.ones(3), jnp.eye(3))
    np.testing.assert_allclose(jax.jit(jax.vmap(f))(both), [f(ONE), f(OTHER)], rtol=1e-5)
    kernels = jnp.stack([jnp.eye(3), jnp.ones((3, 3))])
    np.testing.assert_allclose(jax.vmap(vendi)(kernels), [3.0, 1.0], rtol=1e-5)


def test_moments():
    x = jax.random.normal(jax.random.key(0), (7, 3))
    mean, cov = moments(x)
    np.testing.assert_allclose(mean, np.mean(x, 0), rtol=1e-5)
    np.testing.assert_allclose(cov, np.cov(np.asarray(x).T), rtol=1e-4, atol=1e-6)
