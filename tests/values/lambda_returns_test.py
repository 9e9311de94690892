import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from rlax_pref.values import lambda_returns

pytestmark = pytest.mark.usefixtures("strict")

jitted = jax.jit(lambda_returns)
oracle = jax.jit(jax.vmap(rlax.lambda_returns, in_axes=1, out_axes=1))


def arrays(shape, low=-10.0, high=10.0):
    return hnp.arrays(np.float32, shape, elements=st.floats(low, high, width=32))


@st.composite
def windows(draw):
    shape = draw(st.sampled_from(((1, 2), (5, 2))))
    return {
        "r_t": draw(arrays(shape)),
        "discount_t": draw(arrays(shape, 0.0, 1.0)),
        "v_t": draw(arrays(shape)),
        "lambda_": draw(st.floats(0.0, 1.0, width=32)),
        "truncated_t": draw(hnp.arrays(bool, shape)),
    }


def definition(r_t, discount_t, v_t, lambda_, truncated_t):
    """The mean of all n-step returns, n weighing (1 - lambda) lambda^(n-1), the last the rest."""
    r_t, discount_t, v_t = (x.astype(np.float64) for x in (r_t, discount_t, v_t))
    returns = np.zeros_like(r_t)
    for t, b in np.ndindex(r_t.shape):
        horizon = next((k for k in range(t, len(r_t)) if truncated_t[k, b]), len(r_t) - 1)
        for n in range(1, horizon - t + 2):
            until = [np.prod(discount_t[t : t + i, b]) for i in range(n + 1)]
            n_step = until[:n] @ r_t[t : t + n, b] + until[n] * v_t[t + n - 1, b]
            weight = 1.0 if t + n - 1 == horizon else 1.0 - lambda_
            returns[t, b] += lambda_ ** (n - 1) * weight * n_step
    return returns


def test_golden():
    r_t, v_t = np.array([1, 0, 2], np.float32), np.array([1, 0.2, 0.4], np.float32)
    returns = jitted(r_t, np.full(3, 0.9, np.float32), v_t, 0.8)
    np.testing.assert_allclose(returns, [2.429344, 1.7352, 2.36], rtol=1e-6)


def test_golden_with_ends():
    """A cut after two steps, a termination whose 9.9 nobody listens to, and an open end."""
    r_t, v_t = np.array([[1, 2, -1, 3, 0.5], [1, 0.7, -0.5, 9.9, 0.25]], np.float32)
    discount_t = np.array([0.9, 0.9, 0.9, 0, 0.9], np.float32)
    truncated_t = np.array([0, 1, 0, 0, 0], bool)
    run = lambda lambda_: jitted(r_t, discount_t, v_t, lambda_, truncated_t=truncated_t)
    np.testing.assert_allclose(run(0.8), [3.0736, 2.63, 1.07, 3.0, 0.725], rtol=1e-5)
    np.testing.assert_allclose(run(1.0), [3.367, 2.63, 1.7, 3.0, 0.725], rtol=1e-5)


@settings(deadline=None, max_examples=50)
@given(windows())
def test_definition(window):
    np.testing.assert_allclose(jitted(**window), definition(**window), rtol=1e-4, atol=1e-3)


@settings(deadline=None, max_examples=20)
@given(windows(), st.data())
def test_rlax(window, data):
    lambda_t = data.draw(arrays(window["r_t"].shape, 0.0, 1.0))
    arguments = (window["r_t"], window["discount_t"], window["v_t"], lambda_t)
    np.testing.assert_allclose(jitted(*arguments), oracle(*arguments), rtol=1e-5, atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(windows())
def test_a_perfect_critic_is_left_alone(window):
    """Where values already obey v_tm1 = r_t + discount_t * v_t, every lambda returns them."""
    r_t, discount_t = window["r_t"], window["discount_t"]
    v = [window["v_t"][-1]]
    for r, discount in zip(r_t[::-1], discount_t[::-1], strict=True):
        v.insert(0, r + discount * v[0])
    window["v_t"] = np.stack(v[1:])
    np.testing.assert_allclose(jitted(**window), np.stack(v[:-1]), rtol=1e-4, atol=1e-4)


def test_no_leak_across_truncation():
    """What happens after a cut changes nothing before it."""
    truncated_t = jnp.array([0, 1, 0, 0], bool)
    before = lambda *x: lambda_returns(*x, truncated_t=truncated_t)[:2]
    by_r, by_v = jax.jacobian(before, argnums=(0, 2))(*[jnp.ones(4)] * 3)
    assert not np.any(by_r[:, 2:]) and not np.any(by_v[:, 2:])
    np.testing.assert_array_equal(by_v[:, 1], [1, 1])  # and the cut still bootstraps


def test_jit_vmap_and_grad():
    arguments = [jax.random.uniform(key, (5, 3)) for key in jax.random.split(jax.random.key(0), 3)]
    plain = jitted(*arguments, 0.9)
    alone = jax.vmap(lambda *x: lambda_returns(*x, 0.9), in_axes=1, out_axes=1)(*arguments)
    np.testing.assert_allclose(plain, alone, rtol=1e-6)
    check_grads(jitted, (*arguments, 0.9), order=1, modes=["rev"], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ("discount_t", "v_t", "lambda_", "truncated_t"))
def test_messages(name):
    names = ("r_t", "discount_t", "v_t", "lambda_", "truncated_t")
    arguments = dict.fromkeys(names, jnp.ones((3, 3))) | {name: jnp.ones(3)}
    with pytest.raises(AssertionError, match=f"lambda_returns: {name} must be"):
        lambda_returns(**arguments)
