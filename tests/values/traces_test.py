import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.values import traces

pytestmark = pytest.mark.usefixtures("strict")

TRACES = {
    traces.retrace: lambda pi, mu, lambda_: lambda_ * min(1.0, pi / mu),
    traces.q_lambda: lambda pi, mu, lambda_: lambda_,
    traces.tree_backup: lambda pi, mu, lambda_: lambda_ * pi,
    traces.importance_sampling: lambda pi, mu, lambda_: lambda_ * pi / mu,
}
jitted = {trace: jax.jit(trace) for trace in TRACES}
probability = st.floats(2**-7, 1.0, width=32)


@pytest.mark.parametrize("trace", TRACES)
@settings(deadline=None, max_examples=20)
@given(probability, probability, st.floats(0.0, 1.0, width=32))
def test_definition(trace, pi, mu, lambda_):
    log_pi, log_mu = np.log([pi, pi], dtype=np.float32), np.log([mu, mu], dtype=np.float32)
    expected = np.full(2, TRACES[trace](pi, mu, lambda_))
    np.testing.assert_allclose(jitted[trace](log_pi, log_mu, lambda_), expected, 1e-4, 1e-6)


@pytest.mark.parametrize("trace", TRACES)
def test_jit_vmap_and_grad(trace):
    log_pi, log_mu = jnp.log(jnp.array([[0.2, 0.7], [0.5, 0.1]])), jnp.log(jnp.full((2, 2), 0.4))
    plain = trace(log_pi, log_mu, 0.9)
    np.testing.assert_allclose(jitted[trace](log_pi, log_mu, 0.9), plain, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(lambda p, m: trace(p, m, 0.9))(log_pi, log_mu), plain)
    by_lambda = jax.grad(lambda x: trace(log_pi, log_mu, x).sum())(0.9)
    np.testing.assert_allclose(by_lambda, plain.sum() / 0.9, rtol=1e-5)


def test_an_action_that_pi_never_takes_ends_the_trace():
    never, often = jnp.array([-jnp.inf]), jnp.zeros(1)
    for trace in (traces.retrace, traces.tree_backup, traces.importance_sampling):
        assert trace(never, often)[0] == 0


def test_retrace_never_overflows():
    """A far-off behaviour policy is clipped before the exponential, gradients included."""
    value, slope = jax.value_and_grad(lambda x: traces.retrace(x, jnp.full(1, -500.0)).sum())(
        jnp.zeros(1)
    )
    assert value == 1 and slope[0] == 0


@pytest.mark.parametrize("trace", TRACES)
def test_messages(trace):
    with pytest.raises(AssertionError, match=f"traces.{trace.__name__}: log_mu_t must be"):
        trace(jnp.ones((3, 3)), jnp.ones(3))
    with pytest.raises(AssertionError, match=f"traces.{trace.__name__}: lambda_ must be"):
        trace(jnp.ones((3, 3)), jnp.ones((3, 3)), jnp.ones(3))
