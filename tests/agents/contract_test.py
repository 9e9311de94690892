"""What every agent promises. A new agent joins with a line in `AGENTS`."""

import itertools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, envs
from rlax_pref.agents import runner
from rlax_pref.types import Box, Discrete

SMALL = {"num_envs": 4, "num_steps": 8, "num_epochs": 2, "num_minibatches": 2, "hidden": (8,)}
SMALL_STORE = {
    "num_envs": 4,
    "num_updates": 2,
    "batch_size": 8,
    "capacity": 64,
    "warm_up": 16,
    "hidden": (8,),
}
SMALL_MODEL = {
    "num_steps": 2,
    "num_encoder_updates": 2,
    "horizon": 2,
    "n_step": 2,
    "state_width": 8,
    "action_width": 4,
    "pair_width": 8,
    "num_atoms": 5,
}
SMALL_TOKENS = {"num_envs": 4, "group_size": 2, "network": "table"}
SMALL_TRANSFORMER = {"network": "transformer", "width": 8, "num_layers": 1, "num_heads": 2}
SMALL_DENOISING = {"num_envs": 4, "batch_size": 4, "num_steps": 2, "hidden": (8,), "warm_up": 2}
SMALL_SEGMENTS = {"num_envs": 4, "batch_size": 4, "length": 4, "burn_in": 2, "hidden": (8,)}

# What to call it: the agent, an environment, settings that keep it small.
AGENTS = {
    "awr, continuous": ("awr", "pendulum", SMALL),
    "awr, discrete": ("awr", "cartpole", SMALL),
    "cpl, discrete": ("cpl", "cartpole", SMALL_SEGMENTS),
    "decision_transformer, continuous": (
        "decision_transformer",
        "pendulum",
        SMALL_STORE | {"context": 3, "width": 8, "num_layers": 1},
    ),
    "dragon": (
        "dragon",
        "gaussian_mixture",
        SMALL_DENOISING | {"group_size": 4, "resample_every": 1},
    ),
    "dno_prct, table": (
        "dno_prct",
        "token_lock",
        SMALL_TOKENS | {"group_size": 3, "batch_size": 4, "num_judged": 4, "resample_every": 2},
    ),
    "grpo, transformer": ("grpo", "addition", SMALL_TOKENS | SMALL_TRANSFORMER),
    "ipl, continuous": (
        "ipl",
        "pendulum",
        SMALL_SEGMENTS | {"collect_every": 1, "num_rounds": 1, "candidates": 2},
    ),
    "mr_q, discrete": ("mr_q", "cartpole", SMALL_STORE | SMALL_MODEL),
    "ota, discrete": (
        "ota",
        "four_rooms",
        SMALL_STORE | {"num_features": 3, "subgoal_steps": 2, "option_steps": 2},
    ),
    "iql, discrete": ("iql", "cartpole", SMALL_STORE),
    "oreo, table": ("oreo", "token_lock", {"num_envs": 4, "batch_size": 4, "network": "table"}),
    "ppo, continuous": ("ppo", "pendulum", SMALL),
    "ppo, discrete": ("ppo", "cartpole", SMALL | {"normalize_reward": False}),
    "rainbow, discrete": ("rainbow", "cartpole", SMALL_STORE | {"num_atoms": 5}),
    "ravl, continuous": (
        "ravl",
        "pendulum",
        SMALL_STORE
        | {"num_rollouts": 8, "horizon": 2, "keep": 2, "model_updates": 2, "model_hidden": (4,)}
        | {"num_models": 2, "num_elites": 1, "num_critics": 3},
    ),
    "sac, continuous": ("sac", "pendulum", SMALL_STORE | {"normalize_obs": True}),
    "td3_bc, continuous": ("td3_bc", "pendulum", SMALL_STORE),
    "token_ppo, table": ("token_ppo", "token_lock", SMALL_TOKENS | {"num_minibatches": 1}),
    "trpo, continuous": ("trpo", "pendulum", SMALL),
    "trpo, discrete": ("trpo", "cartpole", SMALL),
    "vmpo, continuous": ("vmpo", "pendulum", SMALL),
    "vmpo, discrete": ("vmpo", "cartpole", SMALL),
}


def make(name):
    agent, env, settings = AGENTS[name]
    return agents.make(agent, envs.make(env), settings)


# What takes a minute or more to compile, or shares nearly all of it with another entry.
SLOW = {
    "awr, continuous",
    "cpl, discrete",
    "grpo, transformer",
    "mr_q, discrete",
    "ravl, continuous",
    "td3_bc, continuous",
    "trpo, discrete",
    "vmpo, discrete",
}

# What another entry shares the loop with, which is what is spread over devices.
SAME_LOOP = {
    "awr, discrete",
    "decision_transformer, continuous",
    "iql, discrete",
    "ota, discrete",
    "ppo, discrete",
    "vmpo, continuous",
}


@pytest.fixture(scope="module", params=AGENTS)
def name(request):
    if request.param in SLOW and "RLAX_PREF_SLOW" not in os.environ:
        pytest.skip("minutes; set RLAX_PREF_SLOW=1")
    return request.param


@pytest.fixture(scope="module")
def agent(name):
    return make(name)


@pytest.fixture(scope="module")
def init(agent):
    return jax.jit(agent.init)


@pytest.fixture(scope="module")
def traced(agent):
    """As long as `step` was traced often."""
    return []


@pytest.fixture(scope="module")
def step(agent, traced):
    return jax.jit(lambda state: traced.append(0) or agent.step(state))


