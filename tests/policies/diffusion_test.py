import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import denoising
from rlax_pref.policies import d3po, dpo, prdp

pytestmark = pytest.mark.usefixtures("strict")

BASE = denoising.denoiser(jnp.zeros(1), 3)
CHAIN = denoising.sample(BASE, jax.random.key(0), 8)
FIRST, SECOND = jnp.arange(0, 8, 2), jnp.arange(1, 8, 2)
REF = denoising.log_prob(BASE, CHAIN)


def ratios(params):
    return denoising.log_prob(params, CHAIN) - REF


def test_d3po_is_dpo_at_each_step_and_clips():
    x, y = jax.random.normal(jax.random.key(0), (2, 4, 3))
    np.testing.assert_array_equal(d3po(x, y, 0.3, epsilon=None), dpo(x, y, 0.3))
    clipped = lambda x: np.log(np.clip(np.exp(np.float64(x)), 0.9, 1.1))
    expected = np.logaddexp(0, -0.3 * (clipped(x) - clipped(y)))
    np.testing.assert_allclose(d3po(x, y, 0.3), expected, rtol=1e-5)
    far = jnp.array([1e4, -1e4])
    value, slope = jax.value_and_grad(lambda x: d3po(x, -x, 1.0).sum())(far)
    assert np.isfinite(value) and not np.any(slope)
    np.testing.assert_allclose(d3po(far * 0, far * 0), np.log(2.0), rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(d3po)(x, y), d3po(x, y))


def prdp_by_hand(first, second, old_first, old_second, gap, beta, epsilon):
    error = lambda a, b: (np.sum(a) - np.sum(b) - gap / beta) ** 2
    near = lambda x, old: np.clip(x, old - epsilon, old + epsilon)
    return max(error(first, second), error(near(first, old_first), near(second, old_second)))


def test_prdp_by_definition():
    x = jax.random.normal(jax.random.key(0), (4, 5, 3))
    gap = jnp.linspace(-1, 1, 5)
    expected = [prdp_by_hand(*np.float64(x[:, i]), gap[i], 0.5, 0.3) for i in range(5)]
    found = jax.jit(prdp)(*x, gap, 0.5, epsilon=0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(
        jax.vmap(lambda *x: prdp(*x, 0.5, epsilon=0.3))(*x, gap), found, rtol=1e-6
    )


def test_a_swapped_pair_is_the_same_pair():
    x, y, old_x, old_y = jax.random.normal(jax.random.key(4), (4, 5, 3))
    gap, p_first = jnp.linspace(-1, 1, 5), jnp.broadcast_to(jnp.linspace(0, 1, 5)[:, None], (5, 3))
    np.testing.assert_allclose(
        d3po(x, y, p_first=p_first), d3po(y, x, p_first=1 - p_first), rtol=1e-6
    )
    one, other = prdp(x, y, old_x, old_y, gap, 0.5), prdp(y, x, old_y, old_x, -gap, 0.5)
    np.testing.assert_allclose(one, other, rtol=1e-5)


def test_prdp_starts_as_a_policy_gradient_of_differences():
    gap, beta = jnp.array([0.3, -1.0, 2.0, 0.0]), 0.5
    old = jnp.zeros_like(REF)

    def loss(params):
        x = ratios(params)
        return prdp(x[FIRST], x[SECOND], old[FIRST], old[SECOND], gap, beta, epsilon=0.1).sum()

    def difference(params):
        x = ratios(params).sum(-1)
        return jnp.sum(-2 * gap / beta * (x[FIRST] - x[SECOND]))

    one, other = jax.grad(loss)(BASE), jax.grad(difference)(BASE)
    for x, y in zip(one, other, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4)


def test_prdp_vanishes_at_the_tilted_chain():
    x = jax.random.normal(jax.random.key(3), (8, 3))
    reward = 0.7 * (x.sum(-1) + 5.0)  # any constant
    gap = reward[FIRST] - reward[SECOND]
    arguments = x[FIRST], x[SECOND], x[FIRST], x[SECOND], gap
    np.testing.assert_allclose(prdp(*arguments, 0.7), np.zeros(4), atol=1e-8)


def test_prdp_holds_back_steps_that_went_far_enough():
    old, gap = jnp.zeros((1, 3)), jnp.ones(1)
    slope = jax.grad(lambda x: prdp(x, old, old, old, gap, 1.0, epsilon=0.1).sum())
    assert np.all(slope(old + 0.05) < 0)
    assert not np.any(slope(old + 0.2))  # on the way, but far enough
    assert np.all(slope(old - 0.2) < 0)  # the wrong way: the outer maximum brings it back
    value = prdp(old + 1e4, old - 1e4, old, old, gap, 0.1)
    assert np.all(np.isfinite(value))


def test_messages():
    x = jnp.ones((4, 3))
    with pytest.raises(AssertionError, match="prdp: reward_difference must be"):
        prdp(x, x, x, x, jnp.ones(3), 1.0)
    with pytest.raises(AssertionError, match="prdp: old_first must be"):
        prdp(x, x, x[0], x, jnp.ones(4), 1.0)


def final_reward(method, learning_rate):
    """Mean reward before and after learning on one's own chains of one dimension, by SGD."""
    base, num = denoising.denoiser(jnp.zeros(1), 5), 64

    def loss(shift, chain, reward):
        log_ratio = denoising.log_prob(base._replace(shift=shift), chain)
        log_ratio = log_ratio - denoising.log_prob(base, chain)
        first, second = log_ratio[::2], log_ratio[1::2]
        if method == "prdp":
            old_first, old_second = jax.lax.stop_gradient((first, second))
            gap = reward[::2] - reward[1::2]
            return prdp(first, second, old_first, old_second, gap, 0.3, epsilon=0.1).mean()
        p_first = jnp.broadcast_to((reward[::2] > reward[1::2])[:, None], first.shape)
        return d3po(first, second, p_first=p_first.astype(jnp.float32)).mean()

    def step(shift, key):
        chain = denoising.sample(base._replace(shift=shift), key, num)
        reward = -jnp.abs(chain[:, -1, 0] - 1)
        return shift - learning_rate * jax.grad(loss)(shift, chain, reward), reward.mean()

    keys = jax.random.split(jax.random.key(0), 200)
    rewards = jax.jit(lambda: jax.lax.scan(step, base.shift, keys)[1])()
    return rewards[:10].mean(), rewards[-10:].mean()


@pytest.mark.parametrize(("method", "learning_rate"), (("d3po", 1.0), ("prdp", 0.01)))
def test_they_learn_to_denoise_to_what_is_rewarded(method, learning_rate):
    before, after = final_reward(method, learning_rate)
    assert after > before + 0.1
