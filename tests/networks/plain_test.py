"""Networks: shapes, scales, and the laws they return."""

import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rlax_pref import networks, values
from rlax_pref.networks._plain import _truncated_normal
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


@pytest.mark.parametrize("num", [1, 1024, 2500])
def test_weights_begin_with_the_numbers_that_jax_draws(num):
    expected = jax.random.truncated_normal(KEY, -2.0, 2.0, (num,))
    np.testing.assert_allclose(_truncated_normal(KEY, num), expected, rtol=1e-5, atol=1e-6)


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


def test_bounded_policy_has_a_bounded_mean_and_a_gaussian_density():
    """Its density is finite at the bounds, where a squashed one is not."""
    network = networks.policy(Box(-2.0, 2.0, (2,)), (8,), bounded=True)
    obs = 100.0 * jax.random.normal(jax.random.key(0), (5, 3))
    params = network.init(jax.random.key(1), obs)
    params["mean"] = jax.tree.map(lambda x: 1000.0 * x, params["mean"])
    params["log_std"] = jnp.array([-9.0, 9.0])
    law = network.apply(params, obs)
    assert np.all(np.abs(law.mode()) <= 1.0) and np.any(np.abs(law.mode()) > 0.9)
    np.testing.assert_allclose(law.stddev()[0], np.exp([-5.0, 2.0]), rtol=1e-5)
    z = (1.0 - np.asarray(law.mode(), np.float64)) / np.exp([-5.0, 2.0])
    density = (-0.5 * z**2 - np.log(2 * np.pi) / 2 - np.array([-5.0, 2.0])).sum(-1)
    np.testing.assert_allclose(law.log_prob(jnp.ones((5, 2))), density, rtol=1e-4)


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


def test_an_ensemble_is_its_members():
    network = networks.ensemble(networks.value((8,)), 3)
    params = network.init(KEY, OBS)
    together = jax.jit(network.apply)(params, OBS)
    assert together.shape == (3, 5) and np.all(together.std(0) > 0)
    for k, key in enumerate(jax.random.split(KEY, 3)):
        member = networks.value((8,))
        alone = member.apply(member.init(key, OBS), OBS)
        np.testing.assert_allclose(together[k], alone, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="num=0"):
        networks.ensemble(network, 0)


def test_normalised_layers_do_not_see_the_scale():
    network = networks.value((8,), layer_norm=True)
    params = network.init(KEY, OBS)
    assert not any("LayerNorm" in name for name in networks.value((8,)).init(KEY, OBS))
    np.testing.assert_allclose(
        network.apply(params, OBS), network.apply(params, 7 * OBS), rtol=1e-3, atol=1e-3
    )


def test_action_value_sees_observation_and_action():
    critic = networks.ensemble(networks.action_value((8,)), 2)
    pair = (OBS, jnp.ones((5, 2)))
    params = critic.init(KEY, pair)
    assert critic.apply(params, pair).shape == (2, 5)
    by = jax.grad(lambda pair: critic.apply(params, pair).sum())(pair)
    assert np.any(by[0]) and np.any(by[1])


@pytest.mark.parametrize("num_atoms", (None, 4))
def test_dueling_heads_are_put_together_as_the_formula_says(num_atoms):
    network = networks.dueling((8,), 3, num_atoms=num_atoms, stream=6)
    params = network.init(KEY, OBS)
    q = network.apply(params, OBS)
    assert q.shape == ((5, 3) if num_atoms is None else (5, 3, 4))
    shared, v, advantage = (params[f"_Tower_{k}"] for k in range(3))
    dense = lambda p, x: x @ p["kernel"] + p["bias"]
    x = jax.nn.relu(dense(shared["Dense_0"], OBS))
    stream = lambda p: dense(p["Dense_1"], jax.nn.relu(dense(p["Dense_0"], x)))
    by_hand = values.dueling(stream(v), stream(advantage).reshape(5, 3, num_atoms or 1), axis=-2)
    np.testing.assert_allclose(q.reshape(5, 3, -1), by_hand, rtol=1e-5, atol=1e-5)


