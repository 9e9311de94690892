"""Agents that mistrust what data do not show: what their losses, rollouts and choices are."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, buffers, envs
from rlax_pref.agents import configs, cql, digi_q, learning, ravl, runner, sac, steering
from rlax_pref.types import Box, Discrete, TimeStep, Transition

SMALL = {"num_envs": 2, "num_updates": 4, "batch_size": 16, "warm_up": 32, "hidden": (8,)}
MORE = {
    "cql": {"num_samples": 2},
    "cal_ql": {"num_samples": 2},
    "ravl": {
        "num_rollouts": 4,
        "horizon": 3,
        "num_critics": 3,
        "model_updates": 1,
        "model_hidden": (16,),
    },
    "digi_q": {"num_proposals": 3, "clone_updates": 1},
}
BOX = Box(-2.0, 2.0, (1,))


class World:
    """A place on a line that is pushed about; it pays what it is, and beyond 1 it is over."""

    def __init__(self, action_space=BOX):
        self.action_space = action_space

    def reset(self, key):
        return jnp.zeros(1), jnp.zeros(1)

    def step(self, key, state, action):
        obs, reward, terminated = move(state, jnp.reshape(action, 1).astype(jnp.float32), key)
        discount = 1.0 - terminated.astype(jnp.float32)
        return obs, TimeStep(obs, reward, discount, jnp.zeros((), bool), obs)


def move(obs, action, key):
    after = obs + 0.25 * action
    return after, after[0], after[0] > 1.0


def settings(name, **changes):
    return agents.config_from(name, SMALL | MORE.get(name, {}) | changes)


def rows(reward, *, num=32, terminated=1.0, action=None):
    """`num` steps in one state."""
    action = jnp.linspace(-2.0, 2.0, num)[:, None] if action is None else action
    reward = jnp.broadcast_to(jnp.asarray(reward, jnp.float32), (num,))
    there, yes = jnp.ones((num, 1)), jnp.ones(num, bool)
    return Transition(
        there, action, reward, jnp.full(num, 1.0 - terminated), jnp.zeros(num, bool), yes, there
    )


def fits(agent):
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"return", "length", "q"} <= metrics.keys()


@pytest.mark.parametrize(
    ("name", "env"),
    (
        ("discrete_cql", "cartpole"),
        ("cql", "pendulum"),
        ("cal_ql", "pendulum"),
        ("ravl", "pendulum"),
        ("digi_q", "pendulum"),
        ("digi_q", "cartpole"),
    ),
)
def test_settings_fit_together(name, env):
    fits(agents.make(name, envs.make(env), settings(name)))


@pytest.mark.parametrize("name", ("cql", "ravl"))
def test_actions_must_be_continuous(name):
    with pytest.raises(ValueError, match=r"needs continuous actions.*dqn"):
        agents.make(name, envs.make("cartpole"), settings(name))


@pytest.mark.parametrize(
    ("changes", "message"),
    (
        ({"num_rollouts": 3}, "num_rollouts=3 must be a multiple of num_envs=2"),
        ({"replay": "lap"}, "replay='lap'.*uniform"),
    ),
)
def test_ravl_refuses_what_does_not_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        ravl.make(World(), settings("ravl", **changes))


def test_digi_q_refuses_an_unknown_extraction():
    with pytest.raises(ValueError, match="best"):
        digi_q.make(World(), settings("digi_q", extraction="best"))


# Conservative Q-learning --------------------------------------------------------------------


class Law:
    """A policy that always does the same, with a density that was made up."""

    def __init__(self, obs):
        self.obs = obs

    def sample_and_log_prob(self, seed):
        return jnp.full((len(self.obs), 1), 0.5), jnp.full(len(self.obs), -0.25)


@pytest.mark.parametrize("name", ("cql", "cal_ql"))
def test_cql_by_hand(name):
    """Two critics, c + a and 2 (c + a); the policy's actions are 0.5, at random ones drawn."""
    config = settings(name, cql_weight=3.0, num_samples=4)
    data = rows(0.0, num=3, action=jnp.array([[-0.5], [0.0], [1.0]]))
    data = cql.Calibrated(*data, return_tm1=jnp.array([5.0, 0.0, -5.0]))
    seen = []

    def critic(obs, action):
        seen.append(np.asarray(action))
        q = (obs + action)[..., 0]
        return jnp.stack([q, 2.0 * q])

    penalty = cql.conservative(BOX, config)(Law, critic, data, jax.random.key(0))
    action = next(x for x in seen if x.ndim == 3).astype(np.float64)  # [12, 3, 1]
    np.testing.assert_array_equal(action[4:], 0.5)
    assert np.abs(action[:4]).max() <= 1.0 and np.unique(action[:4]).size == 12
    expected = np.zeros(3)
    for scale in (1.0, 2.0):
        for row in range(3):
            terms = []
            for k in range(12):
                q = scale * (1.0 + action[k, row, 0])
                if name == "cal_ql" and k >= 4:
                    q = max(q, float(data.return_tm1[row]))
                terms.append(np.exp(q - (-np.log(2.0) if k < 4 else -0.25)))
            expected[row] += np.log(np.mean(terms)) - scale * (1.0 + float(data.a_tm1[row, 0]))
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)


