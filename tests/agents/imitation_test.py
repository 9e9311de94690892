"""Agents that imitate: what their values come to, and what a step of each is made of."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rlax_pref import agents, networks, policies, values
from rlax_pref.agents import configs, imitation, learning, runner
from rlax_pref.types import Box, Discrete, Transition

NAMES = ("behaviour_cloning", "iql", "xql", "awac", "odice")
TABLE = {
    "hidden": (),
    "normalize_obs": False,
    "learning_rate": 0.05,
    "target_rate": 0.2,
    "num_envs": 1,
    "batch_size": 32,
    "num_updates": 50,
    "layer_norm": False,
}
SPACES = {"discrete": Discrete(4), "continuous": Box(-2.0, 2.0, (2,))}


class World:
    """Where agents act while they learn from data: nothing happens, and it earns nothing."""

    def __init__(self, action_space, num_states=1):
        self.action_space, self.num_states = action_space, num_states

    def reset(self, key):
        obs = jnp.zeros(self.num_states).at[0].set(1.0)
        return obs, obs

    def step(self, key, state, action):
        from rlax_pref.types import TimeStep

        nothing = jnp.zeros(())
        return state, TimeStep(state, nothing, nothing, jnp.zeros((), bool), state)


def rows(state, action, reward, to, *, terminated=0, truncated=0):
    """Eight steps between states 0 and 1."""
    eight = lambda x, kind: np.broadcast_to(np.asarray(x, kind), (8,))
    one_hot = np.eye(2, dtype=np.float32)
    return Transition(
        one_hot[eight(state, int)],
        eight(action, np.int32),
        eight(reward, np.float32),
        1.0 - eight(terminated, np.float32),
        eight(truncated, bool),
        eight(1, bool),
        one_hot[eight(to, int)],
    )


def settings(name, **changes):
    cls = configs.AGENTS[name]
    known = {field.name for field in dataclasses.fields(cls)}
    return cls(**{k: v for k, v in (TABLE | changes).items() if k in known})


@partial(jax.jit, static_argnames="num_steps")
def learn(config, data, num_steps=40):
    """After so many rounds: what states 0 and 1 are worth `[2]`, what is done there `[2, 4]`."""
    agent = imitation.make(World(Discrete(4), 2), config, data)
    state, metrics = runner.run(agent, agent.init(jax.random.key(0)), num_steps)
    params = state.learner.params
    value = networks.value((), activation=config.activation)
    if "value" not in params:
        v = jnp.zeros(2)
    elif isinstance(config, configs.ODICE):
        v = networks.ensemble(value, 2).apply(params["value"], jnp.eye(2)).min(0)
    else:
        v = value.apply(params["value"], jnp.eye(2))
    actor = networks.policy(Discrete(4), (), activation=config.activation)
    probs = actor.apply(params["actor"], jnp.eye(2)).probs
    return v, probs, jax.tree.map(lambda x: x[-5:].mean(), metrics)


ARMS = np.array([0.0, 1.0, 2.0, 7.0])
BANDIT = rows(0, [0, 1, 2, 3] * 2, [*ARMS, *ARMS], 0, terminated=1)


# What values come to ------------------------------------------------------------------------


@pytest.mark.parametrize(("tau", "expected"), ((0.5, 2.5), (0.9, 5.5)))
def test_iql_values_a_bandit_by_its_expectile(tau, expected):
    v, probs, _ = learn(settings("iql", tau=tau), BANDIT)
    np.testing.assert_allclose(v[0], expected, atol=0.2)
    assert probs[0, 3] > 0.9


def test_iql_without_greed_is_imitation():
    _, probs, metrics = learn(settings("iql", inverse_temperature=0.0), BANDIT)
    np.testing.assert_allclose(probs[0], 0.25, atol=0.1)
    assert metrics["worth"] == 1


def test_xql_values_a_bandit_by_a_soft_maximum():
    v, probs, _ = learn(settings("xql", temperature=4.0, max_error=1e9), BANDIT)
    np.testing.assert_allclose(v[0], 4.0 * np.log(np.exp(ARMS / 4.0).mean()), atol=0.2)
    assert probs[0, 3] > 0.9


def test_awac_takes_the_best_arm():
    _, probs, metrics = learn(settings("awac"), BANDIT)
    assert probs[0, 3] > 0.9
    np.testing.assert_allclose(metrics["v"], 7.0, atol=0.5)  # of its own actions


@pytest.mark.parametrize("change", ({}, {"eta": 0.0}, {"project": False}))
def test_odice_values_a_terminal_state(change):
    """At lambda 0.8 it is r + 1.5, whichever the gradient: nothing follows."""
    v, *_ = learn(settings("odice", lambda_=0.8, **change), rows(0, 0, 2.0, 0, terminated=1))
    np.testing.assert_allclose(v[0], 3.5, atol=0.05)


def test_odice_imitates_what_is_better_than_expected():
    _, probs, _ = learn(settings("odice"), BANDIT)
    assert probs[0, 3] > 0.9


@pytest.mark.parametrize("name", ("iql", "odice"))
def test_values_go_beyond_a_time_limit_and_not_beyond_the_end(name):
    """A state that pays 1 for ever is worth 1 / (1 - gamma), though recordings of it are cut."""
    config = settings(name, discount=0.8, lambda_=0.5, tau=0.7)
    for ends, expected in (("truncated", 5.0), ("terminated", 1.0)):
        v, *_ = learn(config, rows(0, 0, 1.0, 0, **{ends: 1}))
        np.testing.assert_allclose(v[0], expected, rtol=0.05)


@pytest.mark.parametrize(("tau", "wins"), ((0.9, True), (0.5, False)))
def test_iql_joins_halves_of_trajectories(tau, wins):
    """Nobody who began at 0 got the prize of 1; from the crossing 1, others did, rarely.

    From 0 one may take 0.4 at once or go to the crossing, which behaviour makes worth 1 / 6.
    """
    data = rows(
        [0, 0, 1, 1, 1, 1, 1, 1],
        [0, 1, 0, 0, 0, 0, 0, 1],
        [0.4, 0, 0, 0, 0, 0, 0, 1.0],
        [0, 1, 1, 1, 1, 1, 1, 1],
        terminated=[1, 0, 1, 1, 1, 1, 1, 1],
    )
    _, probs, _ = learn(settings("iql", tau=tau, inverse_temperature=20.0), data)
    assert probs[1, 1] > 0.9
    assert probs[0, int(wins)] > 0.9


def test_bc_copies_what_was_done_and_the_best_share_only_the_best():
    """Trajectories of 2 steps; one in four takes action 1 and is paid."""
    action = [0, 0, 1, 1, 0, 0, 0, 0]
    data = rows([0, 1] * 4, action, action, 1, truncated=[0, 1] * 4)
    _, probs, _ = learn(settings("behaviour_cloning"), data)
    np.testing.assert_allclose(probs[:, 1], 0.25, atol=0.1)
    _, probs, metrics = learn(settings("behaviour_cloning", share=0.25), data)
    assert np.all(probs[:, 1] > 0.95) and metrics["log_prob"] > -0.1


# What a step is made of ---------------------------------------------------------------------


def minibatch(space, key=0):
    """Eight steps of all kinds, one of which is not valid."""
    keys = jax.random.split(jax.random.key(key), 4)
    if isinstance(space, Discrete):
        action = jax.random.randint(keys[0], (8,), 0, space.num)
    else:
        action = jax.random.uniform(keys[0], (8, *space.shape), minval=-1.0).at[0].set(1.0)
    return Transition(
        jax.random.normal(keys[1], (8, 3)),
        action,
        jax.random.normal(keys[2], (8,)),
        jnp.array([0.9] * 5 + [0.0] * 3),
        jnp.zeros(8, bool).at[1].set(True),
        jnp.ones(8, bool).at[2].set(False),
        jax.random.normal(keys[3], (8, 3)),
    )


def begin(method, config, data, seed=0):
    params = method.init(jax.random.key(seed), data.obs_tm1[:1], data.a_tm1[:1])
    other = method.init(jax.random.key(seed + 1), data.obs_tm1[:1], data.a_tm1[:1])
    return learning.Learner(
        params,
        {name: learning.optimizer(config).init(params[name]) for name in params},
        {name: other[name] for name in method.targets},
        None,
    )


def equal(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.fixture(scope="module", params=SPACES)
def iql(request):
    """A method, its config, a minibatch, a learner and a compiled update."""
    space = SPACES[request.param]
    config = configs.IQL(hidden=(4,), activation="tanh", tau=0.8, learning_rate=0.01)
    method = imitation.method(space, config)
    data = minibatch(space)
    learner = jax.jit(lambda: begin(method, config, data))()
    update = jax.jit(lambda learner, data: method.update(learner, data, jnp.ones(8), 0, None))
    return space, config, data, learner, update


def test_a_step_of_iql_by_hand(iql):
    """States by slow critics, the policy by the new values, then critics, then slow ones."""
    space, config, data, learner, update = iql
    value = networks.value((4,), activation="tanh")
    critic = learning.critics(space, config, 2)
    actor = networks.policy(space, (4,), activation="tanh", bounded=True)
    optimizer = optax.adam(0.01)
    mean = lambda x: jnp.where(data.valid_t, x, 0.0).sum() / 7
    pair = (data.obs_tm1, data.a_tm1)

    @jax.jit
    def by_hand(old, slow):
        def descend(name, loss):
            grads = jax.grad(loss)(old[name])
            return optax.apply_updates(
                old[name], optimizer.update(grads, optimizer.init(old[name]))[0]
            )

        q = critic.apply(slow, pair).min(0)
        v = descend("value", lambda p: mean(values.expectile(value.apply(p, data.obs_tm1), q, 0.8)))
        weight = jnp.minimum(jnp.exp(3.0 * (q - value.apply(v, data.obs_tm1))), 100.0)
        log_prob = lambda p: actor.apply(p, data.obs_tm1).log_prob(data.a_tm1)
        target = data.r_t + data.discount_t * value.apply(v, data.obs_t)
        errors = lambda p: critic.apply(p, pair) - target
        new = {
            "value": v,
            "actor": descend("actor", lambda p: mean(-weight * log_prob(p))),
            "critic": descend("critic", lambda p: mean(jnp.square(errors(p)).sum(0))),
        }
        slow = jax.tree.map(lambda x, y: y + 0.005 * (x - y), new["critic"], slow)
        return new, slow, jnp.abs(errors(old["critic"])).mean(0)

    new, slow, wanted = by_hand(learner.params, learner.target["critic"])
    found, error, _ = update(learner, data)
    close = partial(np.testing.assert_allclose, atol=1e-5)
    jax.tree.map(close, found.params, new)
    jax.tree.map(close, found.target["critic"], slow)
    close(error, wanted)


def test_values_and_policy_of_iql_ask_slow_critics_alone(iql):
    *_, data, learner, update = iql
    other = jax.tree.map(lambda x: x + 1.0, learner.params["critic"])
    same, *_ = update(learner._replace(params={**learner.params, "critic": other}), data)
    slow, *_ = update(learner._replace(target={"critic": other}), data)
    found, *_ = update(learner, data)
    for name in ("value", "actor"):
        assert equal(found.params[name], same.params[name])
        assert not equal(found.params[name], slow.params[name])


def test_what_is_not_valid_teaches_nothing(iql):
    *_, data, learner, update = iql
    changed = data._replace(
        r_t=data.r_t.at[2].set(1e3),
        obs_t=data.obs_t.at[2].set(5.0),
        obs_tm1=data.obs_tm1.at[2].set(5),
    )
    assert equal(update(learner, data)[0].params, update(learner, changed)[0].params)


def test_actions_at_the_bounds_are_finite(iql):
    """A squashed density is infinite there."""
    space, _, data, learner, update = iql
    if isinstance(space, Box):
        data = data._replace(a_tm1=jnp.sign(data.a_tm1))
    found, _, metrics = update(learner, data)
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves((found.params, metrics)))


def test_the_policy_stops_as_its_step_size_decays():
    config = configs.BehaviourCloning(hidden=(4,), decay_updates=10.0)
    method = imitation.method(SPACES["discrete"], config)
    data = minibatch(SPACES["discrete"])
    learner = jax.jit(lambda: begin(method, config, data))()
    update = jax.jit(lambda count: method.update(learner, data, jnp.ones(8), count, None)[0])
    moved = [
        optax.tree.norm(optax.tree.sub(update(count).params, learner.params))
        for count in (0, 5, 10, 20)
    ]
    np.testing.assert_allclose(np.array(moved) / moved[0], [1.0, 0.5, 0.0, 0.0], atol=1e-4)


def test_the_odice_step_is_the_orthogonal_direction():
    """With two values, each against the lesser of the slow ones, over valid rows."""
    config = configs.ODICE(hidden=(4,), activation="tanh", layer_norm=False, learning_rate=0.01)
    space = SPACES["discrete"]
    method = imitation.method(space, config)
    data = minibatch(space)
    learner = jax.jit(lambda: begin(method, config, data))()
    value = networks.ensemble(networks.value((4,), activation="tanh"), 2)
    twice = lambda x: jnp.stack([x, x])

    @jax.jit
    def by_hand(params, target):
        slow, slow_t = (value.apply(target, x).min(0) for x in (data.obs_tm1, data.obs_t))

        def losses(p):
            v, v_t = (value.apply(p, x) for x in (data.obs_tm1, data.obs_t))
            given = map(twice, (data.r_t, data.discount_t))
            parts = values.odice(*given, v, v_t, twice(slow), twice(slow_t))
            return jax.tree.map(lambda x: x[:, [0, 1, 3, 4, 5, 6, 7]], parts)

        grads, _ = values.odice_gradient(losses, params)
        new = learning.step_along(config, learner, "value", grads).params["value"]
        v = value.apply(new, data.obs_tm1).min(0)
        worth = jnp.clip(data.r_t + data.discount_t * slow_t - v, 0.0, 100.0)
        return new, jnp.where(data.valid_t, worth, 0.0).sum() / 7

    new, worth = by_hand(learner.params["value"], learner.target["value"])
    found, _, metrics = jax.jit(lambda: method.update(learner, data, jnp.ones(8), 0, None))()
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-4), found.params["value"], new)
    np.testing.assert_allclose(metrics["worth"], worth, atol=1e-4)


def test_xql_judges_large_errors_in_proportion():
    """Twice as far beyond the limit, the gradient is the same."""
    config = configs.XQL(hidden=(), max_error=1.0, learning_rate=0.01)
    method = imitation.method(SPACES["discrete"], config)
    data = minibatch(SPACES["discrete"])
    learner = jax.jit(lambda: begin(method, config, data))()

    @jax.jit
    def gradient(reward):
        paid = data._replace(r_t=jnp.full(8, reward))
        return method.update(learner, paid, jnp.ones(8), 0, None)[0].optimizer["critic"][1].mu

    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), gradient(1e3), gradient(2e3))


# How they fit together ----------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", NAMES)
def test_all_fit_together(name, space):
    env = World(SPACES[space], 3)
    agent = agents.make(
        name, env, {"num_envs": 2, "batch_size": 8, "warm_up": 16, "hidden": (4,), "num_updates": 2}
    )
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"log_prob", "worth", "return"} <= metrics.keys()
    act = lambda learner, key: agent.policy(learner).act((), jnp.zeros(3), key)[1]
    action = jax.eval_shape(act, state.learner, jax.random.key(0))
    assert action.shape == getattr(SPACES[space], "shape", ())


def test_no_name_hides_another():
    tables = [x for x in vars(configs).values() if isinstance(x, dict) and x is not configs.AGENTS]
    tables = [x for x in tables if set(x) <= set(configs.AGENTS)]
    assert sum(map(len, tables)) == len(configs.AGENTS) > 50


def test_a_config_of_no_agent_is_refused():
    with pytest.raises(
        ValueError, match="DQN is not one of BehaviourCloning, IQL, XQL, AWAC, ODICE"
    ):
        imitation.make(World(Discrete(2)), configs.DQN())


def test_a_larger_weight_is_that_of_advantages_times_the_number():
    """What multiplies is not what divides."""
    found = imitation._exponential(configs.IQL(inverse_temperature=3.0), jnp.array([0.5, 3.0]))
    np.testing.assert_allclose(found, [4.481689, 100.0], rtol=1e-5)
    assert policies.exponential_weight(jnp.float32(0.5), 3.0) < 1.2
