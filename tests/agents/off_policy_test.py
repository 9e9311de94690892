"""Agents that learn from stored steps: settings fit together, and small tasks are learned right."""

from functools import partial
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rlax_pref import agents, envs
from rlax_pref.agents import configs, dqn, learning, off_policy, runner
from rlax_pref.agents.configs.off_policy import OFF_POLICY, Critic, Replay
from rlax_pref.types import Box, Discrete, TimeStep, Transition

SMALL = {
    "num_envs": 2,
    "num_updates": 4,
    "batch_size": 16,
    "capacity": 64,
    "warm_up": 32,
    "hidden": (8,),
    "learning_rate": 0.02,
}
DISCRETE, CONTINUOUS = Discrete(2), Box(-3.0, 1.0, (1,))


class Bandit:
    """One state. A discrete action is paid as it is, a continuous one for being near -2.

    Every step ends an episode, by itself or because it is cut.
    """

    def __init__(self, action_space=DISCRETE, *, cut=False):
        self.action_space, self.cut = action_space, cut

    def reset(self, key):
        return (), jnp.ones(1)

    def step(self, key, state, action):
        discrete = isinstance(self.action_space, Discrete)
        reward = action if discrete else -jnp.square(action[0] + 2.0)
        discount, truncated = jnp.float32(self.cut), jnp.asarray(self.cut)
        obs = jnp.ones(1)
        return (), TimeStep(obs, reward.astype(jnp.float32), discount, truncated, obs)


class Walk:
    """States 0 to 3 in a row; whatever is done moves on, and the last step is paid 1."""

    action_space = DISCRETE

    def reset(self, key):
        return jnp.int32(0), jnp.eye(4)[0]

    def step(self, key, state, action):
        state = state + 1
        over = state == 4
        obs = jnp.where(over, 0.0, jnp.eye(4)[jnp.minimum(state, 3)])
        reward = over.astype(jnp.float32)
        return state, TimeStep(obs, reward, 1.0 - reward, jnp.zeros((), bool), obs)


def make(name, env, data=None, **settings):
    config = agents.config_from(name, SMALL | settings)
    return getattr(agents, getattr(config, "module", name)).make(env, config, data)


def train(agent, num_steps, seed=0):
    run = jax.jit(lambda key: runner.run(agent, agent.init(key), num_steps))
    return run(jax.random.key(seed))


def fits(agent):
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"return", "length", "q"} <= metrics.keys()


def q_of(config, params, obs):
    """`[A]` what a DQN says."""
    law = dqn.law(config)
    tau = jnp.linspace(0.02, 0.98, law.num)
    return law.value(dqn.network(config, 2, law.num).apply(params, (jnp.asarray(obs), tau)))


# Settings -----------------------------------------------------------------------------------


@pytest.mark.parametrize("replay", get_args(Replay))
@pytest.mark.parametrize("critic", get_args(Critic))
def test_pieces_of_rainbow_fit_together(critic, replay):
    """Traced, not run."""
    pieces = {"critic": critic, "replay": replay, "noisy": replay == "lap"}
    dueling = replay != "uniform" and critic != "implicit_quantiles"
    fits(make("dqn", Bandit(), n_step=3, num_atoms=5, dueling=dueling, **pieces))


@pytest.mark.parametrize("name", OFF_POLICY)
def test_every_agent_fits_together(name):
    discrete = name in ("dqn", "rainbow")
    for collect in (False, True):
        env = Bandit(DISCRETE if discrete else CONTINUOUS)
        fits(make(name, env, collect=collect, normalize_obs=not collect, replay="lap"))


@pytest.mark.parametrize(
    ("name", "space", "settings", "message"),
    [
        ("dqn", CONTINUOUS, {}, "DQN needs discrete actions"),
        ("sac", DISCRETE, {}, "SAC needs continuous actions"),
        ("td3", DISCRETE, {}, "TD3 needs continuous actions"),
        ("dqn", DISCRETE, {"batch_size": 3}, "batch_size=3 must be a multiple of num_envs=2"),
        ("dqn", DISCRETE, {"capacity": 33}, "capacity=33 must be a multiple of num_envs=2"),
        ("dqn", DISCRETE, {"warm_up": 128}, "warm_up=128 must be .* at most capacity=64"),
        ("dqn", DISCRETE, {"n_step": 20}, "must be at least n_step \\* num_envs=40"),
        ("dqn", DISCRETE, {"replay": "all"}, "all"),
        ("dqn", DISCRETE, {"critic": "none"}, "none"),
        ("dqn", DISCRETE, {"critic": "implicit_quantiles", "dueling": True}, "dueling=False"),
    ],
)
def test_settings_that_do_not_fit(name, space, settings, message):
    with pytest.raises(ValueError, match=message):
        make(name, Bandit(space), **settings)