def test_implicit_quantiles():
    """The cosines of a fraction multiply the features; fractions do not see each other."""
    network = networks.implicit_quantiles((8,), 3, num_cosines=4)
    tau = jax.random.uniform(jax.random.key(2), (5, 2))
    params = network.init(KEY, (OBS, tau))
    q = network.apply(params, (OBS, tau))
    assert q.shape == (5, 3, 2)
    other = network.apply(params, (OBS, tau.at[:, 1].set(0.5)))
    np.testing.assert_array_equal(q[..., 0], other[..., 0])
    assert np.any(q[..., 1] != other[..., 1])
    dense = lambda p, x: np.asarray(x @ p["kernel"] + p["bias"])
    x = np.maximum(dense(params["_Tower_0"]["Dense_0"], OBS), 0)[:, None]
    wave = np.maximum(dense(params["Dense_0"], np.cos(np.pi * tau[..., None] * np.arange(4))), 0)
    by_hand = dense(params["Dense_1"], x * wave).swapaxes(-1, -2)
    np.testing.assert_allclose(q, by_hand, rtol=1e-4, atol=1e-5)


def test_tanh_slope_golden():
    np.testing.assert_allclose(networks.tanh_log_slope(jnp.float32(0.7)), -0.454540, atol=1e-6)
    assert np.isfinite(networks.tanh_log_slope(jnp.float32(-50.0)))


def test_squashed_policy_has_the_density_it_says():
    network = networks.squashed_policy(2, (8,))
    law = network.apply(network.init(KEY, OBS), OBS)
    action, log_prob = law.sample_and_log_prob(seed=jax.random.key(3))
    assert action.shape == (5, 2) and log_prob.shape == (5,) and np.all(np.abs(action) < 1)
    a = np.asarray(action, np.float64)
    density = stats.norm.logpdf(np.arctanh(a), law.mean, np.exp(law.log_std)) - np.log(1 - a**2)
    np.testing.assert_allclose(log_prob, density.sum(-1), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(law.mode(), np.tanh(law.mean), rtol=1e-6)


def test_noise_in_weights():
    """Its mean is the network, its spread what was asked for; a layer's noise is a product."""
    network = networks.mlp((3,), 2)
    params = network.init(jax.random.key(0), jnp.ones(4))
    noisy = networks.add_noise(params, deviation=0.4)
    assert networks.without_noise(noisy) is params
    keys = jax.random.split(jax.random.key(1), 4000)
    drawn = jax.vmap(lambda key: networks.draw_noise(noisy, key))(keys)
    for name, layer in params.items():
        noise = jax.tree.map(lambda x, mean: x - mean, drawn[name], layer)
        inputs = layer["kernel"].shape[0]
        # A factor's square is |x| of a Gaussian, whose mean is sqrt(2 / pi).
        spread = 0.4 / inputs**0.5 * np.array([(2 / np.pi) ** 0.5, (2 / np.pi) ** 0.25])
        np.testing.assert_allclose(noise["kernel"].mean(0), 0.0, atol=0.02)
        np.testing.assert_allclose(noise["kernel"].std(0), spread[0], rtol=0.1)
        np.testing.assert_allclose(noise["bias"].std(0), spread[1], rtol=0.1)
        minor = noise["kernel"][:, 0, 0] * noise["kernel"][:, 1, 1]
        np.testing.assert_allclose(
            minor, noise["kernel"][:, 0, 1] * noise["kernel"][:, 1, 0], atol=1e-5
        )


def test_only_who_traces_a_policy_waits_for_distrax():
    """Importing it takes a third of the time of all imports."""
    code = """
        import sys
        import jax
        from rlax_pref import agents, envs
        agents.make("dqn", envs.make("cartpole"), {})
        agent = agents.make("ppo", envs.make("cartpole"), {})
        assert "distrax" not in sys.modules
        jax.eval_shape(agent.step, jax.eval_shape(agent.init, jax.random.key(0)))
        assert "distrax" in sys.modules
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