def test_a_learned_price_rises_while_the_gap_is_wide():
    """It begins as CQL; then Adam's first step of the logarithm is the step size, up or down."""
    data = jax.tree.map(lambda x: x[:8], rows(1.0))._replace(a_tm1=jnp.full((8, 1), 0.5))
    plain, priced = settings("cql"), settings("cql", lagrange=True)

    def method(config):
        price = lambda learner: cql.price_of(config, learner)
        return sac.method(BOX, config, cql.conservative(BOX, config), price)

    one = cql.priced(priced, method(priced))
    params = one.init(jax.random.key(0), jnp.ones((1, 1)), jnp.ones((1, 1)))
    learner = learning.Learner(
        params,
        {name: learning.optimizer(priced).init(params[name]) for name in params},
        {"critic": params["critic"]},
        None,
    )

    @jax.jit
    def both(gap):
        config = dataclasses.replace(priced, target_gap=gap)
        args = (learner, data, jnp.ones(8), jnp.int32(0), jax.random.key(1))
        new, _, metrics = cql.priced(config, method(config)).update(*args)
        return new.params, method(plain).update(*args)[0].params, metrics

    for gap, way in ((-50.0, 1.0), (50.0, -1.0)):
        found, expected, metrics = both(gap)
        np.testing.assert_allclose(found["log_multiplier"], way * priced.learning_rate, rtol=1e-3)
        np.testing.assert_allclose(
            metrics["price"], priced.cql_weight * np.exp(way * priced.learning_rate), rtol=1e-5
        )
        jax.tree.map(np.testing.assert_array_equal, found["critic"], expected["critic"])


def test_returns_of_stored_trajectories():
    """Over at ends and at cuts, in the rewards that are learned from."""
    data = rows([1.0, 2.0, 4.0, 8.0], num=4)._replace(
        discount_t=jnp.array([1.0, 0.0, 1.0, 1.0]), truncated_t=jnp.array([0, 0, 1, 0], bool)
    )
    config = settings("cal_ql", discount=0.5, reward_scale=2.0, reward_shift=1.0)
    stored = cql.returns(config, buffers.from_rows(data, 1))
    np.testing.assert_allclose(stored.data.return_tm1[0], [3 + 0.5 * 5, 5, 9, 17])


LEARN = {"learning_rate": 0.02, "num_updates": 16, "num_samples": 4}


@partial(jax.jit, static_argnames="num_steps")
def critic_at(config, data, actions, num_steps=40):
    """What CQL's critics think of actions (in the environment's units) in the one state."""
    agent = cql.make(World(), config, data)
    state, _ = runner.run(agent, agent.init(jax.random.key(0)), num_steps)
    critic = steering.critic_of(World(), config, state.learner)
    return jax.vmap(lambda action: critic(jnp.ones(1), action))(actions)


def test_cql_holds_back_what_data_do_not_show():
    """All that was done is between 1 and 2, and pays 1; what of -2 is anybody's guess."""
    data = rows(1.0, action=jnp.linspace(1.0, 2.0, 32)[:, None])
    actions = jnp.array([[-2.0], [1.5]])
    held = critic_at(settings("cql", cql_weight=1.0, **LEARN), data, actions)
    free = critic_at(settings("cql", cql_weight=0.0, **LEARN), data, actions)
    assert held[1] - held[0] > 0.5 + abs(free[1] - free[0])
    np.testing.assert_allclose(free[1], 1.0, atol=0.1)


def test_the_critic_is_asked_in_its_own_units():
    """Data pay for actions, in the environment's units, what they are."""
    config = settings("cql", **LEARN, cql_weight=0.0)
    action = jnp.linspace(-2.0, 2.0, 32)[:, None]
    found = critic_at(config, rows(action[:, 0]), jnp.array([[-1.5], [1.0]]))
    np.testing.assert_allclose(found, [-1.5, 1.0], atol=0.3)


