"""The agent of preferences between responses: every configuration fits together, and learns."""

import dataclasses
import itertools
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, envs, preferences
from rlax_pref.agents import preference_losses, preference_tokens, runner, selecting
from rlax_pref.agents.configs import PREFERENCE_TOKENS
from rlax_pref.agents.configs.preferences import Loss
from rlax_pref.agents.responding import Responses
from rlax_pref.datasets import TextLabels, TextPreferences
from rlax_pref.envs.judged import from_texts
from rlax_pref.policies._pairwise import PAIRWISE, RANKED

SMALL = {
    "network": "table",
    "num_envs": 64,
    "batch_size": 64,
    "learning_rate": 0.1,
    "num_judged": 64,
}
TRL = {f"rewards/{x}" for x in ("chosen", "rejected", "margins", "accuracies")}
TRL |= {f"{x}/{side}" for x in ("logps", "logits") for side in ("chosen", "rejected")}
TRL |= {"entropy", "mean_token_accuracy"}


@pytest.fixture(scope="module")
def lock():
    """One prompt of four tokens; two of them earn half a point each."""
    return envs.make(
        "token_lock", num_prompts=1, max_length=4, num_tokens=3, critical=(1, 3), partial=True
    )


def make(name, env, data=None, **settings):
    return preference_tokens.make(env, agents.config_from(name, SMALL | settings), data)


def given(env, prompt, response, reward):
    """A data set of responses [E, G, L] with rewards [E, G]."""
    shape = response.shape
    return Responses(
        prompt=jnp.broadcast_to(prompt, (*shape[:2], 1)),
        response=response,
        mask=jnp.ones(shape, bool),
        log_prob=jnp.full(shape, -np.log(env.num_tokens), jnp.float32),
        entropy=jnp.full(shape, np.log(env.num_tokens), jnp.float32),
        reward=jnp.asarray(reward, jnp.float32),
    )


def train(agent, num_steps):
    return jax.jit(lambda key: runner.run(agent, agent.init(key), num_steps))(jax.random.key(0))


@pytest.mark.parametrize("name", PREFERENCE_TOKENS)
def test_every_method_fits_together(name, lock):
    """Traced, not run: all settings are known, and a step keeps the shape of the state."""
    agent = make(name, envs.make("directed_lock") if name == "dpa" else lock)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"return", "loss", "kl", "grad_norm"} | TRL <= metrics.keys()


def test_every_loss_fits_together(lock):
    """By its name in TRL, or in the agent."""
    known = {*PAIRWISE, *RANKED, *preference_losses.LOSSES} - {"aot_pair"}
    assert set(get_args(Loss)) == known
    for loss in ("sigmoid_norm", "aot_unpaired", "apo_down", "sppo_hard", "sft"):
        agent = make("dpo", lock, loss=loss)
        state = jax.eval_shape(agent.init, jax.random.key(0))
        assert jax.eval_shape(agent.step, state)[1]["loss"].shape == ()


@pytest.mark.parametrize("name", ["dpo", "kto", "raft", "aot", "dno_prct"])
def test_learns_from_preferences(name, lock):
    """A random policy earns a third of a point."""
    kind = {"aot": {"network": "mlp", "width": 8, "learning_rate": 0.03}}.get(name, {})
    agent = make(name, lock, **kind)
    metrics = train(agent, 60)[1]
    earned = np.asarray(metrics["return"])
    assert earned[0] < 0.45 and earned[-5:].mean() > 0.6
    margins = metrics["rewards/margins"]  # 0 again where no pair is left to learn from
    assert margins.max() > margins[0]


def test_first_step_of_dpo_is_at_the_reference(lock):
    """Log-ratios are 0 there: the loss is log 2."""
    agent = make("dpo", lock)
    metrics = jax.tree.map(lambda x: x[0], train(agent, 1)[1])
    np.testing.assert_allclose(metrics["loss"], np.log(2), rtol=1e-6)
    assert metrics["rewards/margins"] == 0 and metrics["rewards/accuracies"] == 0


def test_data_of_ones_own(lock):
    """The response that earns more becomes likelier, and the other less likely."""
    num = SMALL["num_envs"]
    tokens = jnp.stack([jnp.zeros(4, jnp.int32), jnp.ones(4, jnp.int32)])
    reward = jnp.tile(jnp.array([0.0, 1.0]), (num, 1))
    data = given(lock, lock.prompts(), jnp.broadcast_to(tokens, (num, 2, 4)), reward)
    agent = make("dpo", lock, data)
    state = jax.jit(agent.init)(jax.random.key(0))
    assert (state.actor.chosen == 1).all() and (state.actor.rejected == 0).all()
    state, _ = jax.jit(lambda s: runner.run(agent, s, 20))(state)
    table = state.learner.params["table"][0, :, 0]
    assert (table[:, 1] > 0).all() and (table[:, 0] < 0).all()
    np.testing.assert_allclose(table[:, 2], 0, atol=1e-6)