@pytest.fixture(scope="module")
def states(init, step):
    """The states after 0, 1, 2 and 3 steps."""
    states = [init(jax.random.key(0))]
    for _ in range(3):
        states.append(step(states[-1])[0])
    return states


def plain(tree):
    """Leaves as NumPy arrays, keys as their numbers."""
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return [np.asarray(jax.random.key_data(x) if is_key(x) else x) for x in jax.tree.leaves(tree)]


def assert_same(a, b):
    for x, y in zip(plain(a), plain(b), strict=True):
        np.testing.assert_array_equal(x, y)


def assert_close(a, b, atol=1e-5):
    for x, y in zip(plain(a), plain(b), strict=True):
        np.testing.assert_allclose(x, y, atol=atol, rtol=1e-5)


def test_state_keeps_its_shape(step, states):
    """Steps can be scanned: shapes and dtypes never change, weak types included."""
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert all(shape(state) == shape(states[1]) for state in states)
    assert [int(state.step) for state in states] == [0, 1, 2, 3]


def test_step_learns_and_acts(states):
    """Parameters, environments and the key all move on."""
    for before, after in itertools.pairwise(states):
        for part in ("learner", "actor", "key"):
            pairs = zip(plain(getattr(before, part)), plain(getattr(after, part)), strict=True)
            assert any((x != y).any() for x, y in pairs), part


def test_actor_leads_with_environments(name, states):
    _, _, settings = AGENTS[name]
    assert {leaf.shape[0] for leaf in jax.tree.leaves(states[0].actor)} == {settings["num_envs"]}


def test_metrics_are_scalars(step, states):
    _, metrics = step(states[0])
    assert {"env_steps", "episodes", "return", "length"} <= metrics.keys()
    assert all(x.shape == () for x in metrics.values())
    ended = int(metrics["episodes"]) > 0
    for key, x in metrics.items():
        assert np.isfinite(x) or (key in ("return", "length") and not ended), key


def test_step_traces_once(step, states, traced):
    """However many steps are taken, from whatever state."""
    step(states[2])
    assert len(traced) == 1


def test_resume_is_exact(step, states):
    """A state taken off the device and put back goes on as if nothing had happened."""
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    saved = [
        (is_key(x), y) for x, y in zip(jax.tree.leaves(states[1]), plain(states[1]), strict=True)
    ]
    leaves = [jax.random.wrap_key_data(jnp.asarray(x)) if key else x for key, x in saved]
    state = jax.tree.unflatten(jax.tree.structure(states[1]), leaves)
    for _ in range(2):
        state, _ = step(state)
    assert_same(state, states[3])


def test_chunking_changes_nothing(agent, states):
    """One scan of three steps is three steps."""
    state, _ = jax.jit(lambda s: runner.run(agent, s, 3))(states[0])
    assert_same(state, states[3])


def test_seeds_are_a_batch_axis(agent, init, step):
    keys = jax.random.split(jax.random.key(5), 2)
    batch = jax.jit(jax.vmap(agent.init))(keys)
    batch, _ = jax.jit(jax.vmap(agent.step))(batch)
    for i in range(2):
        alone, _ = step(init(keys[i]))
        assert_close(jax.tree.map(lambda x: x[i], batch), alone)  # noqa: B023


def test_policy_acts_within_bounds(name, agent, states):
    """One observation in, one action out, of the kind the environment takes."""
    env = envs.make(AGENTS[name][1])
    policy = agent.policy(states[3].learner)
    key = jax.random.key(1)
    _, obs = env.reset(key)
    memory = policy.init(key)
    after, action = jax.jit(policy.act)(memory, obs, key)
    assert jax.tree.structure(after) == jax.tree.structure(memory)
    space = env.action_space
    if isinstance(space, Discrete):
        assert action.shape == () and 0 <= int(action) < space.num
    if isinstance(space, Box):
        assert action.shape == space.shape
        assert bool(jnp.all((space.low <= action) & (action <= space.high)))


def test_sharded_equals_single(name, on_four_devices):
    """On 4 devices: the same parameters, each with its share of environments, in the memory of the
    state given; devices send sums, and no rows of anything.
    """
    if name in SAME_LOOP and "RLAX_PREF_SLOW" not in os.environ:
        pytest.skip("as with others; set RLAX_PREF_SLOW=1")
    script = """
        import sys
        import jax, numpy as np
        sys.path.insert(0, sys.argv[1])
        import contract_test, toy
        from rlax_pref.agents import runner

        agent, key = contract_test.make(sys.argv[2]), jax.random.key(0)
        assert len(jax.devices()) == 4
        mesh = runner.make_mesh()
        state = runner.init(agent, key, mesh)
        for leaf in jax.tree.leaves(state.actor):
            assert leaf.addressable_shards[0].data.shape[0] * 4 == leaf.shape[0]
        program = runner.compile_chunk(agent, mesh, 2).lower(state, 2).compile()
        assert toy.collectives(program.as_text()) == {"all-reduce"}
        own = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(state))
        assert program.memory_analysis().alias_size_in_bytes == own
        spread = runner.train(agent, key, 2, every=2, mesh=mesh)
        single = runner.train(agent, key, 2, every=2, mesh=runner.make_mesh(jax.devices()[:1]))
        contract_test.assert_close(spread.learner, single.learner)
        print("equal")
        """
    assert on_four_devices(script, name) == "equal\n"
