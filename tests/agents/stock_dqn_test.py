"""D-eta-N: the stock is kept, shown and learned from, and decisions turn on it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import agents
from rlax_pref.agents import runner, stock_dqn
from rlax_pref.agents.configs.augmented import StockDQN
from rlax_pref.envs import AutoReset
from rlax_pref.types import Box, Discrete, TimeStep, Transition

SMALL = {
    "num_envs": 4,
    "num_updates": 4,
    "batch_size": 64,
    "capacity": 1024,
    "warm_up": 256,
    "hidden": (32,),
    "num_atoms": 8,
    "learning_rate": 5e-3,
    "target_rate": 0.05,
    "epsilon_end": 0.5,
}
SAFE, RISKY = 0, 1


class Gift:
    """First 0 or 2 is given, which is not to be seen. Then safe pays 1, risky 0 or 3, doubled."""

    action_space = Discrete(2)

    def reset(self, key):
        return jnp.int32(0), jnp.array([1.0, 0.0])

    def step(self, key, time, action):
        lucky = jax.random.bernoulli(key)
        gift, prize = 2.0 * lucky, jnp.where(action == SAFE, 1.0, 3.0 * lucky)
        last = time == 1
        obs = jnp.where(last, jnp.zeros(2), jnp.array([0.0, 1.0]))
        reward = jnp.where(last, 2.0 * prize, gift)
        return time + 1, TimeStep(obs, reward, 1.0 - last, jnp.zeros((), bool), obs)


class Lottery:
    """One step: safe costs 2; risky costs nothing, but 6 one time in four."""

    action_space = Discrete(2)

    def reset(self, key):
        return (), jnp.ones(1)

    def step(self, key, state, action):
        lost = jax.random.bernoulli(key, 0.25)
        reward = jnp.where(action == SAFE, -2.0, -6.0 * lost)
        return state, TimeStep(jnp.ones(1), reward, jnp.zeros(()), jnp.zeros((), bool), jnp.ones(1))


class Noise:
    """Pays anything, and never ends but at its time limit."""

    action_space = Discrete(2)

    def reset(self, key):
        return jnp.int32(0), jnp.zeros(1)

    def step(self, key, time, action):
        reward, time = jax.random.normal(key) + action, time + 1
        return time, TimeStep(jnp.ones(1), reward, jnp.ones(()), time == 4, jnp.ones(1))


def make(env, **more):
    return stock_dqn.make(env, agents.config_from("stock_dqn", SMALL | more))


@jax.jit
def walk(key, discount, scale):
    """`[T]` steps in a world that shows its stock, and what was stored of them, were they data."""
    config = StockDQN(discount=discount, reward_scale=scale, reward_shift=0.5)
    env = AutoReset(stock_dqn.WithStock(Noise(), config))
    state, obs = env.reset(key)

    def step(carry, key):
        state, obs = carry
        state, timestep = env.step(key, state, jnp.int32(1))
        return (state, timestep.obs), (obs, timestep)

    _, (obs, timestep) = jax.lax.scan(step, (state, obs), jax.random.split(key, 12))
    flag = timestep.truncated
    raw = Transition(
        obs[:, :1], flag, timestep.reward, timestep.discount, flag, ~flag, timestep.last_obs[:, :1]
    )
    return obs, timestep, stock_dqn.with_stock(config, raw)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 99), st.floats(0.5, 1.0, width=32), st.floats(-3.0, 3.0, width=32))
def test_stock_and_return_stay_what_they_were(seed, discount, start):
    """discount^t (c_t + G_t) = c_0 + G_0 along whatever is walked, whatever it begins with."""
    obs, timestep, data = walk(jax.random.key(seed), discount, 2.0)
    np.testing.assert_array_equal(data.obs_tm1, obs)  # data know the same stocks,
    np.testing.assert_array_equal(data.obs_t, timestep.last_obs)  # before a reset and after it
    earned = 2.0 * np.asarray(timestep.reward) + 0.5
    for first in (0, 4, 8):  # an episode has four steps
        to_come = [0.0]
        for r in earned[first : first + 4][::-1]:
            to_come.append(r + discount * to_come[-1])
        to_come = np.array(to_come[::-1])
        shown = np.concatenate([obs[first : first + 4], timestep.last_obs[first + 3][None]])
        stock, scale = shown[:, 1], shown[:, 2]
        np.testing.assert_allclose(scale, discount ** np.arange(5), rtol=1e-5)
        stock = stock + start / scale
        total = discount ** np.arange(5) * (stock + to_come)
        np.testing.assert_allclose(total, start + to_come[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("utility", ["cvar", "homeostatic", "neutral"])
@pytest.mark.parametrize("critic", ["quantiles", "implicit_quantiles"])
def test_it_fits_together(critic, utility):
    """Traced, not run; offline and with other pieces of DQN, too."""
    for more in ({}, {"collect": False, "normalize_obs": True, "n_step": 3, "noisy": True}):
        agent = make(Gift(), critic=critic, utility=utility, **more)
        state = jax.eval_shape(agent.init, jax.random.key(0))
        after, _ = jax.eval_shape(agent.step, state)
        shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
        assert shape(after) == shape(state)
        evaluate = lambda state, agent=agent: runner.evaluate(
            Gift(), agent.policy(state.learner), jax.random.key(0), 2, 3
        )
        assert jax.eval_shape(evaluate, state)["return"].shape == (2,)


def test_the_stock_turns_the_decision():
    """To come to 3 in all one is content after a gift and takes the risk without: same sight."""
    agent = make(
        Gift(),
        utility="homeostatic",
        target=3.0,
        discount=0.5,
        lowest_start=-4.0,
        highest_start=0.0,
    )
    run = jax.jit(lambda key: runner.run(agent, agent.init(key), 500)[0].learner)
    policy = agent.policy(run(jax.random.key(0)))
    act = jax.jit(policy.act)
    for gift, best in ((2.0, SAFE), (0.0, RISKY)):
        key = jax.random.key(1)
        memory, _ = act(policy.init(key), jnp.array([1.0, 0.0]), key)
        seen = jnp.array([0.0, 1.0])
        step = TimeStep(seen, jnp.float32(gift), jnp.ones(()), jnp.zeros((), bool), seen)
        memory = policy.observe(memory, step)
        (begun, start), stock = memory
        assert begun and start == -3.0
        np.testing.assert_allclose(stock, (gift / 0.5, 0.5))  # (c + r) / discount
        assert act(memory, seen, key)[1] == best


def test_the_start_is_found_for_the_worst_share():
    """Who minds the worst quarter pays 2 and begins with 2; who does not, risks it."""

    @partial(jax.jit, static_argnums=1)
    def learn(tau, num_steps):
        agent = make(Lottery(), tau=tau, lowest_start=0.0, highest_start=8.0, num_starts=33)
        state, _ = runner.run(agent, agent.init(jax.random.key(0)), num_steps)
        policy, key = agent.policy(state.learner), jax.random.key(1)
        (memory, _), action = policy.act(policy.init(key), jnp.ones(1), key)
        return memory[1], action

    start, action = learn(0.25, 400)
    assert action == SAFE
    np.testing.assert_allclose(start, 2.0, atol=0.5)
    assert learn(1.0, 400)[1] == RISKY


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"critic": "c51"}, "critic='c51': stock_dqn needs quantiles"),
        ({"utility": "gain"}, "Unknown utility 'gain'"),
    ],
)
def test_settings_that_do_not_fit(more, message):
    with pytest.raises(ValueError, match=message):
        make(Gift(), **more)


def test_actions_are_discrete():
    env = Gift()
    env.action_space = Box(-1.0, 1.0, (1,))
    with pytest.raises(ValueError, match="D-eta-N needs discrete actions"):
        make(env)
