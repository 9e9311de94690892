"""The agent of tokens: every configuration fits together, and each part does its part."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import agents, envs, reading
from rlax_pref.agents import responding, runner, tokens
from rlax_pref.agents.configs import TOKENS

SMALL = {"network": "table", "num_envs": 4, "group_size": 4, "learning_rate": 0.1}


@pytest.fixture(scope="module")
def lock():
    """Four prompts of five tokens; the second and the fourth must be right."""
    return envs.make("token_lock", num_prompts=4, max_length=5, num_tokens=3, critical=(1, 3))


def make(name, env, **settings):
    return agents.make(name, env, SMALL | settings)


@pytest.mark.parametrize("name", TOKENS)
def test_every_method_fits_together(name, lock):
    """Traced, not run: all settings are known, and a step keeps the shape of the state."""
    settings = {"keep_prompts": True} if name == "v_half" else {}
    agent = make(name, lock, **settings)
    state = jax.eval_shape(agent.init, jax.random.key(0))
    after, metrics = jax.eval_shape(agent.step, state)
    shape = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shape(after) == shape(state)
    assert {"return", "policy_loss", "entropy", "grad_norm"} <= metrics.keys()
    baseline = TOKENS[name]().baseline
    assert set(state.learner.params) - {"policy"} == {baseline} & {"critic", "process"}


@pytest.mark.parametrize("name", ["grpo", "prime", "rto", "spo"])
def test_learns(name, lock):
    """From one response in nine to nearly all."""
    agent = make(name, lock, keep_prompts=True, kl="none", interval=2)
    state, metrics = jax.jit(lambda key: runner.run(agent, agent.init(key), 60))(jax.random.key(0))
    success = np.asarray(metrics["return"])
    assert success[:5].mean() < 0.4 and success[-5:].mean() > 0.9
    evaluate = jax.jit(lambda s: runner.evaluate(lock, agent.policy(s), jax.random.key(1), 16, 8))
    episodes = evaluate(state.learner)
    assert episodes["return"].mean() > 0.9 and episodes["finished"].all()


def test_a_soup_is_between_two_first_policies(lock):
    """Of one beginning and other samples; of two that are the same it is either."""
    learner = {}
    for steps in (0, 3):
        agent = make("salsa_ppo", lock, warm_up=steps, warm_up_batch=2)
        learner[steps] = jax.jit(agent.init)(jax.random.key(0)).learner
    jax.tree.map(np.testing.assert_array_equal, learner[0].reference, learner[0].params["policy"])
    first, soup = learner[3].params["policy"]["table"], learner[3].reference["table"]
    other = 2 * soup - first
    plain = make("token_ppo", lock, warm_up=3, warm_up_batch=2)
    alone = jax.jit(plain.init)(jax.random.key(0)).learner
    np.testing.assert_array_equal(alone.reference["table"], first)
    assert np.abs(other - first).max() > 0.5 * np.abs(first).max() > 0


def test_rto_pays_for_tokens(lock):
    """DPO knows the tokens of a lock that pays in part, and alone teaches how to open it."""
    partial = dataclasses.replace(lock, partial=True)
    made = {"dpo_steps": 60, "keep_prompts": True, "kl": "none", "critic_learning_rate": 0.1}
    state = jax.jit(make("rto", partial, **made).init)(jax.random.key(0))
    first, taught = state.learner.reference["table"], state.learner.taught["table"]
    assert not first.any()
    log_prob = jax.nn.log_softmax(taught[:, :, 0])
    right = jnp.take_along_axis(log_prob, lock.accepted[:, 0, :, None], axis=-1)[..., 0]
    assert jnp.exp(right[:, jnp.array([1, 3])]).min() > 0.5
    # The same with nothing paid at the end: the lock that is learned in never opens.
    shut = dataclasses.replace(lock, accepted=jnp.full_like(lock.accepted, -1))
    agent = make("rto", shut, **made, whiten=False)
    state, metrics = jax.jit(lambda s: runner.run(agent, s, 40))(state)
    assert not metrics["return"].any()
    evaluate = jax.jit(lambda s: runner.evaluate(lock, agent.policy(s), jax.random.key(1), 16, 8))
    assert evaluate(state.learner)["return"].mean() > 0.9


def test_equal_rewards_teach_nothing(lock):
    """Where all responses are worth the same, parameters stay, to the bit."""
    nothing = dataclasses.replace(lock, accepted=jnp.full_like(lock.accepted, -1))
    agent = make("grpo", nothing, kl="none")
    state = agent.init(jax.random.key(0))
    after, metrics = jax.jit(agent.step)(state)
    assert metrics["return"] == 0 and metrics["grad_norm"] == 0
    assert not jax.tree.leaves(after.learner.params)[0].any()


def test_one_of_each():
    """One success and one failure of each group that has both, at random."""
    good = jnp.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], bool)
    picks = jax.vmap(lambda key: tokens.one_of_each(good, key))(
        jax.random.split(jax.random.key(0), 50)
    )
    picks, good = np.asarray(picks), np.asarray(good)
    assert ((picks & good).sum(-1) == [1, 0, 0, 1]).all()
    assert ((picks & ~good).sum(-1) == [1, 0, 0, 1]).all()
    assert (picks.any(0)[[0, 3]]).all()  # each member is picked some time


def test_first_update_of_ppo_is_the_policy_gradient(lock):
    """At the policy that sampled, clipping changes nothing."""
    settings = {"baseline": "leave_one_out", "aggregation": "token_mean", "kl": "none"}
    steps = [
        jax.jit(agent.step)(agent.init(jax.random.key(0)))
        for agent in (
            make("reinforce", lock, objective=objective, **settings)
            for objective in ("reinforce", "ppo_clip", "cispo")
        )
    ]
    for other, _ in steps[1:]:
        np.testing.assert_allclose(
            other.learner.params["policy"]["table"],
            steps[0][0].learner.params["policy"]["table"],
            atol=1e-6,
        )


def test_warm_up_learns_the_answers():
    """Supervised steps come before the first update, and the reference is what they end with."""
    env = envs.make("addition", num_digits=1)
    small = {"width": 16, "num_layers": 1, "num_heads": 2, "num_envs": 2, "group_size": 2}
    agent = agents.make("grpo", env, small | {"warm_up": 30, "warm_up_batch": 32})
    state = jax.jit(agent.init)(jax.random.key(0))
    cold = jax.jit(agents.make("grpo", env, small).init)(jax.random.key(0))
    prompt = jax.vmap(env.prompt)(jax.random.split(jax.random.key(1), 64))
    answer, mask = jax.vmap(env.answer)(prompt)

    def nll(state):
        network = responding.network(env, agents.config_from("grpo", small), env.num_tokens)
        log_prob = reading.law(network, state.learner.params["policy"], prompt, answer).log_prob
        return -jnp.mean(log_prob, where=mask)

    assert nll(state) < 0.8 * nll(cold)
    for a, b in zip(
        jax.tree.leaves(state.learner.params["policy"]),
        jax.tree.leaves(state.learner.reference),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "pp_clip"}, "Unknown objective 'pp_clip'. Did you mean 'ppo_clip'"),
        ({"baseline": "loo"}, "Unknown baseline 'loo'"),
        ({"aggregation": "mean"}, "Unknown aggregation 'mean'"),
        ({"kl": "k4"}, "Unknown kl 'k4'"),
        ({"num_minibatches": 3}, "num_envs=4 must be a multiple of num_minibatches=3"),
        ({"baseline": "v_half"}, "needs keep_prompts"),
        ({"objective": "rebel", "group_size": 1}, "group_size must be at least 2"),
        ({"network": "tables"}, "Unknown network 'tables'. Did you mean 'table'"),
    ],
)
def test_says_what_does_not_fit(settings, message, lock):
    with pytest.raises(ValueError, match=message):
        make("grpo", lock, **settings).init(jax.random.key(0))


def test_table_needs_numbered_prompts():
    with pytest.raises(ValueError, match="needs a task with numbered prompts"):
        make("grpo", envs.make("addition"))


def test_warming_up_needs_answers():
    tree = envs.make("soft_tree")
    with pytest.raises(ValueError, match="SoftTree has no answers to learn"):
        make("grpo", tree, warm_up=1).init(jax.random.key(0))


def test_other_environments_are_refused():
    with pytest.raises(ValueError, match="CartPole is no task of tokens"):
        make("grpo", envs.make("cartpole"))