def test_new_data_take_turns(lock):
    """Every third step begins with fresh responses, and the reference moves to who made them.

    A third of the rows stay as they are; of four tokens of three kinds few are the same by chance.
    """
    agent = make("dno", lock, resample_every=3, stay=0.3)
    step, state = jax.jit(agent.step), jax.jit(agent.init)(jax.random.key(0))
    seen, references = [], []
    for _ in range(7):
        state, _ = step(state)
        seen.append(np.asarray(state.actor.responses.response))
        references.append(np.asarray(state.learner.reference["table"]))
    fresh = [(a != b).any() for a, b in itertools.pairwise(seen)]
    moved = [(a != b).any() for a, b in itertools.pairwise(references)]
    assert fresh == moved == [False, False, True, False, False, True]
    for old, new in ((seen[2], seen[3]), (seen[5], seen[6])):
        assert 0.1 < (old == new).all((1, 2)).mean() < 0.5
    new = state.actor._replace(read=state.actor.read + 1)
    for stay, expected in ((0.0, new), (1.0, state.actor)):
        mixed = selecting._mix(state.actor, new, stay, jax.random.key(0))
        jax.tree.map(np.testing.assert_array_equal, mixed, expected)


def test_thumbs_without_pairs(lock):
    """A response to each prompt, liked or not: no two are of one prompt."""
    num = SMALL["num_envs"]
    liked = jnp.arange(num) % 2
    response = jnp.broadcast_to(liked[:, None, None], (num, 1, 4)).astype(jnp.int32)
    data = given(lock, lock.prompts(), response, liked[:, None])
    state, metrics = train(make("kto", lock, data, group_size=1, thumbs="score"), 20)
    table = state.learner.params["table"][0, :, 0]
    assert (table[:, 1] > 0).all() and (table[:, 0] < 0).all()
    metrics = jax.tree.map(lambda x: x[-1], metrics)
    assert metrics["rewards/chosen"] > 0 > metrics["rewards/rejected"]
    assert metrics["logps/chosen"] > metrics["logps/rejected"]
    assert "rewards/accuracies" not in metrics


@pytest.mark.parametrize("name", ["online_dpo", "gpo"])
def test_what_goes_in_circles(name):
    """Who always plays rock learns to play paper, though no answer scores more than another."""
    env = envs.make("circle", num_tokens=3)
    agent = make(name, env, resample_every=1, noiseless=False)
    state = jax.jit(agent.init)(jax.random.key(0))
    table = state.learner.params["table"].at[..., 0].set(2.0)  # beats 1, is beaten by 2
    state = state._replace(learner=state.learner._replace(params={"table": table}))
    state, metrics = jax.jit(lambda s: runner.run(agent, s, 10))(state)
    change = (state.learner.params["table"] - table)[0, 0, 0]
    assert change[2] > 0.1 and change[2] > change[0] and change[2] > change[1]
    assert not metrics["return"].any()


def test_answers_that_were_judged_before():
    """The rows of a file are the data, some again to fill the minibatch, and nobody judges anew."""
    rows = TextPreferences(("a?", "b", "c"), ("yes", "x", "z"), ("no", "yy", "w"))
    env = from_texts(rows, max_response=3)
    small = {"network": "transformer", "width": 8, "num_layers": 1, "num_heads": 1}
    agent = make("dpo", env, batch_size=2, **small)
    state = jax.jit(agent.init)(jax.random.key(0))
    actor = state.actor
    assert actor.responses.response.shape == (4, 2, 3) and (actor.chosen == 0).all()
    jax.tree.map(lambda x: np.testing.assert_array_equal(x[0], x[3]), actor.responses)
    _, metrics = jax.jit(lambda s: runner.run(agent, s, 40))(state)
    assert metrics["rewards/margins"][-1] > metrics["rewards/margins"][0] == 0
    assert not metrics["episodes"].any() and np.isnan(metrics["return"]).all()
    single = from_texts(TextLabels(("a", "b"), ("x", "yy"), (True, False)))
    for name in ("kto", "uft", "divergence_sft"):  # one by one
        agent = make(name, single, batch_size=2, **small)
        state = jax.eval_shape(agent.init, jax.random.key(0))
        assert jax.eval_shape(agent.step, state)[1]["loss"].shape == ()
    with pytest.raises(ValueError, match="group_size=1: preferences are between two or more"):
        make("dpo", single, **small)
    with pytest.raises(ValueError, match="nobody judges new ones"):
        make("online_dpo", env, **small)
    with pytest.raises(ValueError, match="must know how likely responses were"):
        make("brain", env, resample_every=0, **small)


