import jax
import jax.numpy as jnp
import numpy as np
import pytest
import rlax
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from rlax_pref import values
from rlax_pref.values import retrace, traces

pytestmark = pytest.mark.usefixtures("strict")

jitted = jax.jit(retrace)
oracle = jax.jit(jax.vmap(rlax.general_off_policy_returns_from_q_and_v, in_axes=1, out_axes=1))


def arrays(shape, low=-10.0, high=10.0):
    return hnp.arrays(np.float32, shape, elements=st.floats(low, high, width=32))


@st.composite
def windows(draw):
    shape = draw(st.sampled_from(((1, 2), (5, 2))))
    return {
        "r_t": draw(arrays(shape)),
        "discount_t": draw(arrays(shape, 0.0, 1.0)),
        "q_t": draw(arrays(shape)),
        "v_t": draw(arrays(shape)),
        "c_t": draw(arrays(shape, 0.0, 2.0)),
        "truncated_t": draw(hnp.arrays(bool, shape)),
    }


def definition(r_t, discount_t, q_t, v_t, c_t, truncated_t):
    """The paper's sum: a first guess, here 0, plus all the TD errors that the traces reach."""
    r_t, discount_t, q_t, v_t, c_t = (
        x.astype(np.float64) for x in (r_t, discount_t, q_t, v_t, c_t)
    )
    q_tm1 = np.concatenate([np.zeros_like(q_t[:1]), q_t[:-1]])
    targets = np.zeros_like(r_t)
    for t in range(len(r_t)):
        for k in range(t, len(r_t)):
            guess = 0.0 if k == t else q_tm1[k]
            reach = np.prod((discount_t * c_t * ~truncated_t)[t:k], axis=0)
            targets[t] += reach * (r_t[k] + discount_t[k] * v_t[k] - guess)
    return targets


def golden(c):
    r_t, v_t = np.array([0.2, 1], np.float32), np.array([0.8, 0.3], np.float32)
    q_t = np.array([0.5, 77.0], np.float32)  # the last row must not matter
    c_t = np.array([c[0], 55.0], np.float32)
    return jitted(r_t, np.full(2, 0.9, np.float32), q_t, v_t, c_t)


@pytest.mark.parametrize(
    ("trace", "lambda_", "ratio", "expected"),
    (
        (traces.retrace, 0.9, 0.5, 1.23185),
        (traces.q_lambda, 0.9, 0.5, 1.5437),
        (traces.tree_backup, 1.0, 0.5, 1.1972),
        (traces.importance_sampling, 1.0, 0.5, 1.2665),
        (traces.retrace, 0.9, 1.6, 1.5437),  # clipped, so it is Q(lambda)
        (traces.importance_sampling, 1.0, 1.6, 2.0288),
    ),
)
def test_golden(trace, lambda_, ratio, expected):
    pi = jnp.array([0.4])
    target = golden(trace(jnp.log(pi), jnp.log(pi / ratio), lambda_))
    np.testing.assert_allclose(target, [expected, 1.27], rtol=1e-5)


@settings(deadline=None, max_examples=50)
@given(windows())
def test_definition(window):
    np.testing.assert_allclose(jitted(**window), definition(**window), rtol=1e-4, atol=1e-2)


@settings(deadline=None, max_examples=20)
@given(windows())
def test_rlax(window):
    r_t, discount_t, q_t, v_t, c_t, _ = window.values()
    np.testing.assert_allclose(
        jitted(r_t, discount_t, q_t, v_t, c_t),
        oracle(q_t[:-1], v_t, r_t, discount_t, c_t[:-1]),
        rtol=1e-4,
        atol=1e-2,
    )


def test_rlax_retrace():
    """From action values and policies, as an agent would call it."""
    keys = jax.random.split(jax.random.key(0), 6)
    length, num_actions = 6, 3
    q = jax.random.normal(keys[0], (length + 1, num_actions))
    logits = jax.random.normal(keys[1], (length + 1, num_actions))
    a = jax.random.randint(keys[2], (length + 1,), 0, num_actions)
    mu = jax.random.uniform(keys[3], (length,), minval=0.1)
    r_t, discount_t = jax.random.normal(keys[4], (length,)), jax.random.uniform(keys[5], (length,))
    pi_t = jax.nn.softmax(logits[1:])
    row = jnp.arange(length)
    c_t = traces.retrace(jnp.log(pi_t[row, a[1:]]), jnp.log(mu), 0.9)
    target = retrace(r_t, discount_t, q[1:][row, a[1:]], (pi_t * q[1:]).sum(-1), c_t)
    error = rlax.retrace(q[:-1], q[1:], a[:-1], a[1:], r_t, discount_t, pi_t, mu, 0.9)
    np.testing.assert_allclose(target - q[:-1][row, a[:-1]], error, rtol=1e-4, atol=1e-5)


