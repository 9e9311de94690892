"""The shared learning loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.preferences import fit

pytestmark = pytest.mark.usefixtures("strict")

P_FIRST = jnp.array([0.9, 0.2, 0.5, 0.7])


def scores(u):
    """Every pair has its own free score; the second segment is worth nothing."""
    return jnp.stack([u, jnp.zeros_like(u)], axis=1)


def test_free_scores_become_the_log_odds():
    result = fit(scores, jnp.zeros(4), P_FIRST, learning_rate=0.1, num_steps=500)
    np.testing.assert_allclose(result.params, jnp.log(P_FIRST / (1 - P_FIRST)), atol=1e-3)
    entropy = -(P_FIRST * jnp.log(P_FIRST) + (1 - P_FIRST) * jnp.log(1 - P_FIRST)).mean()
    assert float(result.loss) == pytest.approx(float(entropy), abs=1e-5)
    assert float(result.losses[0]) == pytest.approx(np.log(2))
    assert result.losses.shape == (500,)


def test_pairs_without_weight_teach_nothing():
    weight = jnp.array([1.0, 0.0, 3.0, 0.0])
    result = fit(scores, jnp.full(4, 5.0), P_FIRST, weight, learning_rate=0.1, num_steps=300)
    np.testing.assert_array_equal(result.params[jnp.array([1, 3])], 5)
    np.testing.assert_allclose(result.params[0], np.log(9), atol=0.01)
    nothing = fit(scores, jnp.full(4, 5.0), P_FIRST, 0 * weight, num_steps=3)
    np.testing.assert_array_equal(nothing.params, 5)
    assert float(nothing.loss) == 0


def test_the_best_iterate_is_kept_on_request():
    """With steps this large the loss goes up and down; the loss returned is of what is returned."""
    last = fit(scores, jnp.zeros(4), P_FIRST, learning_rate=3.0, num_steps=12)
    best = fit(scores, jnp.zeros(4), P_FIRST, learning_rate=3.0, num_steps=12, best=True)
    losses = np.append(last.losses, last.loss)
    assert float(best.loss) == pytest.approx(losses.min(), rel=1e-6)
    assert losses.min() < losses[-1]
    again = fit(scores, best.params, P_FIRST, num_steps=1)
    assert float(again.losses[0]) == pytest.approx(float(best.loss), rel=1e-6)


def test_seeds_and_rates_are_batch_axes():
    starts = jax.random.normal(jax.random.key(0), (3, 4))
    rates = jnp.array([0.1, 0.01, 0.5])
    train = lambda u, rate: fit(scores, u, P_FIRST, learning_rate=rate, num_steps=20).params
    batch = jax.jit(jax.vmap(train))(starts, rates)
    for u, rate, row in zip(starts, rates, batch, strict=True):
        np.testing.assert_allclose(row, train(u, rate), rtol=1e-4, atol=1e-5)


def test_any_tree_of_parameters_will_do():
    def tree_scores(params):
        return scores(params["slope"] * jnp.arange(4.0) + params["bias"])

    start = {"slope": jnp.float32(0), "bias": jnp.float32(0)}
    result = fit(tree_scores, start, jnp.array([1.0, 1.0, 0.0, 0.0]), num_steps=100)
    assert float(result.params["slope"]) < 0 < float(result.params["bias"])
    assert float(result.loss) < 0.3


def test_wrong_shapes_are_named():
    with pytest.raises(AssertionError, match="scores must be"):
        fit(lambda u: u, jnp.zeros(4), P_FIRST)
    with pytest.raises(AssertionError, match="p_first must be"):
        fit(scores, jnp.zeros(4), P_FIRST[:, None])
