"""The agent of choices between segments: every setting fits together, and policies learn."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, envs, networks, statistics
from rlax_pref.agents import preference_segments, runner
from rlax_pref.agents.configs import PREFERENCE_SEGMENTS
from rlax_pref.datasets import exchange
from rlax_pref.types import Box, Discrete, Preferences, Segments, TimeStep

N, L = 32, 3
SMALL = {
    "num_envs": N,
    "batch_size": N,
    "length": L,
    "burn_in": 2,
    "hidden": (8,),
    "learning_rate": 0.03,
}


class Count:
    """What is chosen is what is paid; an episode ends by itself after four steps, or is cut."""

    def __init__(self, action_space, cut=False):
        self.action_space, self.cut = action_space, cut

    def reset(self, key):
        return jnp.int32(0), jnp.zeros(2)

    def step(self, key, state, action):
        state, reward = state + 1, jnp.sum(action).astype(jnp.float32)
        obs = jnp.array([1.0, 0.0]) * state
        over = state >= 4
        discount = jnp.where(over & (not self.cut), 0.0, 1.0)
        return state, TimeStep(obs, reward, discount, over & self.cut, obs)


DISCRETE = Count(Discrete(2))
CONTINUOUS = Count(Box(-3.0, 1.0, (1,)))


def make(name, env, data=None, **settings):
    if name.startswith("cpl"):
        settings = {"imitation_steps": 2} | settings
    return preference_segments.make(env, agents.config_from(name, SMALL | settings), data)


def given(env, live=None):
    """Choices of one who prefers what pays more; live at all times by default."""
    key_a, key_s = jax.random.split(jax.random.key(3))
    space = env.action_space
    if isinstance(space, Discrete):
        action = jax.random.randint(key_a, (N, 2, L), 0, space.num)
        worth = action.sum(-1)
    else:
        action = jax.random.uniform(key_a, (N, 2, L, 1), minval=space.low, maxval=space.high)
        worth = action.sum((-2, -1))
    state = 0.01 * jax.random.normal(key_s, (N, 2, L + 1, 2))
    state += jax.random.bernoulli(key_s, shape=(N, 2, L + 1, 1))  # two places
    live = jnp.ones((N, 2, L), bool) if live is None else live
    p_first = 0.5 * (1 + jnp.sign(worth[:, 0] - worth[:, 1]))
    return Preferences(Segments(state, action, live), p_first.astype(jnp.float32), jnp.ones(N))


@pytest.mark.parametrize("env", [DISCRETE, CONTINUOUS])
@pytest.mark.parametrize("name", PREFERENCE_SEGMENTS)
def test_every_method_fits_together(name, env):
    """Traced, not run: all settings are known, and a step keeps the shape of the state."""
    agent = make(name, env, collect_every=2)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"return", "loss", "accuracy", "grad_norm"} <= metrics.keys()


@pytest.mark.parametrize("name", PREFERENCE_SEGMENTS)
def test_only_networks_are_of_lower_precision(name):
    """In bfloat16 every product of a layer is; what is kept and reported stays as it was."""
    agent = make(name, CONTINUOUS, collect_every=2, dtype="bfloat16")
    step = jax.make_jaxpr(lambda key: agent.step(agent.init(key)), return_shape=True)
    program, (state, metrics) = step(jax.random.key(0))
    kinds = {x.dtype for x in jax.tree.leaves((state.learner, metrics))}
    assert kinds == {np.dtype("float32"), np.dtype("int32")}
    products = [line for line in str(program).splitlines() if "= dot_general" in line]
    assert products and all(":bf16[" in line.split("=")[0] for line in products)


@partial(jax.jit, static_argnames=("name", "env", "steps"))
def learned(name, env, steps, data):
    """Actions in two states, and what the last step reports."""
    agent = make(name, env, data)
    state, metrics = runner.run(agent, agent.init(jax.random.key(0)), steps)
    policy = agent.policy(state.learner)
    act = lambda obs: policy.act((), obs, jax.random.key(0))[1]
    return jax.vmap(act)(jnp.array([[0.0, 0.0], [1.0, 1.0]])), metrics


@pytest.mark.parametrize(
    ("name", "env"),
    [("cpl", DISCRETE), ("cpl", CONTINUOUS), ("ipl", DISCRETE), ("segment_bc", CONTINUOUS)],
)
def test_learns_what_is_preferred(name, env):
    """Random actions pay 0.5, or -1; what is preferred pays more, and imitating it a little."""
    data = given(env)
    action, metrics = learned(name, env, 100, data)
    better = {"cpl": -0.5, "segment_bc": -0.9}
    assert action.mean() > better[name] if env is CONTINUOUS else (action == 1).all()
    if name == "cpl":  # turned round, the same choices teach the opposite
        action, _ = learned(name, env, 100, data._replace(p_first=1 - data.p_first))
        assert action.mean() < -1.5 if env is CONTINUOUS else (action == 0).all()
        assert metrics["accuracy"][-1] > 0.8


def test_what_follows_an_end_does_not_count():
    """Actions out of a terminal state, the choices' or not, change nothing."""
    live = jnp.ones((N, 2, L), bool).at[:, 0, 1:].set(False)
    data = given(DISCRETE, live)
    segments = data.segments
    other = segments._replace(action=jnp.where(live, segments.action, 1 - segments.action))
    for name in ("cpl", "ipl"):
        agent = make(name, DISCRETE)
        state = agent.init(jax.random.key(0))
        step = jax.jit(agent.step)
        after = []
        for seen in (segments, other):
            actor = state.actor._replace(pairs=data._replace(segments=seen))
            after.append(step(state._replace(actor=actor))[0].learner.params)
        a, b = after
        jax.tree.map(np.testing.assert_array_equal, a, b)