@settings(deadline=None, max_examples=20)
@given(windows(), st.floats(0.0, 1.0, width=32))
def test_reduces_to_lambda_returns(window, lambda_):
    """With one action there is nothing to correct: Q(lambda) is TD(lambda)."""
    window["q_t"] = window["v_t"]
    window["c_t"] = lambda_
    returns = jitted(**window)
    del window["q_t"], window["c_t"]
    np.testing.assert_allclose(
        returns, jax.jit(values.lambda_returns)(**window, lambda_=lambda_), rtol=1e-4, atol=1e-3
    )


def test_importance_sampling_forgets_the_critic():
    """With c = pi / mu the mean over actions of mu is the true return, whatever q says.

    One decision between two arms; all its outcomes are enumerated.
    """
    pi, mu, reward = np.array([0.9, 0.1]), np.array([0.3, 0.7]), np.array([2.0, -4.0])
    q = np.array([123.0, -45.0])
    total = 0.0
    for a in range(2):
        c = traces.importance_sampling(jnp.log(pi[a]), jnp.log(mu[a]))
        target = retrace(
            jnp.array([1.0, reward[a]]),
            jnp.array([0.9, 0.0]),
            jnp.array([q[a], 0.0]),
            jnp.array([pi @ q, 0.0]),
            jnp.array([c, 0.0]),
        )
        total += mu[a] * target[0]
    np.testing.assert_allclose(total, 1 + 0.9 * pi @ reward, rtol=1e-4)


def test_no_leak_across_truncation():
    """What happens after a cut changes nothing before it; its own q and trace count for nothing."""
    truncated_t = jnp.array([0, 1, 0, 0], bool)
    before = lambda *x: retrace(*x, truncated_t=truncated_t)[:2]
    by_r, by_q, by_v, by_c = jax.jacobian(before, argnums=(0, 2, 3, 4))(
        jnp.ones(4), jnp.ones(4), jnp.full(4, 3.0), jnp.ones(4), jnp.ones(4)
    )
    assert not np.any(by_r[:, 2:]) and not np.any(by_v[:, 2:])
    assert not np.any(by_q[:, 1:]) and not np.any(by_c[:, 1:])
    np.testing.assert_array_equal(by_v[:, 1], [1, 1])  # and the cut still bootstraps


def test_the_last_action_never_counts():
    by_q, by_c = jax.jacobian(retrace, argnums=(2, 4))(*[jnp.arange(1.0, 5.0)] * 5)
    assert not np.any(by_q[:, -1]) and not np.any(by_c[:, -1])


def test_importance_sampling_over_long_windows_stays_finite(monkeypatch):
    """Ratios whose product overflows, cut by a termination, where accelerators take over."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    discount_t = jnp.ones(100).at[80].set(0.0)
    zeros = jnp.zeros(100)
    assert np.all(np.isfinite(retrace(zeros, discount_t, zeros, zeros, jnp.full(100, 50.0))))


def test_jit_vmap_and_grad():
    arguments = [jax.random.uniform(key, (5, 3)) for key in jax.random.split(jax.random.key(0), 5)]
    plain = jitted(*arguments)
    alone = jax.vmap(retrace, in_axes=1, out_axes=1)(*arguments)
    np.testing.assert_allclose(plain, alone, rtol=1e-6)
    check_grads(jitted, arguments, order=1, modes=["rev"], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ("discount_t", "q_t", "v_t", "c_t", "truncated_t"))
def test_messages(name):
    names = ("r_t", "discount_t", "q_t", "v_t", "c_t", "truncated_t")
    arguments = dict.fromkeys(names, jnp.ones((3, 3))) | {name: jnp.ones(3)}
    with pytest.raises(AssertionError, match=f"retrace: {name} must be"):
        retrace(**arguments)
