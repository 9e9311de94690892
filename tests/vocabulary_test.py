"""Laws over large vocabularies: the plain formulas, chunk by chunk, in little memory."""

import os
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.extend.core import jaxprs_in_params
from jax.interpreters import partial_eval as pe

from rlax_pref import agents, envs, networks, policies, reading, vocabulary
from rlax_pref.policies._tdpo import RISKS
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


def plain_law(x, head, temperature):
    return reading.token_law(vocabulary.logits(x, head), TOKEN, temperature)


def plain_kl(x, head):
    log_p, log_q = (
        jax.nn.log_softmax(z) for z in (vocabulary.logits(x, head), vocabulary.logits(Y, ANCHOR))
    )
    return (jnp.exp(log_p) * (log_p - log_q)).sum(-1)


def weighed(function, *args):
    law = function(*args)
    return (WEIGHT[0] * law.log_prob + WEIGHT[1] * law.entropy).sum()


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
    found = law(jnp.asarray(x))
    z = np.asarray(vocabulary.logits(x, HEAD), np.float64)
    log_p = z - z.max(-1, keepdims=True)
    log_p -= np.log(np.exp(log_p).sum(-1, keepdims=True))
    expected = log_p[np.arange(N), TOKEN]
    np.testing.assert_allclose(found.log_prob, expected, rtol=1e-5, atol=2e-5 * size)
    expected = -(np.exp(log_p) * log_p).sum(-1)
    np.testing.assert_allclose(found.entropy, expected, rtol=1e-3, atol=2e-6 * size + 1e-5)


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
    assert whole.log_prob.shape == (3, 4)