def test_own_segments_are_labelled_by_what_was_paid():
    """All of a terminal episode is seen: what comes after it is the last state again."""
    state = jax.jit(make("cpl", DISCRETE, length=6).init)(jax.random.key(0))
    pairs = jax.device_get(state.actor.pairs)
    segments = pairs.segments
    steps = np.arange(6)  # burn-in has taken two of four
    np.testing.assert_array_equal(segments.live, np.broadcast_to(steps < 2, (N, 2, 6)))
    count = np.minimum(2 + np.arange(7), 4)
    np.testing.assert_array_equal(segments.state[..., 0], np.broadcast_to(count, (N, 2, 7)))
    u = (segments.action * segments.live).sum(-1)
    np.testing.assert_array_equal(pairs.p_first, 0.5 * (1 + np.sign(u[:, 0] - u[:, 1])))
    assert pairs.weight.all() and 0 < (pairs.p_first == 0.5).mean() < 1


def test_asks_about_what_is_least_foreseen():
    """Of four pairs a row, the one whose margin under the policy is least clear."""
    law = networks.policy(CONTINUOUS.action_space, (8,))
    margin = {}
    for num in (1, 4):
        agent = make("cpl", CONTINUOUS, collect_every=1, num_rounds=1, candidates=num)
        first = jax.jit(agent.init)(jax.random.key(0))._replace(step=jnp.int32(1))
        after, metrics = jax.jit(agent.step)(first)
        obs, action, live = after.actor.pairs.segments
        learner = first.learner
        obs = statistics.normalize(learner.obs, obs[..., :-1, :])
        action = networks.from_env(CONTINUOUS.action_space, action)
        u = (law.apply(learner.params["policy"], obs).log_prob(action) * live).sum(-1)
        margin[num] = np.abs(u[:, 0] - u[:, 1]).mean()
        assert metrics["env_steps"] == 2 * N * (num * L + 1)
    assert margin[4] < 0.5 * margin[1]
    with pytest.raises(ValueError, match="candidates=0 must be at least 1"):
        make("cpl", CONTINUOUS, candidates=0)


def test_pairs_cut_by_a_time_limit_do_not_count():
    init = lambda cut: jax.jit(make("cpl", Count(Discrete(2), cut=True), length=cut).init)
    assert not init(3)(jax.random.key(0)).actor.pairs.weight.any()
    assert init(2)(jax.random.key(0)).actor.pairs.weight.all()  # it ends where the segment does


