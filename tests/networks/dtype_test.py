"""Perceptrons, critics, bounded policies and trajectories in half precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import networks
from rlax_pref.types import Discrete

KEY = jax.random.key(0)
OBS, TAU = jax.random.normal(KEY, (5, 3)), jnp.linspace(0.1, 0.9, 4)
STEPS = (OBS[:, 0], OBS, OBS[:, :2], jnp.arange(5))
NETWORKS = {
    "action_value": (lambda **kind: networks.action_value((8,), **kind), (OBS, OBS[:, :2])),
    "squashed_policy": (lambda **kind: networks.squashed_policy(2, (8,), **kind), OBS),
    "dueling": (lambda **kind: networks.dueling((8,), 3, num_atoms=2, stream=4, **kind), OBS),
    "implicit_quantiles": (
        lambda **kind: networks.implicit_quantiles((8,), 3, **kind),
        (OBS, jnp.broadcast_to(TAU, (5, 4))),
    ),
    "decision_transformer": (
        lambda **kind: networks.decision_transformer(
            2, 9, width=8, num_layers=1, mlp_embeddings=True, mlp_head=True, **kind
        ),
        STEPS,
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_and_outputs_are_as_ever(name):
    make, x = NETWORKS[name]
    full, half = make(), make(dtype="bfloat16")
    params = jax.jit(full.init)(KEY, x)
    kinds = jax.tree.map(lambda x: x.dtype, (params, jax.eval_shape(full.apply, params, x)))
    begun = jax.eval_shape(half.init, KEY, x)
    found = jax.tree.map(lambda x: x.dtype, (begun, jax.eval_shape(half.apply, params, x)))
    assert found == kinds
    program = jax.jit(half.apply).lower(params, x).as_text()
    products = [line for line in program.splitlines() if "stablehlo.dot_general" in line]
    assert products and all("bf16" in line for line in products)
    pairs = zip(*(jax.tree.leaves(jax.jit(n.apply)(params, x)) for n in (full, half)), strict=True)
    for expected, found in pairs:
        assert 0 < np.abs(found - expected).max() < 0.05


@pytest.mark.parametrize("name", NETWORKS)
def test_an_unknown_type_is_refused(name):
    with pytest.raises(ValueError, match="dtype='int8' must be one of float32"):
        NETWORKS[name][0](dtype="int8")


def test_a_perceptron_in_half_precision():
    full, half = (
        networks.value((16,), layer_norm=True),
        networks.value((16,), layer_norm=True, dtype="bfloat16"),
    )
    params = full.init(KEY, OBS)
    found, expected = half.apply(params, OBS), full.apply(params, OBS)
    assert found.dtype == jnp.float32
    assert 0 < np.abs(found - expected).max() < 0.05
    law, v = networks.actor_critic(Discrete(3), (8,), dtype="bfloat16").apply(
        networks.actor_critic(Discrete(3), (8,)).init(KEY, OBS), OBS
    )
    assert law.logits.dtype == v.dtype == jnp.float32
    with pytest.raises(ValueError, match="mlp: dtype='int8' must be one of float32"):
        networks.mlp((8,), 1, dtype="int8")
