"""The Decision Transformer: what it reads, what it may see, and that it does what is asked for."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, buffers, networks, statistics
from rlax_pref.agents import configs, decision_transformer, learning, runner
from rlax_pref.types import Box, Discrete, TimeStep, Transition

K, D = 5, 2
SPACES = {"discrete": Discrete(3), "continuous": Box(-2.0, 4.0, (3,))}
SMALL = {"num_envs": 1, "context": K, "width": 8, "num_layers": 1, "num_heads": 2, "max_length": 9}


class Ladder:
    """Three steps; action 1 earns 1 a step, action 0 nothing."""

    def __init__(self, action_space=Discrete(2), length=3):  # noqa: B008
        self.action_space, self.length = action_space, length

    def observe(self, time):
        return jnp.stack([jnp.float32(time), jnp.float32(1.0)])

    def reset(self, key):
        return jnp.int32(0), self.observe(0)

    def step(self, key, state, action):
        state = state + 1
        reward = jnp.float32(action == 1) if action.ndim == 0 else jnp.tanh(action).sum()
        over = jnp.float32(state < self.length)
        obs = self.observe(state)
        return state, TimeStep(obs, reward, over, jnp.bool_(False), obs)


def stored(rewards, last, space=SPACES["discrete"], valid=None, terminated=None):
    """Rows with observations that number them."""
    num = len(rewards)
    index = jnp.arange(num)
    action = index % 3
    if isinstance(space, Box):
        action = jnp.stack([jnp.sin(index + i) for i in range(3)], -1)
    ended = jnp.zeros(num, bool) if terminated is None else jnp.asarray(terminated, bool)
    return Transition(
        jnp.stack([index, -index], -1).astype(jnp.float32),
        action,
        jnp.asarray(rewards, jnp.float32),
        1.0 - ended,
        jnp.asarray(last, bool) & ~ended,
        jnp.ones(num, bool) if valid is None else jnp.asarray(valid, bool),
        jnp.zeros((num, 2)),
    )


def read_all(data, num_rows, **changes):
    """What is read of every row of the stores, and what the learner knows before it."""
    config = configs.DecisionTransformer(**SMALL | {"normalize_obs": False} | changes)
    env = Ladder(Discrete(3))
    method = decision_transformer.method(env, config, data)

    @jax.jit
    def read():
        params = method.init(jax.random.key(0), jnp.zeros((1, D)), data.a_tm1[:1])
        learner = learning.Learner(params, {}, {}, statistics.init(jnp.zeros(D)))
        replay = buffers.from_rows(data, config.num_envs)
        learner, metrics = method.begin(learner, replay, None, None)
        rows = jnp.tile(jnp.arange(num_rows), (config.num_envs, 1))
        return method.read(learner, method.prepare(replay), rows, None), metrics, learner.params

    return read()


# The network --------------------------------------------------------------------------------


def example():
    """A context of K steps."""
    keys = jax.random.split(jax.random.key(2), 3)
    shapes = (K,), (K, D), (K, 3)
    return *map(jax.random.normal, keys, shapes), jnp.arange(2, 2 + K)


# What is read -------------------------------------------------------------------------------


def test_contexts_stay_within_trajectories():
    data = stored([1, 2, 3, 10, 20], [0, 0, 1, 0, 1])
    batch, metrics, params = read_all(data, 5, return_scale=1.0)
    assert metrics["best_return"] == 30.0
    there = np.array([1, 2, 3, 1, 2])  # steps up to each row
    np.testing.assert_array_equal(batch.valid[0].sum(-1), there)
    np.testing.assert_array_equal(batch.contexts.to_go[0, 2, :3], [6.0, 5.0, 3.0])
    np.testing.assert_array_equal(batch.contexts.to_go[0, 1, :2], [6.0, 5.0])  # of the whole
    np.testing.assert_array_equal(batch.contexts.to_go[0, 4, :2], [30.0, 20.0])
    np.testing.assert_array_equal(batch.contexts.obs[0, 4, :2, 0], [3, 4])
    np.testing.assert_array_equal(batch.contexts.time[0, 4, :2], [0, 1])
    np.testing.assert_array_equal(batch.contexts.action[0, 2, :3], np.eye(3))
    assert params["returns"]["scale"] == 1.0


def test_a_context_is_the_last_steps():
    batch, *_ = read_all(stored(np.ones(8), np.arange(8) == 7), 8, context=3)
    np.testing.assert_array_equal(batch.contexts.obs[0, 6, :, 0], [4, 5, 6])
    np.testing.assert_array_equal(batch.contexts.time[0, 6], [4, 5, 6])
    np.testing.assert_allclose(batch.contexts.to_go[0, 6], np.array([4, 3, 2]) / 8)
    assert np.all(batch.valid[0, 6])


def test_trajectories_go_on_from_store_to_store():
    """Returns to go and times are of all that was given, contexts of one store."""
    data = stored([1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 0, 0, 1, 0])
    batch, metrics, _ = read_all(data, 4, num_envs=2, return_scale=1.0)
    assert metrics["best_return"] == 21.0
    np.testing.assert_array_equal(batch.contexts.to_go[0, 3, :4], [21, 20, 18, 15])
    np.testing.assert_array_equal(batch.contexts.to_go[1, 1, :2], [11, 6])
    np.testing.assert_array_equal(batch.contexts.time[1, 1, :2], [4, 5])
    np.testing.assert_array_equal(batch.valid[1].sum(-1), [1, 2, 1, 0])  # the last is padding


def test_what_is_not_valid_is_not_learned_from():
    data = stored([1, 2, 3, 4], [0, 0, 0, 1], valid=[1, 1, 0, 1])
    batch, metrics, _ = read_all(data, 4, return_scale=1.0)
    np.testing.assert_array_equal(batch.valid[0].sum(-1), [1, 2, 2, 1])
    np.testing.assert_array_equal(batch.contexts.to_go[0, 1, :2], [6, 5])
    assert metrics["best_return"] == 6.0


def test_rewards_are_scaled_and_shifted_first():
    data = stored([1, 2, 3], [0, 0, 1])
    batch, metrics, _ = read_all(data, 3, return_scale=2.0, reward_scale=10.0, reward_shift=-1.0)
    assert metrics["best_return"] == 57.0
    np.testing.assert_array_equal(batch.contexts.to_go[0, 2, :3], np.array([57, 48, 29]) / 2)


# How it learns and acts ---------------------------------------------------------------------


@pytest.mark.parametrize("space", SPACES)
def test_padding_and_what_is_not_valid_teach_nothing(space):
    config = configs.DecisionTransformer(**SMALL)
    space = SPACES[space]
    method = decision_transformer.method(Ladder(space), config)
    to_go, obs, action, time = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), example())
    action = jax.nn.one_hot(jnp.argmax(action, -1), 3) if isinstance(space, Discrete) else action
    contexts = decision_transformer.Contexts(to_go, obs, action, time)
    valid = jnp.arange(K) < jnp.array([[2], [K]])
    first = jnp.zeros((), int) if isinstance(space, Discrete) else jnp.zeros(3)
    params = method.init(jax.random.key(0), jnp.zeros((1, D)), first[None])
    optimizer = {name: learning.optimizer(config).init(params[name]) for name in params}
    learner = learning.Learner(params, optimizer, {}, statistics.init(jnp.zeros(D)))
    update = jax.jit(
        lambda contexts: method.update(
            learner, decision_transformer.Batch(contexts, valid), jnp.ones(2), 0, None
        )
    )
    changed = jax.tree.map(lambda x: x.at[0, 2:].set(1), contexts)
    found, error, metrics = update(contexts)
    same, error_same, _ = update(changed)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), found.params, same.params)
    np.testing.assert_allclose(error, error_same, atol=1e-6)
    # The mean over valid steps: 2 of the first context, 5 of the second.
    np.testing.assert_allclose(metrics["action_loss"], (2 * error[0] + 5 * error[1]) / 7, rtol=1e-5)
    if isinstance(space, Discrete):
        np.testing.assert_allclose(error, np.log(3.0), atol=0.1)  # even at first


@pytest.fixture(scope="module", params=SPACES)
def learned(request):
    """Random parameters, and an episode that a policy of them went through."""
    space = SPACES[request.param]
    config = configs.DecisionTransformer(
        **SMALL | {"context": 3, "target_return": 9.0, "return_scale": 2.0, "reward_scale": 0.5}
    )
    env = Ladder(space, 7)
    method = decision_transformer.method(env, config)
    first = jnp.zeros((1, *getattr(space, "shape", ())), int)
    params = method.init(jax.random.key(0), jnp.zeros((1, D)), first)
    noise = jax.random.normal(jax.random.key(1), (10_000,))
    wild = jax.tree.map(lambda p: p + 0.3 * noise[: p.size].reshape(p.shape), params["network"])
    params = {"network": wild, "returns": {"best": jnp.float32(1.0), "scale": jnp.float32(2.0)}}
    seen = statistics.update(statistics.init(jnp.zeros(D)), jnp.arange(12.0).reshape(6, D))
    learner = learning.Learner(params, {}, {}, seen)
    policy = method.policy(learner)

    @jax.jit
    def live():
        def one(carry, _):
            memory, state, obs = carry
            memory, action = policy.act(memory, obs, jax.random.key(0))
            state, timestep = env.step(None, state, action)
            return (policy.observe(memory, timestep), state, timestep.obs), (
                obs,
                action,
                timestep.reward,
            )

        state, obs = env.reset(None)
        return jax.lax.scan(one, (policy.init(None), state, obs), length=7)[1]

    return space, learner, live()


def test_acting_is_reading_what_was_done(learned):
    """Scale, shift, statistics, times and window are those of learning."""
    space, learner, (obs, action, reward) = learned
    earned = jnp.cumsum(0.5 * reward) - 0.5 * reward
    done = networks.from_env(space, action)
    network = networks.decision_transformer(3, 9, width=8, num_layers=1, num_heads=2)
    to_go = (9.0 - earned) / 2.0
    numbers = jax.nn.one_hot(done, 3) if isinstance(space, Discrete) else done
    seen = statistics.normalize(learner.obs, obs)
    for t in range(7):
        rows = slice(max(0, t - 2), t + 1)
        x = (to_go[rows], seen[rows], numbers[rows], jnp.arange(7)[rows])
        output = network.apply(learner.params["network"], x)[-1]
        if isinstance(space, Discrete):
            assert action[t] == jnp.argmax(output)
        else:
            np.testing.assert_allclose(done[t], jnp.tanh(output), atol=1e-5)
    assert len(np.unique(np.asarray(action), axis=0)) > 1


@pytest.mark.parametrize("pieces", [{}, {"mlp_embeddings": True, "mlp_head": True}])
@pytest.mark.parametrize("space", SPACES)
def test_all_fit_together(space, pieces):
    settings = SMALL | {"num_envs": 2, "batch_size": 8, "warm_up": 16, "bounded": not pieces}
    agent = agents.make("decision_transformer", Ladder(SPACES[space]), settings | pieces)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"action_loss", "best_return", "return"} <= metrics.keys()


@pytest.fixture(scope="module")
def returns():
    """`[4]` what is earned by who asks for 0, 1, 2 and 3 of random actions on the ladder."""
    key_action, key_learn = jax.random.split(jax.random.key(0))
    num = 3 * 60
    action = jax.random.randint(key_action, (num,), 0, 2)
    time = jnp.arange(num) % 3
    data = Transition(
        jax.vmap(Ladder().observe)(time),
        action,
        action.astype(jnp.float32),
        jnp.float32(time != 2),
        jnp.zeros(num, bool),
        jnp.ones(num, bool),
        jax.vmap(Ladder().observe)(time + 1),
    )
    settings = {"learning_rate": 3e-3, "ramp_updates": 10.0, "num_updates": 150, "context": 3}
    config = configs.DecisionTransformer(**SMALL | settings)

    def asking(target):
        return decision_transformer.make(
            Ladder(), dataclasses.replace(config, target_return=target), data
        )

    @jax.jit
    def earn():
        agent = asking(jnp.inf)
        state, metrics = agent.step(agent.init(key_learn))
        earned = lambda agent: runner.evaluate(
            Ladder(), agent.policy(state.learner), key_learn, 1, 3
        )["return"][0]
        asked = jax.vmap(lambda target: earned(asking(target)))(jnp.arange(4.0))
        return asked, earned(agent), metrics["best_return"]

    return earn()


def test_who_asks_for_more_earns_more(returns):
    """Exactly what was asked for: the reward of each step is taken off what is still to come."""
    asked, *_ = returns
    np.testing.assert_array_equal(asked, [0.0, 1.0, 2.0, 3.0])


def test_by_default_the_best_of_the_data_is_asked_for(returns):
    _, earned, best = returns
    assert earned == best == 3.0


def test_only_learning_drops_out():
    """By the key of the minibatch; nothing is left out by default, or where it acts."""
    contexts = decision_transformer.Contexts(*jax.tree.map(lambda x: x[None], example()))
    contexts = contexts._replace(action=jnp.ones((1, K, 2)) / 2)
    batch = decision_transformer.Batch(contexts, jnp.ones((1, K), bool))

    def losses(dropout):
        config = configs.DecisionTransformer(**SMALL, dropout=dropout)
        method = decision_transformer.method(Ladder(), config)
        params = method.init(jax.random.key(0), jnp.zeros((1, D)), jnp.zeros(1, int))
        params = {**params, "network": jax.tree.map(lambda x: x + 0.1, params["network"])}
        optimizer = {name: learning.optimizer(config).init(params[name]) for name in params}
        learner = learning.Learner(params, optimizer, {}, statistics.init(jnp.zeros(D)))
        update = jax.jit(lambda key: method.update(learner, batch, jnp.ones(1), 0, key)[1])
        return [float(update(jax.random.key(i))[0]) for i in (0, 1)]

    one, other = losses(0.5)
    assert one != other
    one, other = losses(0.0)
    assert one == other


def test_step_sizes_rise_and_parameters_shrink():
    config = configs.DecisionTransformer(**SMALL | {"weight_decay": 0.5, "learning_rate": 0.1})
    method = decision_transformer.method(Ladder(), config)
    contexts = decision_transformer.Contexts(*jax.tree.map(lambda x: x[None], example()))
    contexts = contexts._replace(action=jnp.ones((1, K, 2)) / 2)
    params = method.init(jax.random.key(0), jnp.zeros((1, D)), jnp.zeros(1, int))
    optimizer = {name: learning.optimizer(config).init(params[name]) for name in params}
    learner = learning.Learner(params, optimizer, {}, statistics.init(jnp.zeros(D)))
    nothing = decision_transformer.Batch(contexts, jnp.zeros((1, K), bool))
    update = jax.jit(
        lambda count: method.update(learner, nothing, jnp.ones(1), count, None)[0].params["network"]
    )
    for count, share in ((0, 1e-4), (4_999, 0.5), (9_999, 1.0), (50_000, 1.0)):
        shrunk = jax.tree.map(lambda x: (1 - 0.05 * share) * x, params["network"])  # noqa: B023
        jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), update(count), shrunk)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"collect": True}, "collect must be False"),
        ({"context": 0}, "context=0 must be at least 1"),
        ({"num_heads": 3}, "width=8 must be a multiple of num_heads=3"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        agents.make("decision_transformer", Ladder(), SMALL | settings)


def test_observations_that_are_no_vectors_are_refused():
    class Picture(Ladder):
        def observe(self, time):
            return jnp.zeros((2, 2))

    with pytest.raises(ValueError, match=r"observations \[D\], not \(2, 2\)"):
        agents.make("decision_transformer", Picture(), SMALL)