def test_half_precision_features_are_summed_in_full():
    found = vocabulary.token_law(X.astype(jnp.bfloat16), HEAD, TOKEN, rows=4, columns=8).log_prob
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, plain_law(X, HEAD, 1.0).log_prob, atol=0.1)
    gradient = jax.grad(lambda x: vocabulary.token_law(x, HEAD, TOKEN).log_prob.sum())
    assert gradient(X.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_memory_does_not_grow_with_the_vocabulary():
    """Beside the gradients themselves, less than a tenth of what the plain form takes."""
    num, width, size = 512, 8, 8192
    x, token = jnp.zeros((num, width)), jnp.zeros(num, jnp.int32)
    head = Head(jnp.zeros((width, size)), jnp.zeros(size))

    def scratch(function):
        loss = lambda x, head: sum(part.sum() for part in function(x, head)[:2])
        program = jax.jit(jax.grad(loss, (0, 1))).lower(x, head).compile()
        return program.memory_analysis().temp_size_in_bytes

    plain = scratch(lambda x, h: reading.token_law(vocabulary.logits(x, h), token))
    chunked = scratch(lambda x, h: vocabulary.token_law(x, h, token, rows=128, columns=512))
    assert chunked < plain / 10


def test_messages():
    with pytest.raises(AssertionError, match=r"features must be \[..., D\]"):
        vocabulary.token_law(X[:, :-1], HEAD, TOKEN)
    with pytest.raises(AssertionError, match=r"the bias must be \[V\]"):
        vocabulary.token_law(X, HEAD._replace(bias=HEAD.bias[:-1]), TOKEN)
    with pytest.raises(AssertionError, match="heads of one size"):
        vocabulary.kl(X, HEAD, Y, jax.tree.map(lambda x: x[..., :-1], ANCHOR))


def test_the_likeliest_token_is_the_first_of_equals():
    x, head = jnp.ones((V, 1)), Head(jnp.zeros((1, V)), jnp.zeros(V).at[jnp.array([9, 30])].set(1))
    for columns in (8, V):
        found = vocabulary.token_law(x, head, jnp.arange(V), rows=4, columns=columns)
        np.testing.assert_array_equal(found.likeliest, jnp.arange(V) == 9)
        np.testing.assert_allclose(found.mean_output, 2 / V, rtol=1e-5)


# Whole laws, a few rows at a time -----------------------------------------------------------


def risk_of(name, x, y):
    one = jnp.ones((*x.shape[:-1], 1))
    return policies.sequential_divergence(x[..., None, :], y[..., None, :], one, name, level=0.4)


@pytest.mark.parametrize("name", RISKS)
def test_risks_and_gradients_are_the_plain_ones(name):
    risk = partial(risk_of, name)
    plain = lambda x, h: risk(vocabulary.logits(x, h), vocabulary.logits(Y, ANCHOR))
    some = lambda x, h: vocabulary.over_rows(risk, (x, Y), (h, ANCHOR), numbers=4 * V)
    gradient = lambda f: jax.jit(jax.value_and_grad(lambda x, h: WEIGHT[0] @ f(x, h), (0, 1)))
    assert_close(gradient(some)(X, HEAD), gradient(plain)(X, HEAD))
    each = jax.vmap(lambda x, y: vocabulary.over_rows(risk, (x, y), (HEAD, ANCHOR)))
    assert_close(each(X[:, None], Y[:, None])[:, 0], plain(X, HEAD))


def test_gradients_of_rounded_heads_are_summed_in_full():
    """4,000 equal rows: sums in bfloat16 would stop growing at 256 of them."""
    x, head = jnp.ones((4000, 1)), Head(jnp.zeros((1, V), jnp.bfloat16), jnp.zeros(V))
    total = lambda head: vocabulary.over_rows(lambda z: z[:, 0], (x,), (head,), numbers=V).sum()
    np.testing.assert_allclose(jax.grad(total)(head).kernel[0, 0], 4000, rtol=0.01)


# Policies and agents ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_policy_with_a_large_vocabulary_never_makes_all_logits(dtype, monkeypatch):
    """And gives the same numbers as one that does, at any temperature."""
    network = networks.transformer(V + 3, V, 2, 4, width=8, num_layers=1, num_heads=2, dtype=dtype)
    params, other = map(jax.jit(network.init), KEYS[:2])
    prompt, response = jnp.array([[V, V + 1]] * 3), TOKEN[:12].reshape(3, 4)
    read = lambda temperature: reading.law(network, params, prompt, response, temperature)
    risk = partial(risk_of, "cvar")
    compare = lambda: reading.compare(risk, network, params, other, prompt, response)
    everything = lambda: jax.jit(lambda: (read(0.7), read(0.0), compare()))()
    expected = everything()
    monkeypatch.setattr(vocabulary, "LARGE", V)
    network = network._replace(apply=None)
    assert_close(everything(), expected, scale=1.0 if dtype == "float32" else 100.0)


LOCK = envs.make("token_lock", num_prompts=2, max_length=3, num_tokens=V, critical=(1,))
SMALL = dict(width=4, num_layers=1, num_heads=1, num_envs=4, learning_rate=0.01)
PAIRS = dict(batch_size=4, num_judged=1)
AGENTS = {
    "dpo": PAIRS,
    "kto": PAIRS,
    "ra_dpo": PAIRS,
    "grpo": dict(kl="k3", entropy_weight=0.1, group_size=2),
    "token_ppo": dict(group_size=2),
    "bc": PAIRS,
}


def shapes_in(jaxpr):
    """Of all that is computed, within loops too."""
    for equation in jaxpr.eqns:
        yield from (x.aval.shape for x in equation.outvars)
        for inner in jaxprs_in_params(equation.params):
            yield from shapes_in(inner)


@pytest.mark.parametrize("name", AGENTS)
def test_agents_never_make_all_logits(name, monkeypatch):
    """Not of all tokens of a response; and do, where the vocabulary is small."""

    def made():
        agent = agents.make(name, LOCK, SMALL | AGENTS[name])
        step, _ = jax.make_jaxpr(agent.step, return_shape=True)(
            jax.eval_shape(agent.init, jax.random.key(0))
        )
        step, _ = pe.dce_jaxpr(step.jaxpr, [True] * len(step.jaxpr.outvars))
        return any(shape[-2:] == (LOCK.max_length, V) for shape in shapes_in(step))

    assert made()
    monkeypatch.setattr(vocabulary, "LARGE", V)
    assert not made()


@pytest.mark.skipif("RLAX_PREF_SLOW" not in os.environ, reason="a minute; set RLAX_PREF_SLOW=1")
@pytest.mark.parametrize("name", ["ra_dpo", "grpo"])
def test_a_step_is_the_same_in_chunks(name, monkeypatch):
    """Parameters and reports of whole agents, after two steps."""

    def steps():
        agent = agents.make(name, LOCK, SMALL | AGENTS[name])

        @jax.jit
        def run(key):
            after, _ = agent.step(agent.init(key))
            after, metrics = agent.step(after)
            return after.learner, metrics

        return run(jax.random.key(0))

    expected = steps()
    monkeypatch.setattr(vocabulary, "LARGE", V)
    assert_close(steps(), expected)
