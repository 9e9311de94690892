import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import values

pytestmark = pytest.mark.usefixtures("strict")

jitted = jax.jit(values.stock_augmented, static_argnums=4)
linear = lambda x: 2.0 * x
worst = values.cvar_utility(0.25)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-5, 5, width=32), min_size=4, max_size=4), st.floats(-5, 5, width=32))
def test_stock_and_return_stay_what_they_were(rewards, start):
    """discount^t (c_t + G_t) is the same for every t."""
    discount, stock = 0.8, jnp.float32(start)
    returns = [0.0]
    for r in reversed(rewards):
        returns.append(r + discount * returns[-1])
    returns.reverse()
    for t, r in enumerate(rewards):
        np.testing.assert_allclose(
            discount**t * (stock + returns[t]), start + returns[0], atol=1e-4
        )
        stock = values.stock_step(stock, jnp.float32(r), discount)


def test_editing_is_beginning_with_another_stock():
    stocks = {}
    for start in (-1.0, 2.0):
        stock = jnp.float32(start)
        for r in (1.0, -0.5, 2.0):
            stock = values.stock_step(stock, jnp.float32(r), 0.8)
        stocks[start] = stock
    edited = values.edit_stock(
        stocks[-1.0], jnp.float32(-1.0), jnp.float32(2.0), jnp.float32(0.8**3)
    )
    np.testing.assert_allclose(edited, stocks[2.0], rtol=1e-5)


def test_the_stock_turns_the_decision():
    """Safe pays 1, risky 0 or 3. Behind, one takes the risk; just behind, one is content."""
    quantiles = jnp.array([[[1.0, 1.0], [0.0, 3.0]]])
    utility = values.cvar_utility(1.0)
    value = lambda c: values.utility_value(quantiles, jnp.array([c]), utility)[0]
    np.testing.assert_allclose(value(-3.0), [-2.0, -1.5])
    np.testing.assert_allclose(value(-1.0), [0.0, -0.5])
    target = lambda c: jitted(jnp.zeros(1), jnp.ones(1), quantiles, jnp.array([c]), utility)[0]
    np.testing.assert_allclose(target(-3.0), [0.0, 3.0])
    np.testing.assert_allclose(target(-1.0), [1.0, 1.0])


def test_mistake_of_bootstrapping_by_the_mean():
    quantiles = jnp.array([[[1.0, 1.0], [0.0, 3.0]]])
    by_mean = jitted(jnp.zeros(1), jnp.ones(1), quantiles, jnp.array([-1.0]), linear)[0]
    np.testing.assert_allclose(by_mean, [0.0, 3.0])  # risky, where the utility says safe


def test_linear_utility_is_qr_dqn_and_ends_are_ends():
    quantiles = jax.random.normal(jax.random.key(0), (3, 2, 4))
    r_t, discount_t = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.9, 0.0, 0.9])
    target = jitted(r_t, discount_t, quantiles, jnp.array([0.0, 5.0, -5.0]), linear)
    best = np.asarray(quantiles).mean(-1).argmax(-1)
    expected = r_t[:, None] + discount_t[:, None] * quantiles[np.arange(3), best]
    np.testing.assert_allclose(target, expected, rtol=1e-5)
    np.testing.assert_allclose(target[1], 2.0)
    alone = jax.vmap(lambda *x: values.stock_augmented(*x, linear))(
        r_t, discount_t, quantiles, jnp.zeros(3)
    )
    np.testing.assert_allclose(target, alone, rtol=1e-6)
    by = jax.grad(lambda q: values.stock_augmented(r_t, discount_t, q, r_t, linear).sum())(
        quantiles
    )
    assert not np.any(by)


@pytest.mark.parametrize(("tau", "expected"), ((0.25, 0.0), (0.5, 0.0), (0.75, 4 / 3), (1.0, 2.0)))
def test_cvar_of_a_fair_coin(tau, expected):
    """Returns 0 and 4: the mean of the worst share."""
    stocks = jnp.linspace(-6.0, 2.0, 17)
    quantiles = jnp.broadcast_to(jnp.array([0.0, 4.0]), (17, 2))
    start, value = values.cvar_start(quantiles, stocks, tau)
    np.testing.assert_allclose(value, expected, atol=1e-5)
    if tau == 0.75:
        assert start == -4.0
    # A share of the mean, which is 2, counts beside it.
    _, mixed = values.cvar_start(quantiles, stocks, tau, 0.25)
    np.testing.assert_allclose(mixed, 0.75 * expected + 0.25 * 2.0, atol=1e-5)
    # Beginning with nothing instead promises nothing: no return is below 0.
    assert np.mean(np.minimum([0.0, 4.0], 0.0)) / tau == 0.0


def test_utilities():
    x = jnp.array([-2.0, 3.0])
    np.testing.assert_allclose(worst(x), [-8.0, 0.0])
    np.testing.assert_allclose(values.cvar_utility(0.5, 0.25)(x), [-2 * 1.75, 0.75])
    np.testing.assert_allclose(values.cvar_utility(0.5, 1.0)(x), x)
    np.testing.assert_allclose(values.homeostatic_utility()(x), [-2.0, -3.0])
    np.testing.assert_allclose(values.homeostatic_utility(2)(x), [-4.0, -9.0])


def test_messages():
    with pytest.raises(AssertionError, match="utility_value: stock must be"):
        values.utility_value(jnp.ones((2, 3, 4)), jnp.ones(3), linear)
    with pytest.raises(AssertionError, match="stock_step: r_t must be"):
        values.stock_step(jnp.ones(2), jnp.ones(3), 0.9)
    with pytest.raises(AssertionError, match="cvar_start: quantiles must be"):
        values.cvar_start(jnp.ones((3, 2)), jnp.ones(2), 0.5)