# RAVL ---------------------------------------------------------------------------------------


def imagined(config, data=None, num_steps=1, **more):
    agent = ravl.make(World(), config, data, **more)
    run = jax.jit(lambda key: runner.run(agent, agent.init(key), num_steps)[0])
    return run(jax.random.key(0))


def test_rollouts_follow_the_model_and_their_cut_is_no_end():
    config = settings("ravl", num_rollouts=32, horizon=3)
    start = rows(0.0)._replace(obs_tm1=jnp.linspace(-1.0, 1.0, 32)[:, None])
    state = imagined(config, start, model=move)
    step = jax.tree.map(lambda x: np.asarray(x[:, :48]), state.actor.imagined.data)
    np.testing.assert_allclose(step.obs_t, step.obs_tm1 + 0.5 * step.a_tm1, atol=1e-6)
    np.testing.assert_allclose(step.r_t, step.obs_t[..., 0])
    roll = jax.tree.map(lambda x: x.reshape(32, 3, *x.shape[2:]), step)
    np.testing.assert_array_equal(roll.discount_t == 0, roll.obs_t[..., 0] > 1.0)
    assert (roll.discount_t == 0).any() and (roll.discount_t[:, -1] == 1).any()
    np.testing.assert_array_equal(roll.truncated_t[:, -1], roll.discount_t[:, -1] == 1)
    assert not roll.truncated_t[:, :-1].any()
    alive = np.cumprod(np.c_[np.ones(32), roll.discount_t[:, :-1]], axis=1)
    np.testing.assert_array_equal(roll.valid_t, alive.astype(bool))
    np.testing.assert_allclose(roll.obs_t[:, :-1], roll.obs_tm1[:, 1:])
    np.testing.assert_array_equal(np.isin(roll.obs_tm1[:, 0], start.obs_tm1), True)


def test_rollouts_are_forgotten():
    agent = ravl.make(World(), settings("ravl", keep=2), rows(0.0), move)
    state, step = jax.jit(agent.init)(jax.random.key(0)), jax.jit(agent.step)
    sizes = []
    for _ in range(3):
        state, _ = step(state)
        sizes.append(state.actor.imagined.size.tolist())
    assert sizes == [[6, 6], [12, 12], [12, 12]]
    assert state.actor.imagined.data.r_t.shape == (2, 12)
    np.testing.assert_array_equal(state.actor.imagined.cursor, 6)


@jax.jit
def mixed(config):
    free = lambda obs, action, key: (obs, jnp.float32(0.0), True)
    agent = ravl.make(World(), config, rows(1.0), free)
    return runner.run(agent, agent.init(jax.random.key(0)), 1)[1]["q"][-1]


@pytest.mark.parametrize("share", (1.0, 0.0, 0.25))
def test_minibatches_are_mixed(share):
    """Data pay 1 and the model pays 0; both say that it is over."""
    config = settings("ravl", num_updates=200, horizon=1, real_share=share)
    np.testing.assert_allclose(mixed(config), share, atol=0.03)


def test_one_critic_on_data_alone_is_sac():
    """Without diversity and with nothing made up in the minibatches."""
    config = settings("ravl", num_critics=1, diversity=0.0, real_share=1.0)
    known = {field.name for field in dataclasses.fields(configs.SAC)}
    plain = configs.SAC(**{k: v for k, v in vars(config).items() if k in known})
    space = World().action_space
    data = jax.tree.map(lambda x: x[:16], rows(1.0))._replace(a_tm1=jnp.full((16, 1), 0.5))
    of = lambda config, penalty: sac.method(space, config, penalty)
    one = of(plain, None)
    params = one.init(jax.random.key(0), jnp.ones((1, 1)), jnp.ones((1, 1)))
    learner = learning.Learner(
        params,
        {name: learning.optimizer(plain).init(params[name]) for name in params},
        {"critic": params["critic"]},
        None,
    )
    args = (learner, data, jnp.ones(16), jnp.int32(0), jax.random.key(1))
    found = jax.jit(lambda *x: of(config, ravl.diverse(config)).update(*x)[0].params)(*args)
    expected = jax.jit(lambda *x: one.update(*x)[0].params)(*args)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), found, expected)


