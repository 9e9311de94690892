"""What holds for every loss of preferences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import metrics, policies
from rlax_pref.policies import Completion
from rlax_pref.policies._pairwise import PAIRWISE, RANKED, WITHOUT_REFERENCE

pytestmark = pytest.mark.usefixtures("strict")

# Every loss in float64, of chosen (c) and rejected (r), each a Completion of NumPy arrays --------


def softplus(z):
    return np.logaddexp(0.0, z)


def logistic(z, p):
    return p * softplus(-z) + (1 - p) * softplus(z)


def ratio(x):
    return x.log_prob - x.ref_log_prob


def mean(x, of):
    return of(x) / np.maximum(x.num_tokens, 1)


def log_odds(x):
    x = np.minimum(mean(x, lambda x: x.log_prob), -1e-7)
    return x - np.log(-np.expm1(x))


def tdpo2(c, r, b, p):
    z = lambda c, r: b * (ratio(c) - ratio(r) - 0.5 * (r.divergence - c.divergence))
    return p * softplus(-z(c, r)) + (1 - p) * softplus(-z(r, c))


def cpl(u, v, p, bias=0.5):
    return p * softplus(bias * v - u) + (1 - p) * softplus(bias * u - v)


def token(x):
    return mean(x, lambda x: x.log_prob)


def both(f, c, r, p):
    return p * f(c) + (1 - p) * f(r)


def nll(x):
    return -x.log_prob


def hinge(z, p):
    return p * np.maximum(0, 1 - z) + (1 - p) * np.maximum(0, 1 + z)


def log_sigmoid(z):
    return -softplus(-z)


def sigmoid(z):
    return np.exp(log_sigmoid(z))


def soft(loss):
    """Of the two log-ratios as rewards, and a label."""
    return lambda c, r, b, p: (
        p * loss(b * ratio(c), b * ratio(r)) + (1 - p) * loss(b * ratio(r), b * ratio(c))
    )


def exo(x, y):
    """A divergence, term by term."""
    q = sigmoid(x - y), sigmoid(y - x)
    log_q = log_sigmoid(x - y), log_sigmoid(y - x)
    return sum(a * (b - np.log(c)) for a, b, c in zip(q, log_q, (0.999, 0.001), strict=True))


def discopop(x, y):
    z, late = x - y, sigmoid((x - y) / 0.05)
    with np.errstate(over="ignore", invalid="ignore"):
        return (1 - late) * softplus(-z) + np.where(late > 0, late * np.exp(-z), 0.0)


def square(h, b, p):
    return p * (h - 0.5 / b) ** 2 + (1 - p) * (h + 0.5 / b) ** 2


DEFINITIONS = {
    "sigmoid": lambda c, r, b, p: logistic(b * (ratio(c) - ratio(r)), p),
    "sigmoid_norm": lambda c, r, b, p: logistic(b * (mean(c, ratio) - mean(r, ratio)), p),
    "cdpo": lambda c, r, b, p: (
        0.8 * logistic(b * (ratio(c) - ratio(r)), p)
        + 0.2 * logistic(b * (ratio(c) - ratio(r)), 1 - p)
    ),
    "robust": lambda c, r, b, p: (
        (
            0.8 * logistic(b * (ratio(c) - ratio(r)), p)
            - 0.2 * logistic(b * (ratio(c) - ratio(r)), 1 - p)
        )
        / 0.6
    ),
    "exo_pair": soft(exo),
    "nca_pair": soft(lambda x, y: softplus(-x) + softplus(x) / 2 + softplus(y) / 2),
    "bco_pair": soft(lambda x, y: softplus(-x) + softplus(y)),
    "apo_zero": soft(lambda x, y: 1 - sigmoid(x) + sigmoid(y)),
    "apo_down": soft(lambda x, y: sigmoid(x) + 1 - sigmoid(x - y)),
    "discopop": soft(discopop),
    "sppo_hard": lambda c, r, b, p: (
        p * ((ratio(c) - 0.5 / b) ** 2 + (ratio(r) + 0.5 / b) ** 2)
        + (1 - p) * ((ratio(r) - 0.5 / b) ** 2 + (ratio(c) + 0.5 / b) ** 2)
    ),
    "hinge": lambda c, r, b, p: hinge(b * (ratio(c) - ratio(r)), p),
    "ipo": lambda c, r, b, p: square(mean(c, ratio) - mean(r, ratio), b, p),
    "ipo_sum": lambda c, r, b, p: square(ratio(c) - ratio(r), b, p),
    "cpl": lambda c, r, b, p: cpl(b * c.log_prob, b * r.log_prob, p),
    "cpl_kl": lambda c, r, b, p: cpl(b * ratio(c), b * ratio(r), p),
    "rpo": lambda c, r, b, p: logistic(b * (ratio(c) - ratio(r)), p) - 0.2 * both(token, c, r, p),
    "tdpo1": lambda c, r, b, p: logistic(
        b * (ratio(c) - ratio(r) - (r.divergence - c.divergence)), p
    ),
    "tdpo2": tdpo2,
    "slic": lambda c, r, b, p: hinge(c.log_prob - r.log_prob, p) + b * both(nll, c, r, p),
    "orpo": lambda c, r, b, p: b * logistic(log_odds(c) - log_odds(r), p) - both(token, c, r, p),
    "simpo": lambda c, r, b, p: (
        p * softplus(-b * (token(c) - token(r) - 0.5))
        + (1 - p) * softplus(-b * (token(r) - token(c) - 0.5))
    ),
    "sft": lambda c, r, b, p: -both(token, c, r, p),
}
OPTIONS = {"cpl": {"bias": 0.5}, "cpl_kl": {"bias": 0.5}}


@jax.jit
def every(chosen, rejected, beta, p_first):
    """All losses, `[losses, B]`."""
    return jnp.stack(
        [
            policies.pairwise(
                name, chosen, rejected, beta, p_first=p_first, **OPTIONS.get(name, {})
            )
            for name in PAIRWISE
        ]
    )


@jax.jit
def slopes(chosen, rejected, beta, p_first):
    """Derivatives of all losses in each log-probability, `[losses, B]`: samples do not mix."""
    f = lambda x, y: every(
        chosen._replace(log_prob=x), rejected._replace(log_prob=y), beta, p_first
    )
    at = chosen.log_prob, rejected.log_prob
    one, zero = jnp.ones_like(at[0]), jnp.zeros_like(at[0])
    return jax.jvp(f, at, (one, zero))[1], jax.jvp(f, at, (zero, one))[1]


def defined(chosen, rejected, beta, p_first):
    chosen, rejected = (
        Completion(*(np.asarray(x, np.float64) for x in completion))
        for completion in (chosen, rejected)
    )
    p = np.asarray(p_first, np.float64)
    return np.stack([DEFINITIONS[name](chosen, rejected, beta, p) for name in PAIRWISE])


def completions(x):
    x = jnp.asarray(x, jnp.float32)
    return Completion(x[0], x[1], x[2], x[3])


def test_all_are_defined_here():
    assert list(DEFINITIONS) == list(PAIRWISE)


log_prob = st.floats(-8, -0.125, width=32)
numbers = st.tuples(log_prob, log_prob, st.integers(1, 6), st.floats(0, 2, width=32))


@settings(deadline=None, max_examples=40)
@given(numbers, numbers, st.floats(0.0625, 2, width=32), st.floats(0, 1, width=32))
def test_definition(chosen, rejected, beta, p_first):
    pair = completions(np.array(chosen)[:, None]), completions(np.array(rejected)[:, None])
    arguments = *pair, beta, jnp.full(1, p_first)
    np.testing.assert_allclose(every(*arguments), defined(*arguments), rtol=2e-5, atol=2e-5)


# log-probability, reference's, tokens, divergence: equal pairs, none, certain, hopeless ones
EXTREME = np.float32(
    [
        [[0, -1e4, -1e4, 0, -3, -1e4, 0], [0, 0, -1e4, -1e4, -3, 0, 0], [0, 4, 4, 4, 2, 1, 1]],
        [[0, 0, -1e4, -1e4, -3, -1e4, -1e4], [0, 0, -1e4, 0, -3, 0, 0], [0, 0, 1, 4, 2, 1, 1]],
    ]
)


@pytest.mark.parametrize("p_first", (1.0, 0.5, 0.0))
@pytest.mark.parametrize("beta", (0.1, 3.0))
def test_extremes_are_finite(beta, p_first):
    divergence = np.float32([0, 1e4, 0, 0, 0, 1e4, 0])
    chosen, rejected = (completions([*x, divergence]) for x in EXTREME)
    arguments = chosen, rejected, beta, jnp.full(7, p_first)
    np.testing.assert_allclose(every(*arguments), defined(*arguments), rtol=1e-4, atol=1e-3)
    for slope in slopes(*arguments):
        assert np.all(np.isfinite(slope))


PAIR = tuple(
    completions(jnp.concatenate([-1 - jax.random.uniform(k, (2, 5)), jnp.array([[3, 1, 4, 2, 2],
    [0.3, 0.1, 0.0, 0.4, 0.2]])])) for k in jax.random.split(jax.random.key(0))
)  # fmt: skip
P_FIRST = jnp.array([1.0, 0.0, 0.5, 0.3, 0.9])


def test_a_swapped_pair_is_the_same_pair():
    chosen, rejected = PAIR
    np.testing.assert_allclose(
        every(chosen, rejected, 0.3, P_FIRST), every(rejected, chosen, 0.3, 1 - P_FIRST), rtol=1e-5
    )


def test_soft_labels_are_means_of_hard_ones():
    yes, no = (np.asarray(every(*PAIR, 0.3, jnp.full(5, p))) for p in (1.0, 0.0))
    expected = np.asarray(P_FIRST) * yes + np.asarray(1 - P_FIRST) * no
    np.testing.assert_allclose(every(*PAIR, 0.3, P_FIRST), expected, rtol=1e-5, atol=1e-6)


def test_slopes_at_the_reference():
    """Where the policy is its reference, each loss pulls the pair apart as its formula says."""
    beta, equal = 0.2, PAIR[0]._replace(ref_log_prob=PAIR[0].log_prob)
    up, down = slopes(equal, equal, beta, jnp.ones(5))
    expected = dict.fromkeys(("sigmoid", "tdpo1", "tdpo2"), -beta / 2)
    expected |= {"hinge": -beta, "ipo_sum": -1 / beta, "robust": -beta * (0.5 + 0.2 / 0.6)}
    expected |= {"cdpo": -beta * (0.5 - 0.2), "exo_pair": -beta * np.log(999.0) / 4}
    slope = (5 * (1 - np.log(2)) - 0.75) * beta  # the wrong way
    expected |= {"discopop": slope}
    alone = {"nca_pair": (-beta / 4, beta / 4), "bco_pair": (-beta / 2, beta / 2)}
    alone |= {"apo_zero": (-beta / 4, beta / 4), "apo_down": (0.0, beta / 4)}
    alone |= {"sppo_hard": (-1 / beta, 1 / beta)}
    for i, name in enumerate(PAIRWISE):
        if name in expected:
            np.testing.assert_allclose(up[i], np.full(5, expected[name]), rtol=1e-5)
            np.testing.assert_allclose(down[i], -up[i], rtol=1e-5)
        if name in alone:
            np.testing.assert_allclose(up[i], np.full(5, alone[name][0]), rtol=1e-5, atol=1e-7)
            np.testing.assert_allclose(down[i], np.full(5, alone[name][1]), rtol=1e-5)
        assert np.all(up[i] < 0) or name in ("apo_down", "discopop")


def test_only_some_look_at_the_reference():
    chosen, rejected = PAIR
    other = chosen._replace(ref_log_prob=chosen.ref_log_prob - 1)
    same = np.isclose(every(*PAIR, 0.3, P_FIRST), every(other, rejected, 0.3, P_FIRST)).all(-1)
    assert {name for name, x in zip(PAIRWISE, same, strict=True) if x} == set(WITHOUT_REFERENCE)


def test_the_reference_does_not_learn():
    loss = lambda x: every(PAIR[0]._replace(ref_log_prob=x), PAIR[1], 0.3, P_FIRST).sum()
    assert not np.any(jax.grad(loss)(PAIR[0].ref_log_prob))


def test_padding_changes_nothing():
    key = jax.random.key(1)
    x, mask = -jax.random.uniform(key, (2, 3, 4)), jnp.array([[1, 1, 1, 1], [0, 1, 1, 0], [0] * 4])
    longer = jnp.pad(x, ((0, 0), (0, 0), (1, 2)), constant_values=jnp.nan)
    short = policies.completion(*x, mask)
    long = policies.completion(*longer, jnp.pad(mask, ((0, 0), (1, 2))))
    jax.tree.map(np.testing.assert_array_equal, short, long)
    np.testing.assert_allclose(short.log_prob, (x[0] * mask).sum(-1), rtol=1e-6)
    np.testing.assert_array_equal(short.num_tokens, [4, 2, 0])
    assert short.mean_log_prob[2] == short.mean_log_ratio[2] == 0
    slope = jax.grad(lambda y: policies.completion(y, longer[1], jnp.pad(mask, ((0, 0), (1, 2))))
                     .log_ratio.sum())(longer[0])  # fmt: skip
    np.testing.assert_array_equal(slope, jnp.pad(mask, ((0, 0), (1, 2))))


# Losses that rank the pairs of a batch -------------------------------------------------------


def ranked(name, chosen, rejected, beta, p):
    """In float64, by counting how many of the batch are smaller."""
    c, r = (Completion(*(np.asarray(x, np.float64) for x in y)) for y in (chosen, rejected))
    if name == "aot":
        sign = 2 * p - 1
        low = sorted(sign * (c.log_prob - r.log_prob))
        high = sorted(sign * (c.ref_log_prob - r.ref_log_prob))
    else:
        low = sorted(p * ratio(c) + (1 - p) * ratio(r))
        high = sorted(p * ratio(r) + (1 - p) * ratio(c))
    return [softplus(-beta * (a - b)) for a, b in zip(low, high, strict=True)]


@jax.jit
def every_ranked(chosen, rejected, beta, p_first):
    return {
        name: policies.pairwise(name, chosen, rejected, beta, p_first=p_first) for name in RANKED
    }


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.floats(0.0625, 2, width=32))
def test_ranks(seed, beta):
    draw = np.random.default_rng(seed)
    pair = [completions(np.float32([*-8 * draw.random((2, 5)), [2] * 5, [0] * 5])) for _ in "12"]
    p_first = np.float32(draw.choice([0, 0.3, 0.5, 1], 5))
    for name, found in every_ranked(*pair, beta, p_first).items():
        expected = ranked(name, *pair, beta, np.float64(p_first))
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_ranks_of_extremes():
    chosen, rejected = (completions([*x, np.zeros(7)]) for x in EXTREME)
    mean = lambda x, y, name: every_ranked(
        chosen._replace(log_prob=x), rejected._replace(log_prob=y), 3.0, jnp.ones(7)
    )[name].mean()
    for name in RANKED:
        value, slopes = jax.value_and_grad(mean, (0, 1))(chosen.log_prob, rejected.log_prob, name)
        np.testing.assert_allclose(
            value, np.mean(ranked(name, chosen, rejected, 3.0, 1.0)), rtol=1e-4
        )
        assert np.all(np.isfinite(slopes))


def test_ranks_are_laws_of_the_batch():
    """Swapped pairs are the same pairs; their order is none; one pair alone is DPO."""
    order = jnp.array([3, 1, 4, 0, 2])
    shuffled = jax.tree.map(lambda x: x[order], PAIR)
    found = every_ranked(*PAIR, 0.3, P_FIRST)
    for other in (
        every_ranked(*shuffled, 0.3, P_FIRST[order]),
        every_ranked(*PAIR[::-1], 0.3, 1 - P_FIRST),
    ):
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), found, other)
    alone = jax.tree.map(lambda x: x[:, None], PAIR)  # a batch each
    one = jnp.ones((5, 1))
    for name in RANKED:
        np.testing.assert_allclose(
            policies.pairwise(name, *alone, 0.3, p_first=one),
            policies.pairwise("sigmoid", *alone, 0.3, p_first=one),
            rtol=1e-5,
        )
    together = jax.tree.map(lambda x: jnp.stack([x, -x]), PAIR)
    batches = jax.vmap(lambda c, r: every_ranked(c, r, 0.3, P_FIRST))(*together)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x[0], y, rtol=1e-5), batches, found)


def test_vmap():
    alone = jax.vmap(lambda c, r, p: every(c, r, 0.3, p), out_axes=1)(*PAIR, P_FIRST)
    np.testing.assert_allclose(every(*PAIR, 0.3, P_FIRST), alone, rtol=1e-5)


def test_logged_numbers_are_rewards_of_dpo():
    chosen, rejected = PAIR
    log = metrics.pairs(
        chosen.log_prob, rejected.log_prob, chosen.log_ratio, rejected.log_ratio, 0.3
    )
    margin = 0.3 * (chosen.log_ratio - rejected.log_ratio)
    np.testing.assert_allclose(log["rewards/margins"], margin.mean(), rtol=1e-4)
    loss = policies.pairwise("sigmoid", chosen, rejected, 0.3)
    np.testing.assert_allclose(loss, softplus(-np.asarray(margin)), rtol=1e-5)


def test_messages():
    with pytest.raises(ValueError, match=r"Unknown loss 'sigmoidal'\. Did you mean 'sigmoid'"):
        policies.pairwise("sigmoidal", *PAIR)
    with pytest.raises(ValueError, match="form='total' must be one of mean, cumulative"):
        policies.pairwise("rpo", *PAIR, form="total")
    two = ("dpo", "ipo", "slic", "hinge", "orpo", "simpo", "cpl", "d3po", "mapl")
    two += ("exo_pair", "nca_pair", "bco_pair", "apo_zero", "apo_down", "discopop")
    two += ("aot", "aot_unpaired")
    for name in two:
        with pytest.raises(AssertionError, match=f"{name}: .* must be"):
            getattr(policies, name)(jnp.ones((3, 3)), jnp.ones(3))
    for name in ("tdpo1", "tdpo2"):
        with pytest.raises(AssertionError, match=f"{name}: rejected must be"):
            getattr(policies, name)(jnp.ones((3, 3)), jnp.ones(3), 0.0, 0.0)
