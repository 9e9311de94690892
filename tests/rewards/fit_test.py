"""Rewards learned from scripted teachers, and what cannot be learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import preferences, rewards, tabular
from rlax_pref.envs import grid
from rlax_pref.types import Preferences, Segments

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)
BOARD = np.array([[0, 4, 0, 6], [5, 0, 3, 0], [0, 2, 0, 1]])
WORLD = grid.grid_world(BOARD, [-1.0, 5.0, -5.0, 1.0, -2.0, -3.0])
MDP, REWARD = jax.jit(lambda: (WORLD.tabular(), WORLD.rewards()))()
BEST = jax.jit(tabular.optimal)(MDP, REWARD, 0.999)
LIBRARY = jax.jit(rewards.policy_library)(KEY, MDP)
scaled_return = jax.jit(tabular.scaled_return)
optimal = jax.jit(tabular.optimal)


def label(table, mdp=MDP, num=1000, noiseless=False):
    """Random pairs, labelled by a teacher who adds up a table."""
    segments = preferences.sample_segments(KEY, mdp, (num, 2), 3)
    u = preferences.partial_return(tabular.lookup(table, segments), segments.live)
    p_first = preferences.teacher(KEY, u[:, 0], u[:, 1], noiseless=noiseless)
    return Preferences(segments, p_first, jnp.ones(num))


by_regret = jax.jit(label)(BEST.advantage)
by_return = jax.jit(label)(REWARD)
fit_regret = jax.jit(rewards.fit_regret, static_argnames=("score", "num_steps"))
fit_partial_return = jax.jit(rewards.fit_partial_return, static_argnames="num_steps")
fit_general_regret = jax.jit(rewards.fit_general_regret, static_argnames="num_steps")


def extract(w, mdp=MDP, reward=REWARD):
    """The true scaled return of the policy that is optimal for learned weights."""
    policy = optimal(mdp, mdp.features @ w, 0.999).policy
    return float(scaled_return(mdp, reward, policy, 0.999))


def test_segment_features_make_partial_returns():
    phi = rewards.segment_features(MDP.features, by_return.segments)
    collected = preferences.partial_return(
        tabular.lookup(REWARD, by_return.segments), by_return.segments.live
    )
    np.testing.assert_allclose(phi @ WORLD.weights, collected, atol=1e-5)


def test_partial_return_finds_the_weights_that_labelled():
    fit = fit_partial_return(KEY, by_return, MDP.features, learning_rate=0.3, num_steps=300)
    assert np.corrcoef(fit.params, WORLD.weights)[0, 1] > 0.97
    assert extract(fit.params) > 0.95
    assert float(fit.loss) < float(fit.losses[0])


def test_what_all_segments_share_cannot_be_learned():
    """A feature of every step keeps its initial weight, as long as no segment ends early."""
    features = jnp.concatenate([MDP.features, jnp.ones((12, 4, 1))], axis=-1)
    kept = ~preferences.has_absorbing(by_return.segments)
    pairs = by_return._replace(weight=kept.astype(jnp.float32))
    short = fit_partial_return(KEY, pairs, features, num_steps=1)
    long = fit_partial_return(KEY, pairs, features, num_steps=30)
    assert np.all(jnp.abs(long.params - short.params)[:-1] > 0.1)
    # Adam turns even rounding error into steps, so look at the gradient itself.
    phi = rewards.segment_features(features, pairs.segments)[kept]
    assert not np.any((phi[:, 0] - phi[:, 1])[:, -1])


def test_regret_learns_what_to_do_from_a_teacher_who_regrets():
    fit = fit_regret(KEY, by_regret, MDP.features, LIBRARY, learning_rate=0.1, num_steps=600)
    assert extract(fit.params) > 0.95
    assert float(fit.loss) == pytest.approx(float(jnp.append(fit.losses, fit.loss).min()))
    true = rewards.policy_library_value(LIBRARY.psi @ WORLD.weights, LIBRARY.keep)[0]
    u = preferences.regret(
        tabular.lookup(REWARD, by_regret.segments),
        by_regret.segments.live,
        true[by_regret.segments.state[..., 0]],
        true[by_regret.segments.state[..., -1]],
    )
    at_truth = preferences.logistic_loss(u[:, 0] - u[:, 1], by_regret.p_first).mean()
    assert float(fit.loss) < 1.05 * float(at_truth)


def test_from_one_start_expected_return_is_regret():
    state = jnp.broadcast_to(by_regret.segments.state[:1, :1, 0], (1000, 2))
    segments = jax.jit(lambda s, a: WORLD.unroll(s, a))(state, by_regret.segments.action)
    pairs = by_regret._replace(segments=segments)
    one, two = (
        fit_regret(KEY, pairs, MDP.features, LIBRARY, score=score, num_steps=5).losses
        for score in ("regret", "expected_return")
    )
    np.testing.assert_allclose(one, two, rtol=1e-3)
    other = fit_regret(KEY, by_regret, MDP.features, LIBRARY, score="expected_return", num_steps=5)
    assert np.any(np.abs(other.losses / one - 1) > 0.01)


def test_the_general_form_serves_where_moves_are_random():
    """One move in four goes where another would have gone."""
    slip = MDP._replace(transition=0.75 * MDP.transition + 0.25 * jnp.roll(MDP.transition, 1, 1))
    # Features are expectations over where a step leads, so they slip as well.
    slip = slip._replace(features=0.75 * MDP.features + 0.25 * jnp.roll(MDP.features, 1, 1))
    reward = slip.features @ WORLD.weights
    library = jax.jit(rewards.policy_library)(KEY, slip)
    pairs = jax.jit(label)(optimal(slip, reward, 0.999).advantage, slip)
    fit = fit_general_regret(KEY, pairs, slip, library, num_steps=300)
    assert extract(fit.params, slip, reward) > 0.95


def test_where_moves_are_certain_both_forms_agree():
    """At a discount near 1 the scores differ by thousandths of a value."""
    general = fit_general_regret(KEY, by_regret, MDP, LIBRARY, num_steps=1)
    simple = fit_regret(KEY, by_regret, MDP.features, LIBRARY, num_steps=1)
    assert float(general.losses[0]) == pytest.approx(float(simple.losses[0]), rel=0.1)


@pytest.mark.parametrize(
    "learn",
    [
        lambda key, pairs: rewards.fit_partial_return(key, pairs, MDP.features, num_steps=3),
        lambda key, pairs: rewards.fit_regret(key, pairs, MDP.features, LIBRARY, num_steps=3),
        lambda key, pairs: rewards.fit_general_regret(key, pairs, MDP, LIBRARY, num_steps=3),
    ],
)
def test_seeds_and_data_sets_are_batch_axes(learn):
    keys = jax.random.split(KEY, 2)
    data = jax.tree.map(lambda x, y: jnp.stack([x, y]), by_return, by_regret)
    batch = jax.jit(jax.vmap(learn))(keys, data)
    alone = jax.jit(learn)(keys[1], by_regret)
    np.testing.assert_allclose(batch.losses[1], alone.losses, rtol=1e-3)
    assert np.all(np.isfinite(batch.params)) and batch.params.shape == (2, 6)


def test_gradients_flow_to_the_labels():
    """Fits are differentiable, so labels or weights may themselves be chosen by gradient."""

    def final_loss(p_first):
        pairs = by_return._replace(p_first=p_first)
        return rewards.fit_partial_return(KEY, pairs, MDP.features, num_steps=2).loss

    gradient = jax.jit(jax.grad(final_loss))(by_return.p_first)
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0)


def test_an_unknown_score_is_named():
    segments = Segments(jnp.zeros((1, 2, 2), int), jnp.zeros((1, 2, 1), int), jnp.ones((1, 2, 1)))
    pairs = Preferences(segments, jnp.ones(1), jnp.ones(1))
    with pytest.raises(ValueError, match="score='return' must be"):
        rewards.fit_regret(KEY, pairs, MDP.features, LIBRARY, score="return")
