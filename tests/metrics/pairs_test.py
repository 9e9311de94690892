import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import reading
from rlax_pref.metrics import pair_tokens, pairs, perplexity_accuracy, thumbs

pytestmark = pytest.mark.usefixtures("strict")

CHOSEN, REJECTED = jnp.array([-1.0, -2.0, -3.0]), jnp.array([-2.0, -2.0, -1.0])


def test_by_hand():
    log = jax.jit(pairs)(CHOSEN, REJECTED, CHOSEN + 2, REJECTED + 1, 0.5)
    expected = {
        "rewards/chosen": 0.0,
        "rewards/rejected": -1 / 3,
        "rewards/margins": 1 / 3,
        "rewards/accuracies": 2 / 3,
        "logps/chosen": -2.0,
        "logps/rejected": -5 / 3,
    }
    assert set(log) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(log[name], value, rtol=1e-5, atol=1e-7)


def test_one_by_one_by_hand():
    """Of what is wanted, here the first and half of the second, and of what is not."""
    log = jax.jit(thumbs)(CHOSEN, CHOSEN + 2, jnp.array([1.0, 0.5, 0.0]), 0.5)
    expected = {
        "rewards/chosen": 0.5 * (1.0 + 0.5 * 0.0) / 1.5,
        "rewards/rejected": 0.5 * (0.5 * 0.0 - 1.0) / 1.5,
        "rewards/margins": 0.5 * 2.0 / 1.5,
        "logps/chosen": -(1.0 + 0.5 * 2.0) / 1.5,
        "logps/rejected": -(0.5 * 2.0 + 3.0) / 1.5,
    }
    assert set(log) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(log[name], value, rtol=1e-5, atol=1e-7)
    none = thumbs(CHOSEN, CHOSEN, jnp.zeros(3, bool), 0.5)
    assert none["rewards/chosen"] == none["logps/chosen"] == 0
    apart = thumbs(CHOSEN, CHOSEN, jnp.array([True, False, False]), 0.5)
    assert apart["logps/chosen"] == -1 and apart["logps/rejected"] == -2.5
    assert not np.any(jax.grad(lambda x: thumbs(x, x, jnp.ones(3), 1.0)["rewards/chosen"])(CHOSEN))
    with pytest.raises(AssertionError, match="thumbs: desirable must be"):
        thumbs(CHOSEN, CHOSEN, jnp.ones(2), 0.5)


def test_an_equal_pair_is_not_accurate():
    assert pairs(CHOSEN, CHOSEN, CHOSEN, CHOSEN, 0.5)["rewards/accuracies"] == 0
    np.testing.assert_allclose(perplexity_accuracy(CHOSEN, REJECTED), 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(perplexity_accuracy)(CHOSEN, REJECTED), [1, 0, 0])


def test_nothing_learns_and_messages():
    slope = jax.grad(lambda x: pairs(x, x, x, x, 0.5)["rewards/margins"])(CHOSEN)
    assert not np.any(slope)
    with pytest.raises(AssertionError, match="pairs: rejected_log_ratio must be"):
        pairs(CHOSEN, CHOSEN, CHOSEN, CHOSEN[:2], 0.5)
    with pytest.raises(AssertionError, match="perplexity_accuracy: rejected must be"):
        perplexity_accuracy(CHOSEN, CHOSEN[:2])


def test_logged_numbers_of_tokens():
    logits = jnp.array([[[[0.0, 9, 0], [3, 0, 0]]], [[[1.0, 1, 1], [jnp.nan] * 3]]])
    token, mask = jnp.array([[1, 2]]), jnp.array([[[1, 1]], [[1, 0]]])

    @jax.jit
    def report(logits):
        return pair_tokens(*(reading.token_law(each, token) for each in logits), *mask)

    log = report(logits)
    p = np.exp(np.float64([[0, 9, 0], [3, 0, 0], [1, 1, 1]]))
    p /= p.sum(-1, keepdims=True)
    np.testing.assert_allclose(log["entropy"], -(p * np.log(p)).sum() / 3, rtol=1e-5)
    assert log["mean_token_accuracy"] == 0.5
    np.testing.assert_allclose([log["logits/chosen"], log["logits/rejected"]], [2, 1])
    slope = jax.grad(lambda x: sum(report(x).values()))(logits)
    assert not np.any(slope)
    with pytest.raises(AssertionError, match="pair_tokens: rejected_mask must be"):
        law = reading.token_law(logits[0], token)
        pair_tokens(law, law, mask[0], mask[1][0])
