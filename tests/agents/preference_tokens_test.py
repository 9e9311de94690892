"""The agent of preferences between responses: every configuration fits together, and learns."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, envs
from rlax_pref.agents import preference_tokens, runner
from rlax_pref.agents.configs import PREFERENCE_TOKENS
from rlax_pref.agents.responding import Responses

SMALL = {
    "network": "table",
    "num_envs": 64,
    "batch_size": 64,
    "learning_rate": 0.1,
    "num_judged": 64,
}
TRL = {f"rewards/{x}" for x in ("chosen", "rejected", "margins", "accuracies")}


@pytest.fixture(scope="module")
def lock():
    """One prompt of four tokens; two of them earn half a point each."""
    return envs.make(
        "token_lock", num_prompts=1, max_length=4, num_tokens=3, critical=(1, 3), partial=True
    )


def make(name, env, data=None, **settings):
    return preference_tokens.make(env, agents.config_from(name, SMALL | settings), data)


@pytest.mark.parametrize("name", PREFERENCE_TOKENS)
def test_every_method_fits_together(name, lock):
    """Traced, not run: all settings are known, and a step keeps the shape of the state."""
    agent = make(name, lock)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"return", "loss", "kl", "grad_norm"} | TRL <= metrics.keys()


@pytest.mark.parametrize("name", ["dpo", "kto", "raft"])
def test_learns_from_preferences(name, lock):
    """A random policy earns a third of a point."""
    agent = make(name, lock)
    metrics = jax.jit(lambda key: runner.run(agent, agent.init(key), 60))(jax.random.key(0))[1]
    earned = np.asarray(metrics["return"])
    assert earned[0] < 0.45 and earned[-5:].mean() > 0.6
    assert metrics["rewards/margins"][-1] > metrics["rewards/margins"][0]


def test_first_step_of_dpo_is_at_the_reference(lock):
    """Log-ratios are 0 there: the loss is log 2."""
    agent = make("dpo", lock)
    _, metrics = jax.jit(agent.step)(agent.init(jax.random.key(0)))
    np.testing.assert_allclose(metrics["loss"], np.log(2), rtol=1e-6)
    assert metrics["rewards/margins"] == 0 and metrics["rewards/accuracies"] == 0


def test_data_of_ones_own(lock):
    """The response that earns more becomes likelier, and the other less likely."""
    num = SMALL["num_envs"]
    tokens = jnp.stack([jnp.zeros(4, jnp.int32), jnp.ones(4, jnp.int32)])
    shape = (num, 2, 4)
    data = Responses(
        prompt=jnp.broadcast_to(lock.prompts(), (num, 2, 1)),
        response=jnp.broadcast_to(tokens, shape),
        mask=jnp.ones(shape, bool),
        log_prob=jnp.full(shape, -np.log(3.0), jnp.float32),
        entropy=jnp.full(shape, np.log(3.0), jnp.float32),
        reward=jnp.tile(jnp.array([0.0, 1.0]), (num, 1)),
    )
    agent = make("dpo", lock, data)
    state = agent.init(jax.random.key(0))
    assert (state.actor.chosen == 1).all() and (state.actor.rejected == 0).all()
    state, _ = jax.jit(lambda s: runner.run(agent, s, 20))(state)
    table = state.learner.params["table"][0, :, 0]
    assert (table[:, 1] > 0).all() and (table[:, 0] < 0).all()
    np.testing.assert_allclose(table[:, 2], 0, atol=1e-6)


def test_new_data_take_turns(lock):
    """Every third step begins with fresh responses, and the reference moves to who made them."""
    agent = make("dno", lock, resample_every=3)
    step, state = jax.jit(agent.step), agent.init(jax.random.key(0))
    seen, references = [], []
    for _ in range(7):
        state, _ = step(state)
        seen.append(np.asarray(state.actor.responses.response))
        references.append(np.asarray(state.learner.reference["table"]))
    fresh = [(a != b).any() for a, b in itertools.pairwise(seen)]
    moved = [(a != b).any() for a, b in itertools.pairwise(references)]
    assert fresh == moved == [False, False, True, False, False, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "sigmoyd"}, "Unknown loss 'sigmoyd'. Did you mean 'sigmoid'"),
        ({"reference": "last"}, "Unknown reference 'last'"),
        ({"selection": "best"}, "Unknown selection 'best'"),
        ({"batch_size": 48}, "num_envs=64 must be a multiple of batch_size=48"),
        ({"group_size": 1}, "preferences are between two or more"),
    ],
)
def test_says_what_does_not_fit(settings, message, lock):
    with pytest.raises(ValueError, match=message):
        make("dpo", lock, **settings)