@pytest.mark.parametrize("name", ("dqn", "sac", "td3", "iql", "ravl"))
def test_only_networks_are_of_lower_precision(name):
    """In bfloat16 every product of a layer is, of models too; what is kept stays float32."""
    agent = make(name, Bandit(DISCRETE if name == "dqn" else CONTINUOUS), dtype="bfloat16")
    step = jax.make_jaxpr(lambda key: agent.step(agent.init(key)), return_shape=True)
    program, (state, metrics) = step(jax.random.key(0))
    kinds = {x.dtype for x in jax.tree.leaves((state.learner, metrics))}
    assert kinds <= {np.dtype("float32"), np.dtype("int32")}
    products = [line for line in str(program).splitlines() if "= dot_general" in line]
    assert products and all(":bf16[" in line.split("=")[0] for line in products)


@pytest.mark.parametrize(
    "name", [name for name, cls in configs.AGENTS.items() if issubclass(cls, configs.OffPolicy)]
)
def test_no_agent_takes_an_unknown_precision(name):
    """All read the setting."""
    continuous = issubclass(configs.AGENTS[name], configs.SAC | configs.TD3)
    with pytest.raises(ValueError, match="dtype='int8' must be one of float32"):
        agents.make(name, envs.four_rooms(continuous=continuous), {"dtype": "int8"})


# What is stored -----------------------------------------------------------------------------


def rows(num, space=DISCRETE):
    """Steps of which each can be told apart."""
    index = jnp.arange(num)
    action = index % 2 if space == DISCRETE else jnp.full((num, 1), -1.0)
    return Transition(
        obs_tm1=index[:, None].astype(jnp.float32),
        a_tm1=action,
        r_t=index.astype(jnp.float32),
        discount_t=jnp.where(index % 4 == 3, 0.0, 0.5),
        truncated_t=jnp.zeros(num, bool),
        valid_t=jnp.ones(num, bool),
        obs_t=index[:, None] + 1.0,
    )


def test_offline_nothing_joins_the_data():
    agent = make("dqn", Bandit(), rows(20), collect=False)
    before = jax.jit(agent.init)(jax.random.key(0))
    after, metrics = jax.jit(agent.step)(before)
    for x, y in zip(
        jax.tree.leaves(before.actor.replay), jax.tree.leaves(after.actor.replay), strict=True
    ):
        np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(before.actor.replay.data.r_t, jnp.arange(20.0).reshape(2, 10))
    assert int(metrics["episodes"]) == 2  # the policy acts all the same


def test_online_what_is_done_joins_the_data():
    agent = make("dqn", Bandit(), rows(20), num_steps=3)
    replay = jax.jit(agent.step)(jax.jit(agent.init)(jax.random.key(0)))[0].actor.replay
    np.testing.assert_array_equal(replay.size, [13, 13])
    np.testing.assert_array_equal(replay.data.r_t[:, :10], jnp.arange(20.0).reshape(2, 10))
    assert np.isin(replay.data.r_t[:, 10:13], [0.0, 1.0]).all()


def test_too_few_data():
    with pytest.raises(ValueError, match="data has 5 rows: too few"):
        make("dqn", Bandit(), rows(5), n_step=3)


def test_actions_of_data_are_in_units_of_the_policy():
    """-1 is the middle of [-3, 1]."""
    agent = make("sac", Bandit(CONTINUOUS), rows(20, CONTINUOUS), collect=False)
    np.testing.assert_array_equal(
        jax.jit(agent.init)(jax.random.key(0)).actor.replay.data.a_tm1, 0.0
    )


def test_what_is_read_of_a_row():
    """Rewards are scaled, discounts are the agent's own, and episodes end where they end."""
    config = dqn.Config(num_envs=1, n_step=3, discount=0.9, reward_scale=2.0, reward_shift=1.0)
    agent = dqn.make(Bandit(), config, rows(12))
    state = jax.jit(agent.init)(jax.random.key(0))
    read = off_policy._steps(
        config, state.learner, state.actor.replay, jnp.array([[0, 2]]), jax.random.key(0)
    )
    # From row 0: rewards 1, 3, 5. From row 2: 5 and 7, where the episode ends.
    np.testing.assert_allclose(read.r_t, [[1 + 0.9 * 3 + 0.81 * 5, 5 + 0.9 * 7]], rtol=1e-6)
    np.testing.assert_allclose(read.discount_t, [[0.9**3, 0.0]], rtol=1e-6)
    np.testing.assert_array_equal(read.obs_t[..., 0], [[3.0, 4.0]])


