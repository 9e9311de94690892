"""Likelihood analysis: its grid, its laws, and the published choices of people."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import metrics
from rlax_pref.datasets import knox
from rlax_pref.envs import grid

pytestmark = pytest.mark.usefixtures("strict")

likelihood = jax.jit(metrics.likelihood)
GRID = [0.0] + [sign * 0.01 * 1.236**i for sign in (1, -1) for i in range(1, 26)]

# Mean cross-entropy under partial return, regret and change in expected return.
PEOPLE = {
    "Privileged-Control": (0.6197, 0.5727, 0.5652),
    "Pr-Privileged": (0.5046, 0.5251, 0.4964),
    "Question-Control": (0.5286, 0.4812, 0.4812),
}


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.1, 1.0, 30.0]))
def test_it_is_the_best_of_fifty_one_scales(seed, spread):
    rng = np.random.default_rng(seed)
    z, p = spread * rng.normal(size=8), rng.choice([0, 0.5, 1], 8)
    nll = [np.mean(p * np.logaddexp(0, -c * z) + (1 - p) * np.logaddexp(0, c * z)) for c in GRID]
    own = likelihood(jnp.asarray(z, jnp.float32), jnp.asarray(p, jnp.float32))
    assert float(own.nll) == pytest.approx(min(nll), abs=2e-6)
    at_own_scale = nll[int(np.argmin(np.abs(np.array(GRID) - float(own.scale))))]
    assert at_own_scale == pytest.approx(min(nll), abs=2e-6)


def test_knowing_nothing_is_log_two():
    own = likelihood(jnp.array([1.0, -1.0]), jnp.full(2, 0.5))
    assert float(own.nll) == pytest.approx(np.log(2)) and float(own.scale) == 0


def test_a_model_that_is_always_wrong_gets_a_negative_scale():
    own = likelihood(jnp.array([5.0, -5.0]), jnp.array([0.0, 1.0]))
    assert float(own.scale) < -1.9
    assert float(own.nll) < 1e-3


def test_models_are_a_batch_axis():
    z = jax.random.normal(jax.random.key(0), (3, 20))
    p = (z[0] > 0).astype(jnp.float32)
    batch = jax.vmap(metrics.likelihood, (0, None))(z, p)
    np.testing.assert_allclose(batch.nll, [likelihood(row, p).nll for row in z], rtol=1e-6)


@pytest.mark.parametrize("condition", PEOPLE)
def test_people_choose_as_was_published(data, condition):
    path = data / "human" / f"{condition}.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    human = knox.load_human(path, grid.delivery())
    collected, first, last = human.difference.T
    scores = collected, collected + last - first, collected + last
    nll = [float(likelihood(z, human.preferences.p_first).nll) for z in scores]
    np.testing.assert_allclose(nll, PEOPLE[condition], atol=1e-4)
