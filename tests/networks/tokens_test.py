"""Networks of tokens: what they may see, in one pass and token by token, and in half precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import networks
from rlax_pref.networks import _transformer

KEY = jax.random.key(0)
SYMBOLS, TOKENS, LENGTH = 7, 3, 4
PROMPT = jax.random.randint(jax.random.key(2), (2, 3, 2), TOKENS, SYMBOLS)
RESPONSE = jax.random.randint(jax.random.key(3), (2, 3, LENGTH), 0, TOKENS)
TOKEN_NETWORKS = {
    "transformer": networks.transformer(SYMBOLS, TOKENS, 2, LENGTH, width=8, num_heads=2),
    "mlp": networks.token_mlp(SYMBOLS, TOKENS, 2, LENGTH, width=8),
    "table": networks.token_table(SYMBOLS - TOKENS, TOKENS, LENGTH, TOKENS, order=3),
}


@pytest.fixture(scope="module", params=TOKEN_NETWORKS)
def spoken(request):
    """A network, parameters far from where they begin, and its outputs `[2, 3, L, K]`."""
    network = TOKEN_NETWORKS[request.param]
    leaves, structure = jax.tree.flatten(network.init(KEY))
    noise = [
        0.3 * jax.random.normal(jax.random.fold_in(KEY, i), x.shape) for i, x in enumerate(leaves)
    ]
    params = jax.tree.unflatten(structure, [x + y for x, y in zip(leaves, noise, strict=True)])
    apply = jax.jit(network.apply)
    return network._replace(apply=apply), params, apply(params, PROMPT, RESPONSE)


def test_token_by_token_equals_one_pass(spoken):
    network, params, expected = spoken

    @jax.jit
    def outputs(params):
        memory, output = network.start(params, PROMPT)
        found = [output]
        for t in range(LENGTH - 1):
            memory, output = network.step(params, memory, RESPONSE[..., t])
            found.append(output)
        return jnp.stack(found, axis=-2)

    np.testing.assert_allclose(outputs(params), expected, atol=1e-5)


def test_going_on_with_a_response_equals_one_pass(spoken):
    network, params, expected = spoken

    @jax.jit
    def outputs(num_kept):
        memory, output = network.start(params, PROMPT, RESPONSE, num_kept)
        token = jnp.take(RESPONSE, num_kept, axis=-1, mode="clip")
        return output, network.step(params, memory, token)[1]

    for num_kept in range(LENGTH - 1):
        for output, like in zip(outputs(num_kept), (num_kept, num_kept + 1), strict=True):
            np.testing.assert_allclose(output, expected[..., like, :], atol=1e-5)


def test_an_output_sees_the_tokens_before_it_and_no_other(spoken):
    network, params, before = spoken
    for t in range(LENGTH):
        changed = RESPONSE.at[..., t].set((RESPONSE[..., t] + 1) % TOKENS)
        after = network.apply(params, PROMPT, changed)
        np.testing.assert_array_equal(after[..., : t + 1, :], before[..., : t + 1, :])
        assert (after[..., t + 1 :, :] != before[..., t + 1 :, :]).any(-1).all()
    asked = network.apply(params, TOKENS + (PROMPT - TOKENS + 1) % 4, RESPONSE)
    assert (asked != before).any(-1).all()


def test_blanks_spoil_nothing_before_them(spoken):
    network, params, expected = spoken
    found = network.apply(params, PROMPT, RESPONSE.at[..., 2:].set(SYMBOLS))
    np.testing.assert_array_equal(found[..., :3, :], expected[..., :3, :])


def test_leading_axes_are_a_batch(spoken):
    network, params, expected = spoken
    alone = jax.vmap(jax.vmap(lambda *x: network.apply(params, *x)))(PROMPT, RESPONSE)
    np.testing.assert_allclose(alone, expected, atol=1e-5)


def test_gradients_reach_every_parameter_of_a_transformer():
    network = TOKEN_NETWORKS["transformer"]
    grads = jax.jit(jax.grad(lambda p: jnp.square(network.apply(p, PROMPT, RESPONSE)).sum()))(
        network.init(KEY)
    )
    for leaf in jax.tree.leaves(grads):
        assert np.isfinite(leaf).all() and np.any(leaf != 0)


def spoken_by(**kind):
    """Outputs, and gradients of their squares, of one set of parameters."""
    network = networks.transformer(SYMBOLS, TOKENS, 2, LENGTH, width=8, num_heads=2, **kind)

    @jax.jit
    def run(key):
        params = jax.tree.map(lambda x: x + 0.1, network.init(key))
        total = lambda params: jnp.square(network.apply(params, PROMPT, RESPONSE)).sum()
        return network.apply(params, PROMPT, RESPONSE), jax.grad(total)(params)

    return run(KEY)


def test_a_transformer_may_forget_what_it_can_make_again(monkeypatch):
    """Six responses, four at a time at most: values and gradients are the same."""
    monkeypatch.setattr(_transformer, "AT_ONCE", 4 * (2 + LENGTH))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        spoken_by(remat=True),
        spoken_by(),
    )


def test_a_transformer_that_forgets_needs_less_memory(monkeypatch):
    """What is kept for the gradient, and what the compiled program needs."""
    monkeypatch.setattr(_transformer, "AT_ONCE", 132)  # two responses

    def kept(remat):
        network = networks.transformer(SYMBOLS, TOKENS, 2, 64, width=8, num_heads=2, remat=remat)
        total = lambda params: network.apply(params, PROMPT[0, :1], jnp.zeros((1, 64), int)).sum()
        pull = jax.eval_shape(lambda p: jax.vjp(total, p)[1], jax.eval_shape(network.init, KEY))
        return sum(x.size for x in jax.tree.leaves(pull))

    assert kept(True) < kept(False) / 10

    def scratch(remat):
        network = networks.transformer(SYMBOLS, TOKENS, 2, 64, width=8, num_layers=1, remat=remat)
        prompt, response = jnp.zeros((16, 2), int), jnp.zeros((16, 64), int)
        total = lambda params: network.features(params, prompt, response).sum()
        program = jax.jit(jax.grad(total)).lower(jax.eval_shape(network.init, KEY)).compile()
        return program.memory_analysis().temp_size_in_bytes

    assert scratch(True) < scratch(False) / 4


def test_half_precision_computes_in_halves_and_counts_in_full():
    output, grads = spoken_by(dtype="bfloat16")
    expected, slopes = spoken_by()
    assert output.dtype == jnp.float32
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(grads))
    assert 0 < np.abs(output - expected).max() < 0.03 * np.abs(expected).max()
    flat = lambda tree: np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
    assert np.linalg.norm(flat(grads) - flat(slopes)) < 0.03 * np.linalg.norm(flat(slopes))


def test_statistics_of_half_precision_are_float32():
    """Sums, powers of e and roots; products of matrices and the memory of tokens are halves."""
    network = networks.transformer(
        SYMBOLS, TOKENS, 2, LENGTH, width=8, num_heads=2, dtype="bfloat16"
    )
    params = jax.eval_shape(network.init, KEY)
    memory, output = jax.eval_shape(network.start, params, PROMPT)
    assert {x.dtype for x in (*memory.keys, *memory.values)} == {jnp.dtype("bfloat16")}
    assert output.dtype == jnp.float32
    text = jax.jit(network.apply).lower(params, PROMPT, RESPONSE).as_text()
    full = ("exponential", "reduce", "rsqrt")
    lines = [x for x in text.splitlines() if any(f"stablehlo.{name}" in x for name in full)]
    assert len(lines) > 6 and not any("bf16" in line for line in lines)
    products = [x for x in text.splitlines() if "stablehlo.dot_general" in x]
    assert len(products) > 6 and all("bf16" in line for line in products)


def test_a_new_network_hardly_prefers_anything():
    for network in TOKEN_NETWORKS.values():
        logits = jax.jit(lambda n=network: n.apply(n.init(KEY), PROMPT, RESPONSE))()
        np.testing.assert_allclose(jax.nn.softmax(logits), 1 / TOKENS, atol=0.02)


def test_a_table_is_read_where_it_says():
    """By prompt, position and the last tokens, the latest of them being the lowest digit."""
    network = networks.token_table(2, 3, 4, 5, order=2)
    table = jax.random.normal(KEY, (2, 4, 9, 5))
    found = network.apply({"table": table}, jnp.array([4]), jnp.array([2, 0, 1, 2]))
    by_hand = [table[1, 0, 0], table[1, 1, 2], table[1, 2, 3 * 2 + 0], table[1, 3, 3 * 0 + 1]]
    np.testing.assert_array_equal(found, np.stack(by_hand))
    assert network.init(KEY)["table"].shape == (2, 4, 9, 5)


def test_token_networks_say_what_is_wrong():
    with pytest.raises(ValueError, match="width=10 must be a multiple of num_heads=4"):
        networks.transformer(3, 3, 1, 2, width=10)
    with pytest.raises(ValueError, match="transformer: dtype='half' must be one of float32"):
        networks.transformer(3, 3, 1, 2, dtype="half")
    for name, network in TOKEN_NETWORKS.items():
        with pytest.raises(AssertionError, match="response must have at most max_length"):
            network.apply(network.init(KEY), PROMPT, jnp.zeros((2, 3, LENGTH + 1), int)), name