def test_observations_are_seen_in_units_of_their_spread():
    agent = make("dqn", Bandit(), rows(20), collect=False, normalize_obs=True)
    learner = jax.jit(agent.init)(jax.random.key(0)).learner
    np.testing.assert_allclose(learner.obs.mean, [9.5], rtol=1e-6)
    config = dqn.Config(normalize_obs=True)
    seen = learning.see(config, learner, jnp.array([9.5]))
    np.testing.assert_allclose(seen, [0.0], atol=1e-6)


def test_average_is_over_what_may_be_learned_from():
    data = rows(4)._replace(valid_t=jnp.array([True, False, True, False]))
    x = jnp.array([1.0, 100.0, 3.0, 100.0])
    assert float(learning.average(x, data, 1.0)) == 2.0
    none = data._replace(valid_t=jnp.zeros(4, bool))
    assert float(learning.average(x, none, 1.0)) == 0.0


@pytest.mark.parametrize("limit", [float("inf"), 1.0])
def test_the_optimizer_is_adam_on_shortened_gradients(limit):
    params = {"a": jnp.ones(3), "b": jnp.ones(())}
    config = dqn.Config(max_grad_norm=limit)
    own = learning.optimizer(config)
    plain = optax.chain(optax.clip_by_global_norm(limit), optax.scale_by_adam(eps=1e-8))
    states = own.init(params), plain.init(params)
    for scale in (100.0, 0.1, 3.0):
        grads = optax.tree.scale(scale, params)
        results = own.update(grads, states[0]), plain.update(grads, states[1])
        found, states = zip(*results, strict=True)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), *found)


def test_a_setting_that_is_traced_is_not_known():
    assert learning.known(0.0, 0.0) and learning.known(0, 0.0)
    assert not learning.known(1.0, 0.0)
    assert not jax.jit(lambda x: jnp.array(learning.known(x, 0.0)))(0.0)


def test_a_step_draws_at_few_places():
    """Each costs a program on a CPU dozens of kernels, however little is drawn."""
    agent = make("dqn", envs.make("cartpole"), num_updates=3)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    program = str(jax.make_jaxpr(agent.step)(state))
    assert program.count("random_split") + program.count("random_bits") <= 10


# What is learned ----------------------------------------------------------------------------


@pytest.mark.parametrize("critic", get_args(Critic))
def test_every_critic_learns_what_actions_are_worth(critic):
    settings = {"critic": critic, "num_atoms": 16, "support": (-1.0, 2.0), "target_rate": 1.0}
    agent = make("dqn", Bandit(), epsilon_end=0.5, epsilon_steps=1.0, **settings)
    state, metrics = train(agent, 150)
    config = agents.config_from("dqn", SMALL | settings)
    np.testing.assert_allclose(
        q_of(config, state.learner.params["critic"], [1.0]), [0, 1], atol=0.1
    )
    assert float(metrics["loss"][-1]) < float(metrics["loss"][0])


@pytest.mark.parametrize(("cut", "worth"), [(False, 1.0), (True, 2.0)])
def test_only_what_terminates_is_worth_nothing_more(cut, worth):
    """Cut off by a time limit, the same would have gone on: 1 / (1 - 0.5)."""
    settings = {"hidden": (), "target_rate": 1.0, "discount": 0.5}
    agent = make("dqn", Bandit(cut=cut), epsilon_end=0.5, epsilon_steps=1.0, **settings)
    state, _ = train(agent, 150)
    q = q_of(agents.config_from("dqn", SMALL | settings), state.learner.params["critic"], [1.0])
    np.testing.assert_allclose(q, [worth - 1.0, worth], atol=0.05)


@pytest.mark.parametrize("n_step", [1, 3])
def test_values_of_a_walk(n_step):
    """0.5^3, 0.5^2, 0.5 and 1, however many steps are taken as one."""
    settings = {"hidden": (), "target_rate": 1.0, "discount": 0.5, "n_step": n_step}
    state, _ = train(make("dqn", Walk(), **settings), 200)
    config = agents.config_from("dqn", SMALL | settings)
    q = q_of(config, state.learner.params["critic"], jnp.eye(4))
    np.testing.assert_allclose(q.max(-1), [0.125, 0.25, 0.5, 1.0], atol=0.05)