def test_mapl_learns_from_prompts():
    """Both responses to a prompt are the same, so that pairs of responses say nothing."""
    env = envs.make("token_lock", num_prompts=2, max_length=2, num_tokens=2, critical=(0, 1))
    accepted = jnp.array([[[0, 0]], [[1, 1]]], jnp.int32)  # of each lock
    env = dataclasses.replace(env, accepted=accepted)
    which = jnp.arange(SMALL["num_envs"]) % 2
    response = jnp.repeat(accepted[which], 2, axis=1)
    data = given(env, env.prompts()[which][:, None], response, jnp.ones((64, 2)))
    table = {}
    for name in ("kto", "mapl"):
        state, _ = train(make(name, env, data), 20)
        table[name] = np.asarray(state.learner.params["table"][:, :, 0])
    assert not table["kto"].any()
    assert (table["mapl"][0, :, 0] > table["mapl"][0, :, 1]).all()
    assert (table["mapl"][1, :, 1] > table["mapl"][1, :, 0]).all()


def test_uft_learns_from_demonstrations_and_scores():
    """Of a lock that one response in 3^6 opens, which scores alone would never find."""
    env = envs.make("token_lock", num_prompts=2, max_length=6, num_tokens=3, critical=range(6))
    metrics = train(make("uft", env), 40)[1]
    assert metrics["return"][:2].mean() < 0.05 and metrics["return"][-5:].mean() > 0.8


def test_a_teacher_of_ones_own(lock):
    """Its responses are the last of each group, scored like the others."""
    settings = agents.config_from("dno_prct", SMALL)
    answer = lock.accepted[0, 0].at[1].add(1) % 3  # half right
    teacher = lambda key, prompt: (answer, jnp.ones(4, bool))
    state = jax.jit(preference_tokens.make(lock, settings, teacher=teacher).init)(jax.random.key(0))
    responses = state.actor.responses
    assert (responses.response[:, -1] == answer).all()
    assert (responses.reward[:, -1] == 0.5).all() and (responses.entropy[:, -1] >= 0).all()
    assert (responses.response[:, :-1] != answer).any((1, 2)).all()


def test_pairs_of_which_the_better_leads():
    """Good enough, and better by enough; two that are one where there are none."""
    config = agents.config_from("dno_prct", {})
    reward = jnp.array([[0.5, 0.1, 0.0, 0.9], [0.9, 0.6, 0.95, 0.8], [0.3, 0.3, 0.7, 0.7]])
    keys = jax.random.split(jax.random.key(0), 200)
    pairs = jax.vmap(lambda key: preference_tokens._lead(config, reward, key))(keys)
    found = [
        set(zip(*(np.asarray(x)[:, row].tolist() for x in pairs[:2]), strict=True))
        for row in range(3)
    ]
    assert found[:2] == [{(3, 0), (3, 1), (3, 2)}, {(0, 1), (2, 1)}]
    assert all(chosen == rejected for chosen, rejected in found[2])
    np.testing.assert_array_equal(pairs.p_first[0], [1, 1, 0.5])


def test_dpa_follows_directions():
    """One policy opens each lock with the key that its prompt asks for."""
    env = envs.make("directed_lock", num_prompts=1, max_length=2, critical=(0, 1))
    state, _ = train(make("dpa", env), 100)
    chance = jax.nn.softmax(state.learner.params["table"][:, :, 0])  # [D, L, K]
    keys = jnp.stack([task.accepted[0, 0] for task in env.tasks])  # [M, L]
    rewards = chance[:, jnp.arange(2), keys].mean(-1)  # [D, M]
    earned = preferences.along(rewards, env.directions)
    # The best policy that does not know the direction earns 1/2, 0.71 and 1/2 of these.
    assert earned[0] > 0.9 and earned[1] > 0.6 and earned[2] > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "sigmoyd"}, "Unknown loss 'sigmoyd'. Did you mean 'sigmoid'"),
        ({"reference": "last"}, "Unknown reference 'last'"),
        ({"selection": "best"}, "Unknown selection 'best'"),
        ({"batch_size": 48}, "num_envs=64 must be a multiple of batch_size=48"),
        ({"group_size": 1}, "preferences are between two or more"),
        ({"thumbs": "up"}, "Unknown thumbs 'up'"),
        ({"demonstrations": 2}, "at least one response must be the policy's own"),
        ({"demonstrations": 1, "loss": "brain"}, "must know how likely responses were"),
        ({"selection": "lead"}, "selection='lead' compares with one answer of a teacher"),
    ],
)
def test_says_what_does_not_fit(settings, message, lock):
    with pytest.raises(ValueError, match=message):
        make("dpo", lock, **settings)


def test_says_what_a_task_lacks(lock):
    with pytest.raises(ValueError, match="TokenLock has no directions, which dpa follows"):
        make("dpa", lock)
    with pytest.raises(ValueError, match="SoftTree has no answers; give a teacher"):
        make("uft", envs.make("soft_tree"))
