"""Fitted Q evaluation: exact where data are, and what regression makes of them elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import metrics, tabular

pytestmark = pytest.mark.usefixtures("strict")

S, A, K, DISCOUNT = 4, 2, 60, 0.8
fit = jax.jit(metrics.fitted_q_evaluation, static_argnums=4)


def process(seed):
    """A process whose probabilities are quarters, and a reward and a policy."""
    rng = np.random.default_rng(seed)
    transition = rng.multinomial(4, np.full(S, 1 / S), (S, A)) / 4
    transition[-1] = np.eye(S)[-1]
    terminal = np.arange(S) == S - 1
    start = np.full(S, 1 / S)
    numbers = (transition, np.zeros((S, A, 1)), terminal, start)
    mdp = tabular.TabularMDP(*(jnp.asarray(x, jnp.float32) for x in numbers))
    mdp = mdp._replace(terminal=jnp.asarray(terminal))
    reward, policy = rng.normal(size=(S, A)), rng.dirichlet(np.ones(A), S)
    return mdp, jnp.asarray(reward, jnp.float32), jnp.asarray(policy, jnp.float32)


def steps_of(mdp, reward, policy):
    """Every step as often as it happens, with one-hot features."""
    rows = [
        (state, action, after)
        for state in range(S - 1)
        for action in range(A)
        for after in range(S)
        for _ in range(round(4 * float(mdp.transition[state, action, after])))
    ]
    state, action, after = np.array(rows).T
    cell = np.eye(S * A, dtype=np.float32)
    expected = np.repeat(np.eye(S), A, axis=1) * np.asarray(policy).ravel()
    return (
        jnp.asarray(cell[state * A + action]),
        reward[state, action],
        DISCOUNT * (1.0 - mdp.terminal[after]),
        jnp.asarray(expected[after], jnp.float32),
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_is_the_exact_value_of_a_table(seed):
    mdp, reward, policy = process(seed)
    w = fit(*steps_of(mdp, reward, policy), K).reshape(K, S, A)
    value = tabular.evaluate(mdp, reward, policy, DISCOUNT)
    exact = tabular.action_values(mdp, reward, value, DISCOUNT)
    np.testing.assert_allclose(w[-1], exact, atol=1e-4)
    v = jnp.zeros(S)
    for k in range(3):  # with k + 1 steps to go
        q = tabular.action_values(mdp, reward, v, DISCOUNT)
        np.testing.assert_allclose(w[k], q, atol=1e-4)
        v = (policy * q).sum(-1)
    start = jnp.arange(S - 1)
    estimate = metrics.direct(w[-1][start], policy[start])
    np.testing.assert_allclose(estimate, value[start], atol=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 9999), st.sampled_from((1e-3, 0.1)))
def test_it_is_regression_again_and_again(seed, ridge):
    rng = np.random.default_rng(seed)
    x, after = rng.normal(size=(2, 12, 3))
    r, weight = rng.normal(size=12), rng.uniform(0, 2, 12)
    discount = 0.9 * rng.integers(0, 2, 12)
    numbers = (np.float32(x) for x in (x, r, discount, after))
    found = fit(*numbers, 4, weight=np.float32(weight), ridge=np.float32(ridge))
    w, gram = np.zeros(3), (weight[:, None] * x).T @ x / 12 + ridge * np.eye(3)
    for k in range(4):
        target = r + discount * (after @ w)
        w = np.linalg.solve(gram, x.T @ (weight * target) / 12)
        np.testing.assert_allclose(found[k], w, rtol=2e-3, atol=2e-3)


def test_what_does_not_count_and_what_terminates():
    """Rows of weight 0 teach nothing, and nothing follows a termination."""
    mdp, reward, policy = process(3)
    x, r, discount, after = steps_of(mdp, reward, policy)
    wrong = jnp.full_like(r, 99.0)
    doubled = [
        jnp.concatenate(pair) for pair in ((x, x), (r, wrong), (discount,) * 2, (after,) * 2)
    ]
    weight = jnp.repeat(jnp.array([1.0, 0.0]), r.size)
    np.testing.assert_allclose(
        fit(*doubled, 5, weight=weight), fit(x, r, discount, after, 5), rtol=1e-3, atol=1e-4
    )
    ends = fit(x, r, jnp.zeros_like(r), after, 5)
    np.testing.assert_array_equal(ends[0], ends[-1])
    unseen = np.asarray(ends[-1]).reshape(S, A)[-1]
    np.testing.assert_array_equal(unseen, 0.0)


def test_vmap_and_grad():
    """Several policies at once, and estimates are linear in rewards."""
    mdp, reward, _ = process(4)
    policies = jnp.stack([process(seed)[2] for seed in (5, 6)])
    data = [steps_of(mdp, reward, policy) for policy in policies]
    together = jax.vmap(lambda after: fit(*data[0][:3], after, 8))(jnp.stack([x[3] for x in data]))
    for one, x in zip(together, data, strict=True):
        np.testing.assert_allclose(one, fit(*x, 8), rtol=1e-4, atol=1e-5)
    x, r, discount, after = data[0]
    last = lambda r: metrics.fitted_q_evaluation(x, r, discount, after, 8)[-1].sum()
    np.testing.assert_allclose((jax.grad(last)(r) * r).sum(), last(r), rtol=1e-3)


def test_messages():
    x, r = jnp.ones((3, 2)), jnp.ones(3)
    with pytest.raises(AssertionError, match="features_t must be"):
        metrics.fitted_q_evaluation(x, r, r, x[:2], 1)
    with pytest.raises(AssertionError, match="discount_t must be shaped like r_t"):
        metrics.fitted_q_evaluation(x, r, r[:2], x, 1)
    with pytest.raises(ValueError, match="num_iterations=0"):
        metrics.fitted_q_evaluation(x, r, r, x, 0)
