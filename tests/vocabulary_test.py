"""Laws over large vocabularies: the plain formulas, chunk by chunk, in little memory."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import networks, sampling, vocabulary
from rlax_pref.vocabulary import Head

N, D, V = 13, 5, 37
KEYS = jax.random.split(jax.random.key(0), 8)
X = jax.random.normal(KEYS[0], (N, D))
HEAD = Head(jax.random.normal(KEYS[1], (D, V)), jax.random.normal(KEYS[2], (V,)))
Y = jax.random.normal(KEYS[3], (N, D + 1))
ANCHOR = Head(jax.random.normal(KEYS[4], (D + 1, V)), jax.random.normal(KEYS[5], (V,)))
TOKEN = jax.random.randint(KEYS[6], (N,), 0, V)
TEMPERATURE = jnp.linspace(0.5, 2.0, N)
WEIGHT = jax.random.normal(KEYS[7], (2, N))
SIZES = [(4, 8), (13, 37), (1, 1), (100, 100), (5, 36)]


def logits(x, head):
    return x @ head.kernel + head.bias[None]


def plain_law(x, head, temperature):
    return sampling.token_law(logits(x, head), TOKEN, temperature)


def plain_kl(x, head):
    log_p, log_q = (jax.nn.log_softmax(z) for z in (logits(x, head), logits(Y, ANCHOR)))
    return (jnp.exp(log_p) * (log_p - log_q)).sum(-1)


def weighed(function, *args):
    log_prob, entropy = function(*args)
    return (WEIGHT[0] * log_prob + WEIGHT[1] * entropy).sum()


def assert_close(a, b, scale=1.0):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=2e-5 * scale), a, b)


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_law_and_gradients_are_the_plain_ones(rows, columns):
    chunked = lambda x, head, temperature: vocabulary.token_law(
        x, head, TOKEN, temperature, rows=rows, columns=columns
    )
    expected, found = plain_law(X, HEAD, TEMPERATURE), chunked(X, HEAD, TEMPERATURE)
    assert_close(found, expected)
    gradient = lambda f: jax.jit(jax.grad(partial(weighed, f), (0, 1, 2)))(X, HEAD, TEMPERATURE)
    assert_close(gradient(chunked), gradient(plain_law))


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_divergence_and_gradients_are_the_plain_ones(rows, columns):
    chunked = lambda x, head: vocabulary.kl(x, head, Y, ANCHOR, rows=rows, columns=columns)
    assert_close(chunked(X, HEAD), plain_kl(X, HEAD))
    gradient = lambda f: jax.jit(jax.grad(lambda x, h: (WEIGHT[0] * f(x, h)).sum(), (0, 1)))(
        X, HEAD
    )
    assert_close(gradient(chunked), gradient(plain_kl))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.sampled_from([1.0, 30.0, 1e4]))
def test_against_float64(seed, size):
    """At ordinary and extreme logits."""
    x = size * np.random.default_rng(seed).normal(size=(N, D)).astype(np.float32)
    log_prob, entropy = law(jnp.asarray(x))
    z = np.asarray(logits(x, HEAD), np.float64)
    log_p = z - z.max(-1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
    expected = log_p[np.arange(N), TOKEN]
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5, atol=2e-5 * size)
    expected = -(np.exp(log_p) * log_p).sum(-1)
    np.testing.assert_allclose(entropy, expected, rtol=1e-3, atol=2e-6 * size + 1e-5)


law = jax.jit(lambda x: vocabulary.token_law(x, HEAD, TOKEN, rows=4, columns=8))


def test_extreme_logits_have_finite_gradients():
    gradient = jax.grad(lambda x: weighed(lambda x: law(x), x))(1e4 * X)
    assert bool(jnp.isfinite(gradient).all())
    far = Head(1e4 * ANCHOR.kernel, ANCHOR.bias)
    gradient = jax.grad(lambda x: vocabulary.kl(x, HEAD, Y, far, rows=4, columns=8).sum())(X)
    assert bool(jnp.isfinite(gradient).all())


def test_divergence_of_a_law_from_itself():
    same = vocabulary.kl(X, HEAD, X, HEAD, rows=4, columns=8)
    np.testing.assert_allclose(same, 0.0, atol=1e-5)
    gradient = jax.grad(lambda x: vocabulary.kl(x, HEAD, X, HEAD, rows=4, columns=8).sum())(X)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-5)


def test_vmap_and_any_leading_axes():
    x, token = X[:12].reshape(3, 4, D), TOKEN[:12].reshape(3, 4)
    whole = vocabulary.token_law(x, HEAD, token, rows=4, columns=8)
    each = jax.vmap(lambda x, token: vocabulary.token_law(x, HEAD, token, rows=4, columns=8))
    assert_close(whole, each(x, token))
    assert whole[0].shape == (3, 4)


def test_half_precision_features_are_summed_in_full():
    found, _ = vocabulary.token_law(X.astype(jnp.bfloat16), HEAD, TOKEN, rows=4, columns=8)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, plain_law(X, HEAD, 1.0)[0], atol=0.1)
    gradient = jax.grad(lambda x: vocabulary.token_law(x, HEAD, TOKEN)[0].sum())
    assert gradient(X.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_memory_does_not_grow_with_the_vocabulary():
    """Beside the gradients themselves, less than a tenth of what the plain form takes."""
    num, width, size = 512, 8, 8192
    x, token = jnp.zeros((num, width)), jnp.zeros(num, jnp.int32)
    head = Head(jnp.zeros((width, size)), jnp.zeros(size))

    def scratch(function):
        loss = lambda x, head: sum(part.sum() for part in function(x, head))
        program = jax.jit(jax.grad(loss, (0, 1))).lower(x, head).compile()
        return program.memory_analysis().temp_size_in_bytes

    plain = scratch(lambda x, head: sampling.token_law(logits(x, head), token))
    chunked = scratch(lambda x, h: vocabulary.token_law(x, h, token, rows=128, columns=512))
    assert chunked < plain / 10


def test_messages():
    with pytest.raises(AssertionError, match=r"features must be \[..., D\]"):
        vocabulary.token_law(X[:, :-1], HEAD, TOKEN)
    with pytest.raises(AssertionError, match=r"the bias must be \[V\]"):
        vocabulary.token_law(X, HEAD._replace(bias=HEAD.bias[:-1]), TOKEN)
    with pytest.raises(AssertionError, match="heads of one size"):
        vocabulary.kl(X, HEAD, Y, jax.tree.map(lambda x: x[..., :-1], ANCHOR))


def test_a_policy_with_a_large_vocabulary_never_makes_all_logits(monkeypatch):
    """And gives the same numbers as one that does, at any temperature."""
    network = networks.transformer(V + 3, V, 2, 4, width=8, num_layers=1, num_heads=2)
    params = network.init(jax.random.key(0))
    prompt, response = jnp.array([[V, V + 1]] * 3), TOKEN[:12].reshape(3, 4)
    ask = lambda temperature: sampling.log_prob(network, params, prompt, response, temperature)
    expected = [ask(0.7), ask(0.0)]
    monkeypatch.setattr(vocabulary, "LARGE", V)
    blind = network._replace(apply=None)
    for temperature, (log_prob, entropy) in zip((0.7, 0.0), expected, strict=True):
        found = sampling.log_prob(blind, params, prompt, response, temperature)
        assert_close(found, (log_prob, entropy))
