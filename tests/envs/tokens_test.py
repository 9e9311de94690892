"""What all tasks of tokens promise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.envs import (
    Addition,
    Circle,
    SoftTree,
    TokenEnv,
    bernoulli_prompts,
    check_env,
    directed_lock,
    token_lock,
)

KEY = jax.random.key(0)
TASKS = {
    "token_lock": lambda: token_lock(num_prompts=5, max_length=4, critical=(0, 2), noise=0.1),
    "random_lengths": lambda: token_lock(
        num_prompts=8, max_length=4, critical=(0, 2), random_lengths=True, partial=True
    ),
    "directed_lock": lambda: directed_lock(num_prompts=3, max_length=4, critical=(1, 2)),
    "soft_tree": SoftTree,
    "bernoulli_prompts": lambda: bernoulli_prompts(num_prompts=3),
    "circle": lambda: Circle(num_tokens=5),
    "addition": lambda: Addition(2),
}


class Played:
    """Episodes with random actions, token by token, and the same responses scored at once."""

    def __init__(self, task):
        self.task = task

        def play(key):
            key_reset, key_action, key_step = jax.random.split(key, 3)
            state, obs = task.reset(key_reset)
            actions = jax.random.randint(key_action, (task.max_length,), 0, task.num_tokens)
            step = lambda state, action: task.step(key_step, state, action)
            return obs, actions, jax.lax.scan(step, state, actions)[1]

        def score(key, prompt, response, live):
            return task.score(jax.random.split(key, 3)[2], prompt, response, live)

        self.play, self.score = jax.jit(jax.vmap(play)), jax.jit(jax.vmap(score))


@pytest.fixture(scope="module", params=TASKS)
def played(request):
    return Played(TASKS[request.param]())


def test_an_episode_earns_what_its_response_scores(played):
    task = played.task
    keys = jax.random.split(KEY, 64)
    obs, actions, steps = jax.tree.map(np.asarray, played.play(keys))
    length = steps.done.argmax(-1) + 1
    assert steps.done.any(-1).all() and not steps.truncated.any()
    live = np.arange(task.max_length) < length[:, None]
    total = np.where(live, steps.reward, 0).sum(-1)
    last = np.take_along_axis(steps.reward, length[:, None] - 1, axis=-1)[:, 0]
    np.testing.assert_array_equal(total, last)
    prompt = obs[:, : task.prompt_length]
    for filler in (0, task.num_tokens - 1, task.num_symbols):  # what is not live changes nothing
        response = np.where(live, actions, filler)
        np.testing.assert_allclose(played.score(keys, prompt, response, live), total, rtol=1e-6)
    if task.stop is not None:
        stops = np.take_along_axis(actions, length[:, None] - 1, axis=-1)[:, 0] == task.stop
        np.testing.assert_array_equal(stops | (length == task.max_length), True)
        assert not (actions == task.stop)[
            live & (np.arange(task.max_length) + 1 < length[:, None])
        ].any()
        assert len(set(length)) > 1


def test_the_observation_is_what_was_written(played):
    task = played.task
    obs, actions, steps = jax.tree.map(np.asarray, played.play(jax.random.split(KEY, 4)))
    assert obs.dtype == np.int32 and (obs[:, : task.prompt_length] < task.num_symbols).all()
    assert (obs[:, task.prompt_length :] == task.num_symbols).all()
    for t in range(task.max_length):
        np.testing.assert_array_equal(
            steps.obs[:, t, : task.prompt_length], obs[:, : task.prompt_length]
        )
        written = steps.obs[:, t, task.prompt_length :]
        np.testing.assert_array_equal(written[:, : t + 1], actions[:, : t + 1])
        assert (written[:, t + 1 :] == task.num_symbols).all()


@pytest.mark.filterwarnings("ignore:SoftTree")
def test_the_contract_of_environments(played):
    check_env(played.task, num_steps=6)


def test_prompts_are_drawn_from_all(played):
    task = played.task
    if not hasattr(task, "prompts"):
        pytest.skip("too many to list")
    drawn = jax.vmap(task.prompt)(jax.random.split(KEY, 200))
    np.testing.assert_array_equal(np.unique(drawn, axis=0), task.prompts())
    assert len(task.prompts()) == task.num_prompts
    assert task.prompts().max() < task.num_symbols and task.prompts().min() == task.num_tokens


def test_symbols_are_written_for_people():
    lock = token_lock(num_prompts=2)
    assert lock.describe(jnp.array([0, 3, 5, 6])) == "0 3 5"
    assert lock.describe(jnp.array([0, 3, 5]), jnp.array([True, False, True])) == "0 5"


def test_an_unfinished_task_cannot_be_made():
    """The message names what is missing."""

    class Unfinished(TokenEnv):
        num_tokens = num_symbols = prompt_length = max_length = 2
        stop = None

        def prompt(self, key):
            return jnp.zeros(2, jnp.int32)

    with pytest.raises(TypeError, match=r"abstract method '?score"):
        Unfinished()