def test_new_pairs_take_turns():
    """Every second step begins with fresh segments of the policy, in every fourth row."""
    agent = make("cpl", CONTINUOUS, collect_every=2, num_rounds=4)
    step, state = jax.jit(agent.step), jax.jit(agent.init)(jax.random.key(0))
    seen, taken = [np.asarray(state.actor.pairs.segments.action)], []
    for _ in range(7):
        state, metrics = step(state)
        seen.append(np.asarray(state.actor.pairs.segments.action))
        taken.append(int(metrics["env_steps"]))
    fresh = [(a != b).any((1, 2, 3)) for a, b in itertools.pairwise(seen)]
    rows = np.arange(N) % 4
    for i, changed in enumerate(fresh):
        expected = rows == i // 2 - 1 if i % 2 == 0 else np.zeros(N, bool)
        np.testing.assert_array_equal(changed, expected)
    made = 2 * L * N // 4
    assert taken == [2 * N + made * (i in (2, 4, 6)) for i in range(7)]


def test_an_imitation_is_what_cpl_kl_compares_with():
    """It is kept where imitation ends, and Adam begins anew there."""
    agent = make("cpl_kl", DISCRETE, given(DISCRETE), imitation_steps=2)
    step, states = jax.jit(agent.step), [agent.init(jax.random.key(0))]
    for _ in range(4):
        states.append(step(states[-1])[0])
    for after in (3, 4):
        reference, imitated = states[after].learner.reference, states[2].learner.params["policy"]
        jax.tree.map(np.testing.assert_array_equal, reference, imitated)
    assert [int(s.learner.optimizer.count) for s in states] == [0, 1, 2, 1, 2]


def test_slow_critics_follow():
    agent = make("ipl", CONTINUOUS, given(CONTINUOUS), target_rate=0.25)
    before = agent.init(jax.random.key(0)).learner
    after = jax.jit(agent.step)(agent.init(jax.random.key(0)))[0].learner
    jax.tree.map(
        lambda slow, old, new: np.testing.assert_allclose(slow, old + (new - old) / 4, atol=1e-6),
        after.reference,
        before.params["q"],
        after.params["q"],
    )


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("cpl", {"loss": "clp"}, "Unknown loss 'clp'. Did you mean 'cpl'"),
        ("cpl", {"imitated": "some"}, "Unknown imitated 'some'"),
        ("cpl", {"batch_size": 12}, "num_envs=32 must be a multiple of batch_size=12"),
        ("ipl", {"num_rounds": 5}, "num_envs=32 must be a multiple of num_rounds=5"),
        ("cpl_kl", {"imitation_steps": 0}, "imitation_steps must be positive"),
        ("ipl", {"dtype": "int8"}, "dtype='int8' must be one of float32"),
    ],
)
def test_says_what_does_not_fit(name, settings, message):
    with pytest.raises(ValueError, match=message):
        make(name, envs.make("cartpole"), **settings)


def test_there_are_as_many_pairs_as_are_given(tmp_path):
    """Some of them again, so that all minibatches are full; and a file is as good as its arrays."""
    data = jax.tree.map(lambda x: x[:10], given(DISCRETE))
    exchange.save(tmp_path / "choices", exchange.from_preferences(data))
    for given_as in (data, tmp_path / "choices"):
        settings = SMALL | {"batch_size": 8, "imitation_steps": 2, "num_rounds": 4}
        agent = agents.make("cpl", DISCRETE, settings, given_as)
        state = jax.jit(agent.init)(jax.random.key(0))
        pairs = state.actor.pairs
        again = jax.tree.map(lambda x: jnp.concatenate([x, x[:6]]), data)
        jax.tree.map(np.testing.assert_array_equal, pairs, again)


def test_says_which_data_do_not_fit():
    data = given(DISCRETE)
    flat = data._replace(segments=data.segments._replace(state=data.segments.state[..., 0]))
    with pytest.raises(ValueError, match=r"they must be \[N, 2, L \+ 1, D\]"):
        make("cpl", DISCRETE, flat)
    with pytest.raises(ValueError, match="data has segments of 3 steps, and length=5"):
        make("cpl", DISCRETE, given(DISCRETE), collect_every=1, length=5)
