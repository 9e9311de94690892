"""Choice probabilities: they sum to one, and lapses bound them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref.preferences import bradley_terry

pytestmark = pytest.mark.usefixtures("strict")

log_p = jax.jit(bradley_terry)
score = st.floats(-50, 50)


@settings(deadline=None, max_examples=50)
@given(score, score, st.floats(0.1, 10), st.floats(0, 0.9))
def test_it_is_a_distribution_with_these_odds(first, second, temperature, lapse):
    one = float(jnp.exp(log_p(first, second, temperature=temperature, lapse=lapse)))
    two = float(jnp.exp(log_p(second, first, temperature=temperature, lapse=lapse)))
    assert one + two == pytest.approx(1, abs=1e-5)
    p = 1 / (1 + np.exp(-(first - second) / temperature))
    assert one == pytest.approx((1 - lapse) * p + lapse / 2, rel=1e-4, abs=1e-6)


def test_a_sure_choice_can_still_lapse():
    assert float(log_p(1e4, 0.0, lapse=0.2)) == pytest.approx(np.log(0.9))
    assert float(log_p(0.0, 1e4, lapse=0.2)) == pytest.approx(np.log(0.1))
    assert float(log_p(0.0, 1e4)) == -1e4


def test_only_differences_of_scores_matter():
    u = jax.random.normal(jax.random.key(0), (5, 2))
    np.testing.assert_allclose(
        log_p(u[:, 0], u[:, 1]), jax.vmap(bradley_terry)(u[:, 0] + 3, u[:, 1] + 3), atol=1e-6
    )


def test_the_lapse_rate_can_be_learned():
    """The gradient in a lapse rate is that of the mixed probability."""
    gradient = jax.jit(jax.grad(lambda c: bradley_terry(2.0, 0.0, lapse=c)))(0.1)
    p = 1 / (1 + np.exp(-2.0))
    assert float(gradient) == pytest.approx((0.5 - p) / (0.9 * p + 0.05), rel=1e-4)
