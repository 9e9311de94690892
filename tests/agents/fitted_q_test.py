"""Fitted Q evaluation with networks: it comes to the exact value, of a policy that never acted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import metrics
from rlax_pref.agents import configs, fitted_q, runner
from rlax_pref.types import Box, Discrete, Policy, TimeStep, Transition

KEY = jax.random.key(0)
S, DISCOUNT, RIGHT = 3, 0.9, 0.8
TABLE = {
    "hidden": (),
    "num_envs": 1,
    "batch_size": 64,
    "num_updates": 100,
    "learning_rate": 0.03,
    "target_rate": 0.1,
    "discount": DISCOUNT,
    "num_samples": 4000,
}


class Walk:
    """States 0 to 2 in a row, as one-hot; right of the last one it ends and pays 1."""

    action_space = Discrete(2)

    def reset(self, key):
        return jnp.int32(0), jnp.eye(S)[0]

    def step(self, key, state, action):
        after = jnp.maximum(state + 2 * action - 1, 0)
        obs, over = jnp.eye(S)[jnp.minimum(after, S - 1)], (after == S).astype(jnp.float32)
        return after, TimeStep(obs, over, 1.0 - over, jnp.zeros((), bool), obs)


def steps():
    """Every action in every state, as a policy that knows nothing takes them."""
    state, action = (x.ravel() for x in jnp.meshgrid(jnp.arange(S), jnp.arange(2), indexing="ij"))
    _, timestep = jax.vmap(Walk().step, in_axes=(None, 0, 0))(KEY, state, action)
    yes = jnp.ones(2 * S, bool)
    return Transition(
        jnp.eye(S)[state],
        action,
        timestep.reward,
        timestep.discount,
        timestep.truncated,
        yes,
        timestep.obs,
    )


def exact():
    """`[S]` values of going right so often."""
    transition, reward = np.zeros((S, S)), np.zeros(S)
    for state in range(S):
        transition[state, max(state - 1, 0)] += 1 - RIGHT
        if state < S - 1:
            transition[state, state + 1] += RIGHT
        else:
            reward[state] = RIGHT
    return np.linalg.solve(np.eye(S) - DISCOUNT * transition, reward)


def rightward():
    act = lambda memory, obs, key: (memory, jax.random.bernoulli(key, RIGHT).astype(jnp.int32))
    return Policy(lambda key: (), act)


def test_it_comes_to_the_exact_value():
    """As does regression on the same steps, one action at a time."""
    config = configs.FittedQ(**TABLE)
    agent = fitted_q.make(Walk(), rightward(), config, steps())

    @jax.jit
    def learn(key):
        state, _ = runner.run(agent, agent.init(key), 30)
        return fitted_q.estimate(Walk(), rightward(), config, state.learner, jnp.eye(S), key)

    found = learn(KEY)
    np.testing.assert_allclose(found, exact(), atol=0.05)
    data, probs = steps(), jnp.array([1 - RIGHT, RIGHT])
    pairs = lambda obs, action: jax.vmap(jnp.kron)(obs, action)
    w = metrics.fitted_q_evaluation(
        pairs(data.obs_tm1, jax.nn.one_hot(data.a_tm1, 2)),
        data.r_t,
        DISCOUNT * data.discount_t,
        pairs(data.obs_t, jnp.tile(probs, (2 * S, 1))),
        200,
    )
    np.testing.assert_allclose(w[-1].reshape(S, 2) @ probs, exact(), atol=1e-3)


@pytest.mark.parametrize("space", [Discrete(2), Box(-2.0, 2.0, (1,))])
def test_it_fits_together(space):
    class World(Walk):
        action_space = space

        def step(self, key, state, action):
            return super().step(key, state, jnp.ravel(action > 0)[0].astype(jnp.int32))

    nothing = jnp.zeros((1,)) if isinstance(space, Box) else jnp.int32(0)
    act = lambda memory, obs, key: (memory, nothing)
    small = {"num_envs": 2, "num_updates": 2, "batch_size": 4, "warm_up": 8, "hidden": (4,)}
    config = configs.FittedQ(**small, normalize_obs=True)
    agent = fitted_q.make(World(), Policy(lambda key: (), act), config)
    state = jax.eval_shape(agent.init, KEY)
    after, report = jax.eval_shape(agent.step, state)
    assert jax.tree.map(lambda x: x.shape, after) == jax.tree.map(lambda x: x.shape, state)
    assert {"return", "q", "critic_loss"} <= report.keys()


def test_several_steps_at_once_would_follow_others():
    with pytest.raises(ValueError, match="n_step=3"):
        fitted_q.make(Walk(), rightward(), configs.FittedQ(n_step=3))