def test_diversity_is_of_slopes_in_the_action():
    """Equal critics: N; slopes at right angles: 0; opposite ones: below."""
    config = settings("ravl", diversity=2.0)
    data = rows(0.0, num=4, action=jnp.ones((4, 2)))
    for slopes, expected in (
        ([[1.0, 2.0]] * 3, 2.0 * 3),
        ([[1.0, 0.0], [0.0, 5.0]], 0.0),
        ([[1.0, 0.0], [-1.0, 0.0]], -2.0 * 2),
    ):
        critic = lambda obs, action, slopes=slopes: jnp.array(slopes) @ action.T
        found = ravl.diverse(config)(None, critic, data, jax.random.key(0))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ravl_learns_a_model_of_the_data():
    """The world moves by a quarter of the action, in its own units, and pays where one is."""
    key_at, key_act = jax.random.split(jax.random.key(0))
    at = jax.random.uniform(key_at, (256, 1), minval=-1.0, maxval=0.4)
    action = jax.random.uniform(key_act, (256, 1), minval=-2.0, maxval=2.0)
    after, reward, _ = jax.vmap(move)(at, action, jax.random.split(key_at, 256))
    yes = jnp.ones(256, bool)
    data = Transition(at, action, reward, jnp.ones(256), ~yes, yes, after)
    config = settings(
        "ravl", num_rollouts=64, model_updates=400, num_models=2, num_elites=1, model_rate=0.01
    )
    stops = lambda obs, action, after: after[0] > 0.5
    state = imagined(config, data, terminates=stops)
    assert np.asarray(state.learner.params["model"].error).min() < 0.01
    step = jax.tree.map(lambda x: np.asarray(x[:, :96]), state.actor.imagined.data)
    wrong = step.obs_t - step.obs_tm1 - 0.5 * step.a_tm1
    assert np.abs(wrong[step.valid_t]).mean() < 0.1
    assert np.abs(step.r_t - step.obs_t[..., 0])[step.valid_t].mean() < 0.1
    np.testing.assert_array_equal(step.discount_t == 0, step.obs_t[..., 0] > 0.5)


# Digi-Q -------------------------------------------------------------------------------------

ARMS = rows(jnp.arange(32) % 4 == 3, action=jnp.arange(32, dtype=jnp.int32) % 4)


@partial(jax.jit, static_argnames="num_steps")
def choices(config, data=ARMS, num_steps=20):
    """`[4]` how likely each arm is."""
    space = Discrete(4)
    agent = digi_q.make(World(space), config, data)
    state, metrics = runner.run(agent, agent.init(jax.random.key(0)), num_steps)
    explore = digi_q.method(space, config).explore(state.learner, state.step)
    draw = lambda key: explore.act((), jnp.ones(1), key)[1]
    arms = jax.vmap(draw)(jax.random.split(jax.random.key(1), 500))
    return (arms[:, None] == jnp.arange(4)).mean(0), metrics


TABLE = {"hidden": (), "learning_rate": 0.03, "target_rate": 0.2, "num_updates": 10}


def test_digi_q_imitates_the_best_proposal():
    config = settings("digi_q", **TABLE, num_proposals=8, clone_updates=50)
    found, metrics = choices(config)
    assert found[3] > 0.9
    assert 0.5 < metrics["worth"][-1] <= 1


@pytest.mark.parametrize("changes", ({"threshold": 0.9}, {"extraction": "clone", "threshold": 0.1}))
def test_digi_q_keeps_to_behaviour(changes):
    """No arm is better than behaviour by as much as the threshold, or nobody asks."""
    found, metrics = choices(settings("digi_q", **TABLE, clone_updates=50, **changes))
    np.testing.assert_allclose(found, 0.25, atol=0.12)
    assert metrics["worth"][-1] == float("extraction" in changes)


@pytest.mark.parametrize("extraction", ("advantage_weighted", "policy_gradient"))
def test_other_extractions_prefer_the_best(extraction):
    config = settings("digi_q", **TABLE, clone_updates=50, extraction=extraction)
    found, _ = choices(config)
    assert found[3] > 0.5


def test_one_proposal_and_no_threshold_is_cloning():
    config = settings("digi_q", num_proposals=1, threshold=-1.0)
    args = (jnp.arange(4), lambda action: -jnp.ones(action.shape), None)
    none = lambda num: jnp.zeros((num, 4), jnp.int32)
    for extract in (digi_q._best_of_n, digi_q._clone):
        action, worth = extract(config, args[0], args[1], none)
        np.testing.assert_array_equal(action, args[0])
        np.testing.assert_array_equal(worth, 1.0)
