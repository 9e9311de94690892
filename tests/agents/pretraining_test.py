"""Agents that begin with what another learned: an encoder, or all networks."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, cli, envs, networks
from rlax_pref.agents import configs, icvf, learning, pretraining, runner

KEY = jax.random.key(0)
SMALL = {"num_envs": 2, "num_updates": 2, "batch_size": 4, "warm_up": 8, "hidden": (4,)}
PHASE_1 = {**SMALL, "num_features": 3}
PHASE_2 = {**SMALL, "encoder": (4, 3), "encoder_inputs": 2, "normalize_obs": False}
ENCODED = "dqn stock_dqn sac td3 digi_q iql awac odice behaviour_cloning".split()
FLAGS = [f"--{k.replace('_', '-')}={v}" for k, v in SMALL.items() if k != "hidden"]


def encoder(width=4, num_features=3, num_inputs=2):
    """Parameters of one, all different."""
    net = networks.mlp((width,), num_features, activation="gelu", layer_norm=True)
    params = net.init(KEY, jnp.ones((1, num_inputs)))
    return jax.tree.map(lambda x: x + jnp.arange(x.size).reshape(x.shape) / 10, params)


@pytest.fixture(scope="module")
def iql():
    return agents.make("iql", envs.four_rooms(), PHASE_2)


@pytest.fixture(scope="module")
def fresh(iql):
    return jax.jit(iql.init)(KEY)


# Networks that begin with an encoder --------------------------------------------------------


def test_first_numbers_are_encoded_and_others_pass_by():
    head = networks.Network(lambda key, x: (), lambda params, x: x)
    double = networks.Network(lambda key, x: jnp.float32(2.0), lambda params, x: params * x)
    obs, action = jnp.arange(3.0), jnp.ones(1)
    both = networks.encoded(double, head, num_inputs=2)
    params = both.init(KEY, (obs, action))
    seen, same = jax.jit(both.apply)(params, (obs, action))
    np.testing.assert_array_equal(seen, [0.0, 2.0, 2.0])
    np.testing.assert_array_equal(same, action)
    every = networks.encoded(double, head)
    np.testing.assert_array_equal(every.apply(params, obs), 2 * obs)
    batch = jax.vmap(both.apply, in_axes=(None, 0))(
        params, (jnp.stack([obs, 3 * obs]), jnp.ones((2, 1)))
    )
    np.testing.assert_array_equal(batch[0][1], [0.0, 6.0, 6.0])


@pytest.mark.parametrize("freeze", [False, True])
def test_a_frozen_encoder_gets_no_gradient(freeze):
    double = networks.Network(lambda key, x: jnp.float32(2.0), lambda params, x: params * x)
    net = networks.encoded(double, networks.value((), activation="tanh"), freeze=freeze)
    params = net.init(KEY, jnp.ones((1, 2)))
    grads = jax.grad(lambda params: net.apply(params, jnp.ones((1, 2))).sum())(params)
    assert (grads["encoder"] == 0) == freeze
    assert np.any(grads["head"]["Dense_0"]["bias"] != 0)


@pytest.mark.parametrize("name", ENCODED)
def test_every_agent_that_may_begin_with_one_does(name):
    """All networks and slow copies get the encoder, and those of an ensemble get one each."""
    env = envs.four_rooms(continuous=name in ("sac", "td3"))
    few = {"clone_updates": 2} if name == "digi_q" else {}
    agent = agents.make(name, env, PHASE_2 | few)
    given = encoder()
    state = jax.eval_shape(lambda key: pretraining.start(agent.init(key), given), KEY)
    after, _ = jax.eval_shape(agent.step, state)
    assert jax.tree.map(lambda x: x.shape, after) == jax.tree.map(lambda x: x.shape, state)
    nets = {k: v for k, v in state.learner.params.items() if isinstance(v, dict)}
    begun = [k for k, v in nets.items() if "encoder" in v]
    assert begun == list(nets)
    critic = nets[begun[-1]]["encoder"]["Dense_0"]["kernel"]
    assert critic.shape[-2:] == (2, 4)


def test_networks_begin_with_the_encoder_that_was_learned(iql, fresh):
    config = configs.ICVF(**PHASE_1)
    learned = jax.jit(icvf.make(envs.four_rooms(), config).init)(jax.random.key(7))
    given = learned.learner.params["value"]["state"]
    state = pretraining.start(fresh, given)
    for nets in (state.learner.params, state.learner.target):
        for net in nets.values():
            for new, x in zip(jax.tree.leaves(net["encoder"]), jax.tree.leaves(given), strict=True):
                np.testing.assert_array_equal(new, np.broadcast_to(x, new.shape))
    for name, net in fresh.learner.params.items():  # and nothing else has changed
        same = jax.tree.map(np.array_equal, net["head"], state.learner.params[name]["head"])
        assert all(jax.tree.leaves(same))
    assert pretraining.settings(config) == {"encoder": (4, 3), "encoder_activation": "gelu"}
    tower = networks.mlp((4,), 3, activation="gelu", layer_norm=True)
    x = jnp.array([[0.3, -0.4]])
    np.testing.assert_allclose(
        tower.apply(state.learner.params["actor"]["encoder"], x),
        icvf.encode(config, learned.learner.params["value"], x),
        rtol=1e-6,
    )


def test_an_agent_with_no_encoder_is_as_it_was():
    network = networks.value((4,), activation="tanh")
    assert learning.encoded(configs.IQL(), network) is network
    with pytest.raises(ValueError, match="encoder_inputs=-1 must not be negative"):
        learning.encoded(configs.IQL(encoder=(3,), encoder_inputs=-1), network)


def test_what_does_not_fit_is_said(fresh):
    with pytest.raises(
        ValueError, match=r"params\['actor'\] has other shapes .*\(4,\) here, \(5,\)"
    ):
        pretraining.start(fresh, encoder(width=5))
    with pytest.raises(
        ValueError, match=r"encodes 2 numbers .* begin with 3: .*--encoder-inputs 3"
    ):
        pretraining.start(fresh, encoder(num_inputs=3))
    with pytest.raises(ValueError, match=r"params\['actor'\] has other parts"):
        pretraining.start(fresh, {"Dense_0": encoder()["Dense_0"]})
    without = agents.make("iql", envs.four_rooms(), SMALL)
    state = jax.eval_shape(without.init, KEY)
    with pytest.raises(ValueError, match="no network among actor, critic, value begins with"):
        pretraining.start(state, encoder())
    with pytest.raises(ValueError, match="params has other"):
        pretraining.go_on(fresh, state.learner)


# Runs that begin with what another learned --------------------------------------------------


def test_go_on_knows_what_was_learned_and_forgets_what_optimisers_knew(fresh):
    before = jax.tree.map(lambda x: x + jnp.ones((), x.dtype), fresh.learner)
    after = pretraining.go_on(fresh, before)
    for part in ("params", "target", "obs"):
        jax.tree.map(
            np.testing.assert_array_equal, getattr(after.learner, part), getattr(before, part)
        )
    optimizer = after.learner.optimizer
    jax.tree.map(np.testing.assert_array_equal, optimizer, fresh.learner.optimizer)
    assert after.actor is fresh.actor


@pytest.fixture
def earlier(monkeypatch, fresh):
    """Two runs, without their checkpoints: of icvf, and of iql."""
    values = jax.jit(icvf.make(envs.four_rooms(), configs.ICVF(**PHASE_1)).init)(KEY)
    runs = {
        "values": ({"agent": "icvf", "config": PHASE_1 | {"hidden": [4]}}, values),
        "tasks": ({"agent": "iql", "config": PHASE_2}, pretraining.start(fresh, encoder())),
    }
    monkeypatch.setattr(runner, "describe", lambda directory: runs[directory][0])
    monkeypatch.setattr(runner, "load_state", lambda directory: runs[directory][1])
    return {name: state.learner for name, (_, state) in runs.items()}


def test_start_from_a_run(earlier):
    make = lambda run, **more: agents.make("iql", envs.four_rooms(), PHASE_2 | more, start_from=run)
    begun = jax.jit(make("values").init)(KEY).learner.params["actor"]["encoder"]
    jax.tree.map(np.testing.assert_array_equal, begun, earlier["values"].params["value"]["state"])
    begun = jax.jit(make("tasks").init)(KEY).learner.params
    jax.tree.map(np.testing.assert_array_equal, begun, earlier["tasks"].params)
    for changes, said in (
        ({"encoder": (5, 3)}, r"encoder=\(5, 3\) must be \(4, 3\), as in values"),
        ({"encoder_activation": "relu"}, "encoder_activation=relu must be gelu"),
        ({"normalize_obs": True}, "normalize_obs must be False in both"),
    ):
        with pytest.raises(ValueError, match=said):
            make("values", **changes)
    with pytest.raises(ValueError, match="HIQL has no networks that begin with an encoder"):
        agents.make("hiql", envs.four_rooms(), SMALL, start_from="values")
    with pytest.raises(ValueError, match="ppo does not start from a run; what does: dqn"):
        agents.make("ppo", envs.CartPole(), start_from="values")


@pytest.mark.skipif("RLAX_PREF_SLOW" not in os.environ, reason="a minute; set RLAX_PREF_SLOW=1")
def test_three_phases_of_the_command_line(tmp_path):
    one, two, three = (str(tmp_path / x) for x in ("one", "two", "three"))
    common = ["--env", "four_rooms", "--no-cache", "--every", "1", "--env-steps", "2", *FLAGS]
    common += ["--hidden", "4"]
    encoded = ["--encoder", "4", "3", "--encoder-inputs", "2", "--no-normalize-obs"]
    clone = ["train", "behaviour_cloning", *common, *encoded, "--directory"]
    assert cli.main(["train", "icvf", "--directory", one, "--num-features", "3", *common]) == 0
    assert cli.main([*clone, two, "--start-from", one]) == 0
    assert runner.describe(two)["start_from"] == one
    assert cli.main([*clone, three, "--start-from", two]) == 0
    assert cli.main(["resume", three, "--env-steps", "4", "--no-cache"]) == 0
    assert runner.load_policy(three)
