"""The agent whose policies denoise: every method fits together, and learns what is preferred."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, cli, denoising, envs
from rlax_pref.agents import denoising as agent_module
from rlax_pref.agents import runner
from rlax_pref.agents.configs import DENOISING
from rlax_pref.types import Box, TimeStep

SMALL = {
    "num_steps": 3,
    "hidden": (16,),
    "warm_up": 0,
    "learning_rate": 0.02,
    "num_envs": 32,
    "batch_size": 32,
    "group_size": 4,
    "num_judged": 128,
}
KEY = jax.random.key(0)


class Aim:
    """What is near one end of the range pays; there is nothing to see."""

    action_space = Box(-3.0, 1.0, (1,))

    def __init__(self, end=1.0):
        self.end = end

    def reset(self, key):
        return (), jnp.ones(1)

    def step(self, key, state, action):
        reward = -jnp.abs(action[0] - self.end) / 2  # where half the range is 1
        obs = jnp.ones(1)
        return (), TimeStep(obs, reward, jnp.float32(0.0), jnp.zeros((), bool), obs)

    def demonstrate(self, key, obs):
        return jnp.array([-2.0]) + 0.2 * jax.random.normal(key, (1,))

    def score_set(self, obs, points):
        return -jnp.abs(points.mean() - self.end)


def make(name, env, **settings):
    return agent_module.make(env, agents.config_from(name, SMALL | settings))


@pytest.mark.parametrize("settings", [{}, {"loss": "kto"}, {"reference": "previous"}])
@pytest.mark.parametrize("name", DENOISING)
def test_every_method_fits_together(name, settings):
    """Traced, not run: all settings are known, and a step keeps the shape of the state."""
    agent = make(name, envs.GaussianMixture(), **settings, warm_up=2)
    state = jax.eval_shape(agent.init, KEY)
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"return", "kl", "loss", "rewards/margins", "grad_norm"} <= metrics.keys()


@pytest.mark.parametrize("name", ("d3po", "dragon"))
def test_only_networks_are_of_lower_precision(name):
    """In bfloat16 every product of a layer is; what is kept and reported stays as it was."""
    agent = make(name, Aim(), warm_up=2, dtype="bfloat16")
    step = jax.make_jaxpr(lambda key: agent.step(agent.init(key)), return_shape=True)
    program, (state, metrics) = step(KEY)
    kinds = {x.dtype for x in jax.tree.leaves((state.learner, metrics))}
    assert kinds == {np.dtype("float32"), np.dtype("int32")}
    products = [line for line in str(program).splitlines() if "= dot_general" in line]
    assert products and all(":bf16[" in line.split("=")[0] for line in products)


@partial(jax.jit, static_argnames=("name", "settings"))
def learned(name, end, settings=()):
    agent = make(name, Aim(end), **dict(settings))
    return runner.run(agent, agent.init(KEY), 60)[1]


@pytest.mark.parametrize("name", DENOISING)
def test_learns_what_is_preferred(name):
    """The first policy earns as little at either end; each method leaves it for either."""
    settings = {"prdp": {"beta": 0.3}, "ddpo": {"learning_rate": 0.01}}.get(name, {})
    for end in (1.0, -3.0):
        metrics = jax.device_get(learned(name, end, tuple(settings.items())))
        earned, kl = metrics["return"], metrics["kl"]
        assert earned[0] < -0.7
        assert earned[-5:].mean() > earned[0] + 0.2
        assert kl[0] < kl[-1]


def test_warm_up_learns_what_is_demonstrated():
    agent = make("d3po", Aim(), warm_up=300, warm_up_learning_rate=0.01)
    state = jax.jit(agent.init)(KEY)
    action = state.actor.chain[..., -1, 0] * 2 - 1  # in the environment's units
    np.testing.assert_allclose([action.mean(), action.std()], [-2.0, 0.2], atol=0.1)
    np.testing.assert_allclose(state.actor.reward, -jnp.abs(action - 1) / 2, rtol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, state.learner.params, state.learner.reference)
    config = agents.config_from("prdp", SMALL)
    other = agent_module.make(Aim(), config, state.learner.params)  # goes on from there
    reward = jax.jit(other.init)(KEY).actor.reward
    np.testing.assert_allclose(reward.mean(), -1.5, atol=0.1)


def test_first_step_is_at_the_reference():
    """Log-ratios are 0 there: D3PO has log 2, and PRDP what it has yet to predict."""
    first = lambda name, **more: jax.jit(
        lambda: (lambda a: (lambda s: (s.actor, a.step(s)[1]))(a.init(KEY)))(
            make(name, Aim(), **more)
        )
    )()
    _, metrics = first("d3po")
    np.testing.assert_allclose(metrics["loss"], np.log(2.0), rtol=1e-5)
    data, metrics = first("prdp", beta=0.5)
    gaps = [
        np.square(data.reward[:, i] - data.reward[:, j]) / 0.25
        for i, j in itertools.combinations(range(4), 2)
    ]
    np.testing.assert_allclose(metrics["loss"], np.mean(gaps), rtol=1e-4)
    np.testing.assert_allclose(metrics["rewards/margins"], 0.0, atol=1e-5)


def test_what_is_stored_is_what_was_done():
    """Likelihoods are those of the policy that made the chains; pairs are as the judge says."""
    agent = make("d3po", envs.GaussianMixture())
    data = jax.device_get(jax.jit(agent.init)(KEY).actor)
    target = 0.6 * data.obs[:, None]
    clipped = np.clip(data.chain[..., -1, :], -1, 1)
    np.testing.assert_allclose(
        data.reward, -np.linalg.norm(clipped - target, axis=-1), rtol=1e-4, atol=1e-5
    )
    rows = np.arange(32)
    better, worse = (data.reward[rows, x[:, 0]] for x in (data.chosen, data.rejected))
    assert (better >= worse).all() and (data.p_first == 1).all()
    # An untrained network hardly adds anything to what the schedule does by itself.
    plain = denoising.steer(denoising.schedule(3), jnp.zeros((32, 4, 3, 2)))
    np.testing.assert_allclose(data.log_prob, denoising.log_prob(plain, data.chain), atol=0.5)


def test_dragon_compares_sets():
    """Two halves: the better has the better mean, and every action is in one of them."""
    agent = make("dragon", Aim(), group_size=8)
    data = jax.device_get(jax.jit(agent.init)(KEY).actor)
    both = np.concatenate([data.chosen, data.rejected], axis=1)
    np.testing.assert_array_equal(np.sort(both), np.broadcast_to(np.arange(8), both.shape))
    action = np.clip(data.chain[..., -1, 0], -1, 1) * 2 - 1
    score = lambda index: -np.abs(np.take_along_axis(action, index, axis=1).mean(1) - 1)
    assert (score(data.chosen) > score(data.rejected)).all()
    at = np.arange(4)
    assert np.all((data.chosen == at) | (data.chosen == at + 4))  # places are kept


def test_data_are_replaced_now_and_then():
    agent = make("d3po", Aim(), batch_size=16, resample_every=3)
    step, state = jax.jit(agent.step), jax.jit(agent.init)(KEY)
    states = [state] + [state := step(state)[0] for _ in range(4)]
    same = [bool((a.actor.chain == b.actor.chain).all()) for a, b in itertools.pairwise(states)]
    assert same == [True, True, True, False]
    np.testing.assert_array_equal(states[2].actor.read, np.ones(32))
    np.testing.assert_array_equal(states[4].actor.read, np.arange(32) % 2)


def test_policy_acts_in_the_environments_units():
    agent = make("d3po", Aim())
    policy = agent.policy(jax.jit(agent.init)(KEY).learner)
    act = jax.jit(jax.vmap(lambda key: policy.act((), jnp.ones(1), key)[1]))
    action = act(jax.random.split(KEY, 200))
    assert action.shape == (200, 1) and action.min() >= -3 and action.max() <= 1
    assert abs(action.mean() + 1) < 0.3 and len(np.unique(action)) > 100


@pytest.mark.parametrize(
    ("name", "env", "settings", "message"),
    [
        ("d3po", "cartpole", {}, "CartPole takes .* what is denoised is a Box"),
        ("d3po", "pendulum", {"warm_up": 5}, "Pendulum demonstrates nothing; set it to 0"),
        ("d3po", "gaussian_mixture", {"batch_size": 5}, "must be a multiple of batch_size=5"),
        ("d3po", "gaussian_mixture", {"group_size": 1}, "group_size=1: preferences are between"),
        ("d3po", "gaussian_mixture", {"loss": "prpd"}, "Unknown loss 'prpd'.*'prdp'"),
        ("d3po", "gaussian_mixture", {"score": "set"}, "score='set' needs selection='sets'"),
        ("d3po", "gaussian_mixture", {"reference": "soup"}, "is of policies of tokens"),
        ("dragon", "gaussian_mixture", {"group_size": 3}, "group_size=3 must be even"),
        ("dragon", "pendulum", {}, "Pendulum scores no sets; choose 'sample'"),
        ("d3po", "gaussian_mixture", {"dtype": "int8"}, "dtype='int8' must be one of float32"),
    ],
)
def test_messages(name, env, settings, message):
    with pytest.raises(ValueError, match=message):
        agents.make(name, envs.make(env), SMALL | settings)


def test_the_command_line_knows_them():
    for name in DENOISING:
        command = cli.parse(["train", name, "--env", "gaussian_mixture", "--beta", "0.3"])
        assert type(command.config) is DENOISING[name] and command.config.beta == 0.3
