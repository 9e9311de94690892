"""Networks: shapes, scales, and the laws they return."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rlax_pref import networks
from rlax_pref.types import Box, Discrete

KEY = jax.random.key(0)
OBS = jax.random.normal(jax.random.key(1), (5, 3))


def test_shapes():
    network = networks.mlp((8, 8), 4)
    params = network.init(KEY, OBS)
    assert network.apply(params, OBS).shape == (5, 4)
    assert network.apply(params, OBS[0]).shape == (4,)
    value = networks.value((8,))
    assert value.apply(value.init(KEY, OBS), OBS).shape == (5,)


def test_equals_a_forward_pass_by_hand():
    network = networks.mlp((4,), 2, activation="relu")
    params = network.init(KEY, OBS)
    first, last = params["Dense_0"], params["Dense_1"]
    hidden = np.maximum(np.asarray(OBS @ first["kernel"] + first["bias"]), 0)
    by_hand = hidden @ np.asarray(last["kernel"]) + np.asarray(last["bias"])
    np.testing.assert_allclose(network.apply(params, OBS), by_hand, atol=1e-5)


def test_first_policy_hardly_depends_on_what_it_sees():
    network = networks.policy(Discrete(3), (64, 64))
    law = network.apply(network.init(KEY, OBS), OBS)
    np.testing.assert_allclose(law.probs, 1 / 3, atol=0.02)


def test_gaussian_policy_has_the_density_it_says():
    network = networks.policy(Box(-2.0, 2.0, (2,)), (8,))
    params = network.init(KEY, OBS) | {"log_std": jnp.array([0.3, -0.7])}
    law = network.apply(params, OBS)
    action = law.sample(seed=KEY)
    mean, std = np.asarray(law.mode()), np.exp([0.3, -0.7])
    expected = stats.norm.logpdf(np.asarray(action), mean, std).sum(-1)
    np.testing.assert_allclose(law.log_prob(action), expected, rtol=1e-5)
    np.testing.assert_allclose(law.entropy(), stats.norm.entropy(scale=std).sum(), rtol=1e-5)


def test_actions_reach_the_environment_in_its_units():
    box = Box(-1.0, 3.0, (1,))
    action = jnp.array([[-9.0], [-1.0], [0.0], [1.0], [9.0]])
    np.testing.assert_allclose(networks.to_env(box, action)[:, 0], [-1, -1, 1, 3, 3])
    assert networks.to_env(Discrete(4), jnp.int32(2)) == 2


def test_under_jit_vmap_and_grad():
    """A batch of networks is each network, and gradients reach every parameter."""
    network = networks.actor_critic(Discrete(2), (8,))
    keys = jax.random.split(KEY, 3)
    params = jax.vmap(network.init, (0, None))(keys, OBS)

    def total(params):
        law, v = network.apply(params, OBS)
        return law.log_prob(jnp.zeros(5, jnp.int32)).sum() + v.sum()

    together = jax.jit(jax.vmap(total))(params)
    alone = [total(jax.tree.map(lambda x: x[i], params)) for i in range(3)]  # noqa: B023
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    grads = jax.grad(total)(jax.tree.map(lambda x: x[0], params))
    assert all(bool(jnp.any(g != 0)) for g in jax.tree.leaves(grads))


def test_wrong_action_space():
    with pytest.raises(ValueError, match=r"must have shape \[A\]"):
        networks.policy(Box(-1.0, 1.0, (2, 2)), (8,))
