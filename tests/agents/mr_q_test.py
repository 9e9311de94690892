"""MR.Q: what teaches the encoder and what does not, units, and discrete and continuous actions."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents
from rlax_pref.agents import mr_q, runner
from rlax_pref.agents.configs.off_policy import Replay
from rlax_pref.types import Box, Discrete, TimeStep

SMALL = {
    "num_envs": 2,
    "num_steps": 4,
    "num_updates": 32,
    "num_encoder_updates": 8,
    "batch_size": 16,
    "capacity": 512,
    "warm_up": 256,
    "hidden": (16,),
    "state_width": 8,
    "action_width": 4,
    "pair_width": 8,
    "num_atoms": 65,
    "horizon": 3,
    "n_step": 2,
    "learning_rate": 3e-3,
    "encoder_learning_rate": 0.01,
}
DISCRETE, CONTINUOUS = Discrete(3), Box(-3.0, 1.0, (1,))


class Bandit:
    """Two steps that end, or are cut. Action 2 is paid best; or 1 where a sign is +, else -3."""

    def __init__(self, action_space=DISCRETE, *, cut=False):
        self.action_space, self.cut = action_space, cut

    def reset(self, key):
        state = jnp.int32(0), jax.random.rademacher(key, (), jnp.float32)
        return state, self.observe(state)

    def step(self, key, state, action):
        time, sign = state
        discrete = isinstance(self.action_space, Discrete)
        reward = action - 1.0 if discrete else sign * (action[0] + 1.0) / 2.0
        done, obs = time == 1, self.observe(state)
        discount = jnp.where(done & jnp.logical_not(self.cut), 0.0, 1.0)
        return (time + 1, sign), TimeStep(obs, reward, discount, done & self.cut, obs)

    def observe(self, state):
        return jnp.stack([jnp.ones(()), state[1]])


def make(space=DISCRETE, cut=False, **settings):
    return mr_q.make(Bandit(space, cut=cut), agents.config_from("mr_q", SMALL | settings))


def rounds(cut=False, unit=1.0, encoder_rate=0.01):
    """The learner as it begins and after each of 12 rounds, what each reports, and the end."""
    return _rounds(jnp.bool_(cut), jnp.float32(unit), jnp.float32(encoder_rate))


@jax.jit
def _rounds(cut, unit, encoder_rate):
    agent = make(cut=cut, reward_scale=unit, encoder_learning_rate=encoder_rate)

    def one(state, _):
        state, metrics = agent.step(state)
        return state, (state.learner, metrics)

    first = agent.init(jax.random.key(0))
    last, (learners, metrics) = jax.lax.scan(one, first, length=12)
    join = lambda x, xs: jnp.concatenate([x[None], xs])
    return jax.tree.map(join, first.learner, learners), metrics, last


def at(learners, k, name, part="params"):
    return jax.tree.map(lambda x: x[k], getattr(learners, part)[name])


def same(a, b):
    return all(bool((x == y).all()) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


@pytest.mark.parametrize("space", [DISCRETE, CONTINUOUS])
@pytest.mark.parametrize("replay", get_args(Replay))
def test_it_fits_together(space, replay):
    """Traced, not run."""
    for settings in ({}, {"collect": False, "normalize_obs": True, "n_step": 3}):
        agent = make(space, replay=replay, **settings)
        state = jax.eval_shape(agent.init, jax.random.key(0))
        after, metrics = jax.eval_shape(agent.step, state)
        shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
        assert shape(after) == shape(state)
        assert {"encoder_loss", "critic_loss", "q", "reward_scale"} <= metrics.keys()


def test_settings_that_do_not_fit():
    with pytest.raises(ValueError, match="warm_up=256 must be at least horizon \\* num_envs=400"):
        make(horizon=200)


def test_values_do_not_touch_the_encoder():
    """Where its own loss moves it by nothing it stays as it is, bit for bit; the others learn."""
    learners, _, last = rounds(encoder_rate=0.0)
    assert same(at(learners, 0, "encoder"), at(learners, -1, "encoder"))
    for name in ("actor", "critic"):
        assert not same(at(learners, 0, name), at(learners, 1, name))
    # No row counts for less than 1, as LAP has it, however small its error.
    assert mr_q.Config().replay == "lap"
    stored = last.actor.order.tree[:, last.actor.order.tree.shape[1] // 2 :]
    assert (stored[stored > 0] >= 1).all()


def test_rewards_have_no_unit():
    """In a currency of which 7 are 1, critics and policy learn the same, digit by digit."""
    (one, *_), (seven, *_) = rounds(encoder_rate=0.0), rounds(unit=7.0, encoder_rate=0.0)
    for name in ("actor", "critic"):
        for x, y in zip(*(jax.tree.leaves(at(z, 2, name)) for z in (one, seven)), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-3)
    scale = one.params["reward_scale"]
    np.testing.assert_allclose(seven.params["reward_scale"], 7 * scale, rtol=1e-5)


@pytest.mark.parametrize("cut", [False, True])
def test_a_round_begins_with_copies_and_ends_are_learned_once_there_are_some(cut):
    """Slow copies are what the networks were a round ago; their scale is 0 before there is one."""
    learners, metrics, last = rounds(cut)
    for k in range(2):
        for name in mr_q.COPIED:
            assert same(at(learners, k + 1, name, "target"), at(learners, k, name)), name
        assert not same(at(learners, k + 1, "encoder"), at(learners, k, "encoder"))
    assert at(learners, 1, "reward_scale", "target") == 0
    data = last.actor.replay.data
    expected = np.abs(data.r_t)[np.asarray(data.valid_t)].mean()
    np.testing.assert_allclose(metrics["reward_scale"][-1], expected, rtol=1e-5)
    first, model = (jax.tree.leaves(at(learners, k, "encoder")["model"])[-1] for k in (0, -1))
    assert (model[:, 0] == first[:, 0]).all() == cut  # foresees ends
    assert (model[:, 1:] != first[:, 1:]).any(0).all()


def test_it_learns_discrete_actions_and_what_follows():
    learners, metrics, _ = rounds()
    loss = np.asarray(metrics["encoder_loss"])
    assert loss[-3:].mean() < 0.5 * loss[0]
    policy = make().policy(jax.tree.map(lambda x: x[-1], learners))
    _, action = policy.act((), jnp.ones(2), jax.random.key(0))
    assert action == 2 and action.dtype == jnp.int32


def test_it_learns_continuous_actions():
    """With the same settings."""
    agent = make(CONTINUOUS)
    run = jax.jit(lambda key: runner.run(agent, agent.init(key), 20)[0].learner)
    policy = agent.policy(run(jax.random.key(1)))
    for sign, best in ((1.0, 1.0), (-1.0, -3.0)):
        _, action = policy.act((), jnp.array([1.0, sign]), jax.random.key(0))
        np.testing.assert_allclose(action, best, atol=0.2)


def test_the_encoder_foresees():
    """What it says of a step has the shapes of what is learned from it."""
    config = agents.config_from("mr_q", SMALL)
    encoder = mr_q.encoder(config)
    obs, action = jnp.ones((5, 3)), jnp.ones((5, 2))
    params = encoder.init(jax.random.key(0), obs, action)
    z = encoder.state(params, obs)
    foreseen = encoder.foresee(params, z, action)
    assert z.shape == foreseen.z_t.shape == (5, 8)
    assert foreseen.reward_logits.shape == (5, 65) and foreseen.terminated.shape == (5,)
    assert encoder.pair(params, z, action).shape == (5, 8)
