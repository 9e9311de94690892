"""Behaviour that others judge: who acts, and whether the critic knows the expert."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.learning import judged_behaviour
from rlax_pref import envs
from rlax_pref.types import Agent, Discrete, Policy, TimeStep, TrainState

GAMMA = 0.9


class Walk:
    """Cells 0 to 4 in a row: each step costs 1, and the last cell is the end."""

    action_space = Discrete(2)

    def reset(self, key):
        cell = jax.random.randint(key, (), 0, 4)
        return cell, jax.nn.one_hot(cell, 5)

    def step(self, key, cell, action):
        cell = jnp.clip(cell + 2 * action - 1, 0, 4)
        obs = jax.nn.one_hot(cell, 5)
        ended = (cell == 4).astype(jnp.float32)
        return cell, TimeStep(obs, jnp.float32(-1.0), 1.0 - ended, jnp.bool_(False), obs)


EXPERT = Policy(lambda key: (), lambda memory, obs, key: (memory, jnp.int32(1)))
# By cell: a step to the right is one nearer to the end, one to the left one further away.
VALUE = -(1 - GAMMA ** (4 - np.arange(5))) / (1 - GAMMA)


@jax.jit
def judge(key):
    """A record of a fool who hands over to the expert, and what a critic makes of it."""
    key_act, key_fit = jax.random.split(key)
    fool = judged_behaviour.noisy(EXPERT, Walk(), 1.0)
    policy = judged_behaviour.handing_over(fool, EXPERT, 6)
    rollout = envs.rollout(Walk(), policy, key_act, 8, 40)
    trusted = judged_behaviour.took(EXPERT, rollout)
    v = judged_behaviour.fit_critic(key_fit, rollout, trusted, GAMMA, hidden=(16,), num_steps=600)
    return rollout, trusted, v(jnp.eye(5)), judged_behaviour.advantage_of(v, rollout, GAMMA)


def test_the_critic_knows_the_expert_and_the_teacher_regrets():
    rollout, trusted, v, advantage = jax.device_get(judge(jax.random.key(0)))
    np.testing.assert_array_equal(trusted, rollout.a_tm1 == 1)
    assert 0.6 < trusted.mean() < 0.98  # the fool acts too, but not for long
    np.testing.assert_allclose(v[:4], VALUE[:4], atol=0.15)  # the end is never acted in
    cell, after = rollout.obs_tm1.argmax(-1), rollout.obs_t.argmax(-1)
    true = -1 + GAMMA * np.where(after == 4, 0, VALUE[after]) - VALUE[cell]
    np.testing.assert_allclose(advantage, true, atol=0.3)
    assert np.abs(true[trusted]).max() < 1e-6  # no step of the expert is regretted
    assert true[~trusted].max() < -0.5


def test_snapshots_begin_with_the_beginning_and_end_with_the_end():
    """Of an agent that learns to count."""

    def step(state):
        return state._replace(learner=state.learner + 1), {}

    init = lambda key: TrainState(jnp.int32(0), (), key, jnp.int32(0))
    counter = Agent(init, step, lambda learner: EXPERT)
    kept = judged_behaviour.trained(counter, jax.random.key(0), 30)
    np.testing.assert_array_equal(kept, 3 * np.array(judged_behaviour.SNAPSHOTS))
    assert kept[0] == 0 and kept[-1] == 30
