import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.metrics import bootstrap, interval

pytestmark = pytest.mark.usefixtures("strict")

X = jax.random.uniform(jax.random.key(0), (1000,))


def half(bounds):
    return float(bounds.high - bounds.low) / 2


def test_golden():
    """Hoeffding's shrinks like 1 / sqrt(n), and the normal one leaves out both tails."""
    np.testing.assert_allclose(half(interval(X, method="hoeffding", spread=1.0)), 0.0429, atol=1e-4)
    std = np.std(np.asarray(X), ddof=1)
    np.testing.assert_allclose(half(interval(X)), 1.959964 * std / 1000**0.5, rtol=1e-4)
    log = np.log(4 / 0.05)
    expected = std * np.sqrt(2 * log / 1000) + 7 * log / (3 * 999)
    np.testing.assert_allclose(
        half(interval(X, method="bernstein", spread=1.0)), expected, rtol=1e-4
    )


def test_bootstrap_is_about_the_normal_one():
    bounds = jax.jit(bootstrap)(jax.random.key(1), X)
    np.testing.assert_allclose(half(bounds), half(interval(X)), rtol=0.15)
    assert bounds.low < X.mean() < bounds.high


def test_coverage():
    means = jax.random.uniform(jax.random.key(2), (400, 30))
    for method in ("normal", "hoeffding", "bernstein"):
        bounds = interval(means, 0.9, method=method, spread=1.0)
        covered = np.mean((bounds.low <= 0.5) & (bounds.high >= 0.5))
        assert covered >= 0.84 and (method != "normal" or covered <= 0.95)


def test_vmap():
    x = X.reshape(4, 250)
    together, alone = interval(x), jax.vmap(interval)(x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), together, alone)


def test_messages():
    with pytest.raises(ValueError, match="needs the spread"):
        interval(X, method="hoeffding")
    with pytest.raises(ValueError, match="method must be"):
        interval(X, method="exact", spread=jnp.ones(()))


@pytest.mark.parametrize(
    ("num", "level", "quantile"),
    [(2, 0.95, 12.7062), (10, 0.95, 2.262157), (30, 0.95, 2.045230), (1001, 0.95, 1.962339)],
)
def test_student_leaves_out_both_tails(num, level, quantile):
    """Tables of the two-sided quantile; the one-sided ones at .95 would be 6.31, 1.83, 1.70."""
    x = jax.random.normal(jax.random.key(3), (num,))
    expected = quantile * np.std(np.asarray(x), ddof=1) / num**0.5
    np.testing.assert_allclose(half(interval(x, level, method="student")), expected, rtol=1e-4)


def test_student_covers_few_gaussian_samples_where_the_normal_one_does_not():
    means = jax.random.normal(jax.random.key(4), (4000, 4))
    covered = {}
    for method in ("normal", "student"):
        bounds = jax.jit(interval, static_argnames="method")(means, 0.9, method=method)
        covered[method] = np.mean((bounds.low <= 0) & (bounds.high >= 0))
    assert abs(covered["student"] - 0.9) < 0.015 and covered["normal"] < 0.84


def test_bootstrap_of_a_ratio():
    """Both arrays are drawn together, along the axis of the samples."""
    weight = 0.1 + jax.random.uniform(jax.random.key(5), (400,))
    ratio = lambda data: data[0].sum() / data[1].sum()
    pairs = (jnp.stack([2.0 * weight, weight]), jnp.stack([weight, weight]))
    share = lambda data: ratio((data[0][0], data[1][0]))
    bounds = bootstrap(jax.random.key(6), pairs, statistic=share, axis=1, num_resamples=50)
    np.testing.assert_allclose([bounds.low, bounds.high], 2.0, rtol=1e-5)
    noisy = X[:400] * weight
    bounds = bootstrap(jax.random.key(7), (noisy, weight), statistic=ratio)
    residual = np.asarray(noisy - ratio((noisy, weight)) * weight) / np.asarray(weight).mean()
    np.testing.assert_allclose(half(bounds), 1.96 * residual.std() / 20.0, rtol=0.15)
