"""What settings say arrives in the loss: each, of a minibatch by hand, against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, policies
from rlax_pref.agents import preference_losses, selecting
from rlax_pref.agents.preference_losses import Batch, Data
from rlax_pref.agents.responding import Responses

LOG_PROB = -jnp.array([[3.0, 1.0, 2.0], [0.5, 4.0, 2.5]])  # [B, G]
REF = -jnp.array([[2.0, 2.0, 2.0], [1.0, 3.0, 2.0]])
REWARD = jnp.array([[0.0, 1.0, 0.7], [0.2, 0.3, 0.9]])
MISMATCHED = jnp.array([[0.5, 1.5, -1.0], [0.2, 0.4, 0.6]])
RATIO = np.float64(LOG_PROB - REF)
TOKENS = 2


def batch(lead=None):
    """The second response of the first prompt is preferred to its first; of the other, a tie."""
    mask = jnp.ones((2, 3, TOKENS), bool)
    token = jnp.zeros((2, 3, TOKENS))
    responses = Responses(token, token, mask, token - 0.7, token, REWARD)
    index = lambda *x: jnp.array(x, jnp.int32)
    lead = selecting.differences(REWARD) if lead is None else lead
    data = Data(responses, lead, index(1, 0), index(0, 1), jnp.array([1.0, 0.5]), index(0, 0))
    made = policies.Completion(LOG_PROB, REF, jnp.full((2, 3), TOKENS), jnp.zeros((2, 3)))
    return Batch(data, made, MISMATCHED, jnp.zeros((2, 3)))


def found(name, lead=None, **settings):
    return preference_losses.loss(agents.config_from(name, settings), batch(lead))


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


def logistic(z, p):
    return -p * np.log(sigmoid(z)) - (1 - p) * np.log(sigmoid(-z))


GAP = np.array([RATIO[0, 1] - RATIO[0, 0], RATIO[1, 0] - RATIO[1, 1]])
P_FIRST = np.array([1.0, 0.5])


@pytest.mark.parametrize(
    ("divergence", "score"),
    [
        ("reverse_kl", lambda u: u),
        ("forward_kl", lambda u: -np.exp(-u)),
        ("js_divergence", lambda u: np.log(sigmoid(u))),
        ("alpha_divergence", lambda u: np.exp(-0.7 * u) / -0.7),
    ],
)
def test_divergences_of_dpo(divergence, score):
    x = score(RATIO)
    gap = np.array([x[0, 1] - x[0, 0], x[1, 0] - x[1, 1]])
    value = found("dpo", divergence=divergence, divergence_alpha=0.3)
    np.testing.assert_allclose(value, logistic(0.1 * gap, P_FIRST).mean(), rtol=1e-5)


def test_forms_of_rpo():
    dpo = logistic(0.5 * GAP, P_FIRST)
    winner = np.float64([LOG_PROB[0, 1], LOG_PROB[1, :2].mean()])  # of a tie, both
    mean, whole = (
        found("rpo", beta=0.5, imitation=0.3, imitation_form=form)
        for form in ("mean", "cumulative")
    )
    np.testing.assert_allclose(mean, np.mean(dpo - 0.3 * winner / TOKENS), rtol=1e-5)
    np.testing.assert_allclose(whole, np.mean(dpo - 0.3 * 0.5 * winner), rtol=1e-5)


@pytest.mark.parametrize("thumbs", ["pair", "score"])
def test_thumbs(thumbs):
    """Of pairs, the two of each; one by one, all by what they score."""
    point = max(np.float64(MISMATCHED).mean(), 0.0)
    wanted, ratio = np.float64(REWARD), RATIO
    if thumbs == "pair":
        wanted, ratio = np.array([[0.0, 1.0], [0.5, 0.5]]), RATIO[:, :2]
    gain = 0.1 * (ratio - point)
    expected = 1.3 * wanted * sigmoid(-gain) + 0.6 * (1 - wanted) * sigmoid(gain)
    value = found("kto", thumbs=thumbs, desirable_weight=1.3, undesirable_weight=0.6)
    np.testing.assert_allclose(value, expected.mean(), rtol=1e-5)


def test_what_is_imitated():
    best = -np.float64([LOG_PROB[0, 1], LOG_PROB[1, 2]]) / TOKENS
    np.testing.assert_allclose(found("raft"), best.mean(), rtol=1e-6)
    top = -np.float64([LOG_PROB[0, 1], LOG_PROB[0, 2], LOG_PROB[1, 2]]) / TOKENS
    value = found("raft", imitated="top", top_share=0.5)  # 3 of 6
    np.testing.assert_allclose(value, top.mean(), rtol=1e-6)


@pytest.mark.parametrize(
    ("divergence", "phi"),
    [
        ("total_variation", lambda x: x),
        ("chi_squared", lambda x: x - x**2 / 4),
        ("squared_hellinger", lambda x: x / (1 + x)),
        ("jensen_shannon", lambda x: np.log(2 - np.exp(-x))),
    ],
)
def test_divergences_of_demonstrations(divergence, phi):
    x = 0.3 * np.array([RATIO[0, 1], RATIO[1, 2]])
    value = found("divergence_sft", beta=0.3, sft_divergence=divergence)
    np.testing.assert_allclose(value, -phi(x).mean(), rtol=1e-5)


def test_who_leads_whom_need_be_no_difference_of_scores():
    """In circles, win rates are what counts; of scores they are the same numbers as before."""
    circle = 2.0 * jnp.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])
    lead = jnp.stack([circle, selecting.differences(REWARD[1])])
    rate = np.float64(jax.nn.sigmoid(lead)).mean(-1)
    np.testing.assert_allclose(rate[0], 0.5, atol=1e-6)
    settings = {"beta": 0.2, "noiseless": False}
    expected = (RATIO - (rate - 0.5) / 0.2) ** 2
    np.testing.assert_allclose(found("sppo", lead, **settings), expected.mean(), rtol=1e-5)
    expected = (RATIO - np.float64(lead).mean(-1) / 0.2) ** 2
    np.testing.assert_allclose(found("gpo", lead, **settings), expected.mean(), rtol=1e-5)
    gap, label = RATIO[:, 0] - RATIO[:, 1], sigmoid(rate[:, 0] - rate[:, 1])
    expected = logistic(0.2 * gap, label).mean()
    np.testing.assert_allclose(found("dno", lead, **settings), expected, rtol=1e-5)


def test_which_need_pairs():
    needs = lambda name, **x: preference_losses.needs_pairs(agents.config_from(name, x))
    assert needs("dpo") and needs("kto") and needs("brain")
    assert not (needs("kto", thumbs="score") or needs("uft") or needs("divergence_sft"))