def test_rows_with_larger_errors_are_drawn_more():
    """With targets of 1 now and then, those rows are the surprising ones."""
    data = rows(32)._replace(
        obs_tm1=jnp.ones((32, 1)),
        a_tm1=jnp.zeros(32, jnp.int32),
        r_t=jnp.where(jnp.arange(32) % 8 == 0, 4.0, 0.0),
        discount_t=jnp.zeros(32),
    )
    agent = make("dqn", Bandit(), data, collect=False, replay="lap", priority_exponent=1.0)
    state, _ = train(agent, 40)
    order = state.actor.order
    leaves = order.tree[:, order.tree.shape[1] // 2 :].reshape(-1)
    surprising = np.asarray(data.r_t > 0)
    assert leaves[surprising].min() > leaves[~surprising].max()


def test_rare_rewards_count_in_full():
    """The mean of 8 once in eight times is 1; a loss that is not squared all the way has less."""
    data = rows(32)._replace(
        obs_tm1=jnp.ones((32, 1)),
        a_tm1=jnp.zeros(32, jnp.int32),
        r_t=jnp.where(jnp.arange(32) % 8 == 0, 8.0, 0.0),
        discount_t=jnp.zeros(32),
    )
    found = []
    for more in ({}, {"huber": 1.0}):
        settings = {"hidden": (), "collect": False, "learning_rate": 0.005, "batch_size": 64} | more
        state, _ = train(make("dqn", Bandit(), data, **settings), 300)
        params = state.learner.params["critic"]
        found.append(float(q_of(agents.config_from("dqn", SMALL | settings), params, [1.0])[0]))
    assert abs(found[0] - 1.0) < 0.3
    assert found[1] < 0.4


def test_conservative_values_stay_with_the_data():
    data = rows(32)._replace(
        obs_tm1=jnp.ones((32, 1)),
        a_tm1=jnp.zeros(32, jnp.int32),
        r_t=jnp.zeros(32),
        discount_t=jnp.zeros(32),
    )
    gap = []
    for weight in (0.0, 1.0):
        settings = {"hidden": (), "cql_weight": weight, "collect": False}
        state, _ = train(make("dqn", Bandit(), data, **settings), 100)
        config = agents.config_from("dqn", SMALL | settings)
        q = q_of(config, state.learner.params["critic"], [1.0])
        gap.append(float(q[0] - q[1]))
    assert gap[1] > gap[0] + 0.5


@pytest.mark.parametrize("name", ["sac", "td3"])
def test_continuous_actions_find_what_pays(name):
    settings = {"hidden": (16,), "target_rate": 0.1, "learning_rate": 0.005}
    agent = make(name, Bandit(CONTINUOUS), capacity=1024, warm_up=256, **settings)
    state, metrics = train(agent, 300)
    policy = agent.policy(state.learner)
    _, action = policy.act((), jnp.ones(1), jax.random.key(0))
    np.testing.assert_allclose(action, [-2.0], atol=0.4)
    if name == "sac":
        assert abs(float(metrics["entropy"][-50:].mean()) + 1.0) < 0.3  # as asked for


def test_td3_bc_imitates_where_values_do_not_count():
    data = rows(32, CONTINUOUS)._replace(obs_tm1=jnp.ones((32, 1)), a_tm1=jnp.full((32, 1), -2.5))
    agent = make("td3_bc", Bandit(CONTINUOUS), data, alpha=0.0, normalize_obs=False)
    state, _ = train(agent, 100)
    _, action = agent.policy(state.learner).act((), jnp.ones(1), jax.random.key(0))
    np.testing.assert_allclose(action, [-2.5], atol=0.1)


# How it acts --------------------------------------------------------------------------------


def test_random_actions_become_rare(monkeypatch):
    """At first always, in the end as often as asked for."""
    settings = {"epsilon": 1.0, "epsilon_end": 0.2, "epsilon_steps": 20.0, "hidden": ()}
    methods, make_agent = [], off_policy.make
    monkeypatch.setattr(off_policy, "make", lambda *x: methods.append(x[2]) or make_agent(*x))
    agent = make("dqn", Bandit(), **settings)
    learner = jax.jit(agent.init)(jax.random.key(0)).learner
    keys = jax.random.split(jax.random.key(1), 4000)
    _, greedy = agent.policy(learner).act((), jnp.ones(1), keys[0])
    for step, epsilon in ((0, 1.0), (5, 0.6), (100, 0.2)):
        policy = methods[0].explore(learner, jnp.int32(step))
        _, action = jax.vmap(lambda key, policy=policy: policy.act((), jnp.ones(1), key))(keys)
        assert abs(float((action != greedy).mean()) - epsilon / 2) < 0.03, step
