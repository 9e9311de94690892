"""The Decision Transformer's network: what it reads, and what it may see."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import networks

K, D = 5, 2


@pytest.fixture(scope="module")
def apply():
    """`apply(input) -> [K, 3]`, of a network whose outputs depend on what it reads."""
    network = networks.decision_transformer(3, 9, width=8, num_layers=2, num_heads=2)
    params = jax.jit(network.init)(jax.random.key(0), example())
    noise = jax.random.normal(jax.random.key(1), (10_000,))
    params = jax.tree.map(lambda p: p + 0.3 * noise[: p.size].reshape(p.shape), params)
    return jax.jit(partial(network.apply, params))


def example(num=K):
    keys = jax.random.split(jax.random.key(2), 3)
    return (
        jax.random.normal(keys[0], (K,))[:num],
        jax.random.normal(keys[1], (K, D))[:num],
        jax.random.normal(keys[2], (K, 3))[:num],
        jnp.arange(2, 2 + K)[:num],
    )


TO_GO, OBS, ACTION, TIME = range(4)


@pytest.mark.parametrize("kind", [TO_GO, OBS, ACTION])
def test_an_action_follows_from_what_came_before_it_alone(apply, kind):
    """Neither the action itself nor anything later; but the return to go and the state do."""
    x = example()
    before = apply(x)
    for t in range(K):
        changed = list(x)
        changed[kind] = x[kind].at[t].add(1.0)
        differs = np.any(np.abs(apply(tuple(changed)) - before) > 1e-4, axis=-1)
        first = t + 1 if kind == ACTION else t
        np.testing.assert_array_equal(differs, np.arange(K) >= first)


def test_padding_changes_nothing(apply):
    """Whatever it is."""
    short = apply(example(2))
    padded = jax.tree.map(lambda x: x.at[2:].set(7), example())
    np.testing.assert_allclose(apply(padded)[:2], short, atol=1e-5)


def test_times_beyond_the_table_count_as_the_last(apply):
    to_go, obs, action, _ = example()
    at = lambda time: apply((to_go, obs, action, jnp.full(K, time)))
    np.testing.assert_array_equal(at(8), at(100))
    assert np.abs(at(8) - at(7)).max() > 1e-3


def test_outputs_go_through_grad_and_vmap(apply):
    many = jax.tree.map(lambda x: jnp.stack([x, x + 1]), example())
    np.testing.assert_allclose(apply(many)[0], apply(example()), atol=1e-5)
    np.testing.assert_allclose(jax.vmap(apply)(many), apply(many), atol=1e-5)
    slope = jax.grad(lambda to_go: apply((to_go, *example()[1:]))[2].sum())(example()[0])
    assert np.all(slope[:3] != 0) and not np.any(slope[3:])


def test_dropout_leaves_out_by_a_key_and_nothing_without_one():
    """At the same parameters; of the stream's beginning, of attention and of what layers add."""
    make = partial(networks.decision_transformer, 3, 9, width=8, num_layers=1, num_heads=2)
    plain, drops = make(), make(dropout=0.5)
    params = jax.tree.map(lambda x: x + 0.1, plain.init(jax.random.key(0), example()))
    whole = jax.jit(plain.apply)(params, example())
    np.testing.assert_array_equal(jax.jit(drops.apply)(params, example()), whole)
    by_key = jax.jit(lambda key: drops.apply(params, (*example(), key)))
    one, same, other = (by_key(jax.random.key(i)) for i in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.all(one != other) and np.all(one != whole)
    keyed = plain.apply(params, (*example(), jax.random.key(1)))
    np.testing.assert_allclose(keyed, whole, rtol=1e-5)


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match="width=7 must be a multiple of num_heads=2"):
        networks.decision_transformer(1, 9, width=7, num_heads=2)
