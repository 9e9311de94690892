"""Segment scores: loops in float64, and the identities between them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import preferences, tabular
from rlax_pref.envs import grid

pytestmark = pytest.mark.usefixtures("strict")

N, L = 3, 4
SCORES = {
    "partial_return": lambda x: preferences.partial_return(x["r_t"], x["live_t"]),
    "expected_return": lambda x: preferences.expected_return(x["r_t"], x["live_t"], x["v_last"]),
    "regret": lambda x: preferences.regret(x["r_t"], x["live_t"], x["v_first"], x["v_last"]),
    "expressive": lambda x: preferences.expressive(
        x["r_t"], x["live_t"], x["v_first"], x["v_last"], x["weights"]
    ),
}
WEIGHTS = {"partial_return": (1, 0, 0), "expected_return": (1, 1, 0), "regret": (1, 1, 1)}
compiled = {name: jax.jit(score) for name, score in SCORES.items()}


def draw(seed: int) -> dict[str, np.ndarray]:
    """Rewards, values and which steps are live."""
    rng = np.random.default_rng(seed)
    return {
        "r_t": rng.normal(size=(N, L)).astype(np.float32),
        "live_t": np.arange(L)[None] < rng.integers(0, L + 1, size=(N, 1)),
        "v_first": rng.normal(size=N).astype(np.float32),
        "v_last": rng.normal(size=N).astype(np.float32),
        "weights": rng.normal(size=3).astype(np.float32),
    }


@pytest.mark.parametrize("name", SCORES)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_scores_are_their_sums(name, seed):
    x = draw(seed)
    w = np.array(WEIGHTS.get(name, x["weights"]), np.float64)
    own = compiled[name](x)
    for n in range(N):
        collected = sum(
            float(r) for r, live in zip(x["r_t"][n], x["live_t"][n], strict=True) if live
        )
        expected = w @ [collected, float(x["v_last"][n]), -float(x["v_first"][n])]
        assert float(own[n]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", SCORES)
def test_scores_batch_map_and_differentiate(name):
    x = draw(0) | {"live_t": np.array([[True] * 4, [True, True, False, False], [False] * 4])}
    mapped = jax.vmap(lambda x, w: SCORES[name](x | {"weights": w}), (0, None))(
        {k: v for k, v in x.items() if k != "weights"}, x["weights"]
    )
    np.testing.assert_allclose(mapped, compiled[name](x), rtol=1e-6)
    gradient = jax.jit(jax.grad(lambda r: SCORES[name](x | {"r_t": r}).sum()))(
        jnp.asarray(x["r_t"])
    )
    weight = x["weights"][0] if name == "expressive" else 1
    np.testing.assert_allclose(gradient, weight * x["live_t"], rtol=1e-6)


# On a real process --------------------------------------------------------------------------

WORLD = grid.grid_world(
    np.array([[0, 4, 0, 6], [5, 0, 3, 0], [0, 2, 0, 1]]), [-1.0, 5.0, -5.0, 1.0, -2.0, -3.0]
)


@partial(jax.jit, static_argnums=0)
def solve(discount):
    """Segments on a small board, with their rewards, optimal values and advantages."""
    mdp, reward = WORLD.tabular(), WORLD.rewards()
    segments = preferences.sample_segments(jax.random.key(0), mdp, (200, 2), 3)
    if discount == 1:
        value = tabular.value_iteration(mdp, reward, 1.0)
        q = tabular.action_values(mdp, reward, value, 1.0)
        advantage = q - value[:, None]
    else:
        best = tabular.optimal(mdp, reward, discount)
        value, advantage = best.value, best.advantage
    return segments, tabular.lookup(reward, segments), value, tabular.lookup(advantage, segments)


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_the_two_forms_of_regret_differ_by_discounting_alone(discount):
    """sum A* = sum r + V(s_L) - V(s_0) - (1 - g) sum_{t=1..L} V(s_t), to rounding error."""
    segments, r_t, value, advantage = solve(discount)
    v = value[segments.state]
    general = preferences.general_regret(advantage, segments.live)
    simple = preferences.regret(r_t, segments.live, v[..., 0], v[..., -1])
    between = (1 - discount) * v[..., 1:].sum(-1)
    np.testing.assert_allclose(general, simple - between, atol=1e-5)
    if discount == 1:
        np.testing.assert_array_equal(general, simple)


def test_regret_is_never_negative_and_ends_are_free():
    segments, _, _, advantage = solve(0.9)
    score = preferences.general_regret(advantage, segments.live)
    assert np.all(score <= 0)
    assert np.any(score == 0) and np.any(~segments.live)


def test_from_one_start_expected_return_and_regret_say_the_same():
    segments, r_t, value, _ = solve(1.0)
    v = value[segments.state]
    same = np.asarray(segments.state[:, 0, 0] == segments.state[:, 1, 0])
    assert same.sum() > 3
    arguments = r_t, segments.live
    expected = preferences.expected_return(*arguments, v[..., -1])
    regret = preferences.regret(*arguments, v[..., 0], v[..., -1])
    np.testing.assert_array_equal(
        (expected[:, 0] - expected[:, 1])[same], (regret[:, 0] - regret[:, 1])[same]
    )


# Messages -----------------------------------------------------------------------------------


def test_wrong_shapes_are_named():
    r_t, live_t, v = jnp.zeros((N, L)), jnp.ones((N, L), bool), jnp.zeros(N)
    with pytest.raises(AssertionError, match=r"partial_return: r_t and live_t"):
        preferences.partial_return(r_t, live_t[:, 1:])
    with pytest.raises(AssertionError, match=r"expected_return: v_last"):
        preferences.expected_return(r_t, live_t, v[1:])
    with pytest.raises(AssertionError, match=r"regret: v_first, v_last"):
        preferences.regret(r_t, live_t, v[1:], v)
    with pytest.raises(AssertionError, match=r"expressive: weights"):
        preferences.expressive(r_t, live_t, v, v, jnp.ones(2))
    with pytest.raises(AssertionError, match=r"expressive: v_first and v_last"):
        preferences.expressive(r_t, live_t, v, v[1:], jnp.ones(3))
