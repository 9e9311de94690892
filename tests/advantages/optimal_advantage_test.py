"""A* from preferences: what choices determine, what they leave open, and what that costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import preferences, tabular
from rlax_pref.advantages import fit_optimal_advantage
from rlax_pref.datasets import knox
from rlax_pref.envs import grid
from rlax_pref.tabular import TabularMDP
from rlax_pref.types import Preferences, Segments

pytestmark = pytest.mark.usefixtures("strict")

KEY = jax.random.key(0)
optimal = jax.jit(tabular.optimal)
scaled_return = jax.jit(tabular.scaled_return)
fit = jax.jit(fit_optimal_advantage, static_argnums=(2, 3), static_argnames="num_steps")
resample = jax.jit(preferences.resample, static_argnums=2)

# One state in which two actions stay and the third ends the episode.
LOOP, OTHER, END = range(3)
MDP = TabularMDP(
    transition=jnp.zeros((2, 3, 2)).at[0, :2, 0].set(1).at[0, 2, 1].set(1).at[1, :, 1].set(1),
    features=jnp.zeros((2, 3, 1)),
    terminal=jnp.array([False, True]),
    start=jnp.array([1.0, 0.0]),
)


def pairs_of(actions: list[list[list[int]]], p_first: list[float]) -> Preferences:
    """Pairs of segments from the one state, going on past its end."""
    action = jnp.array(actions)
    ended = jnp.cumsum(action == END, axis=-1) > 0
    before = jnp.concatenate([jnp.zeros_like(ended[..., :1]), ended], axis=-1)
    segments = Segments(before.astype(int), action, ~before[..., :-1])
    return Preferences(segments, jnp.array(p_first), jnp.ones(len(p_first)))


def loss(table, pairs):
    """Mean loss of a table of advantages."""
    u = preferences.partial_return(tabular.lookup(table, pairs.segments), pairs.segments.live)
    return preferences.logistic_loss(u[:, 0] - u[:, 1], pairs.p_first).mean()


# What is left open --------------------------------------------------------------------------

SAME_LENGTH = pairs_of(
    [[[LOOP] * 3, [OTHER] * 3], [[LOOP, OTHER, LOOP], [OTHER, OTHER, LOOP]]], [1.0, 0.5]
)
ONE_ENDS = pairs_of([[[LOOP] * 3, [END, LOOP, LOOP]]], [0.0])
TABLE = jnp.array([[-1.0, -2.0, 0.0], [0.0, 0.0, 0.0]])


def test_a_constant_does_not_show_until_a_segment_ends_early():
    both = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), SAME_LENGTH, ONE_ENDS)
    for c in (-3.0, 0.5, 10.0):
        np.testing.assert_allclose(
            loss(TABLE + c, SAME_LENGTH), loss(TABLE, SAME_LENGTH), rtol=1e-5
        )
        assert abs(float(loss(TABLE + c, both) - loss(TABLE, both))) > 0.01


def test_a_constant_misleads_those_who_take_it_for_a_reward():
    """Acting greedily ignores it; optimising it never ends."""
    for c, ends in ((0.0, True), (5.0, False)):
        assert int(tabular.greedy(TABLE + c)[0].argmax()) == END
        policy = optimal(MDP, TABLE + c, 0.999).policy
        assert (int(policy[0].argmax()) == END) == ends


def test_the_table_of_a_terminal_state_is_never_used():
    both = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), SAME_LENGTH, ONE_ENDS)
    few, many = (fit(KEY, both, 2, 3, num_steps=n).params for n in (1, 50))
    np.testing.assert_array_equal(few[1], many[1])
    assert np.all(jnp.abs(few - many)[0] > 0.1)
    assert float(jnp.abs(many[1]).max()) <= 1 / np.sqrt(6)


def test_the_step_that_ends_an_episode_counts():
    result = fit(KEY, ONE_ENDS, 2, 3, num_steps=50)
    gradient = jax.grad(loss)(TABLE, ONE_ENDS)
    assert float(gradient[0, END]) < 0 < float(gradient[0, LOOP])
    assert float(result.params[0, END]) > 3 * float(result.params[0, LOOP])
    assert float(result.loss) < float(result.losses[0])


# Recovery -----------------------------------------------------------------------------------


def test_noisy_choices_recover_the_optimal_advantage():
    """With many stochastic labels the table itself is found, where actions were tried."""
    world = grid.grid_world(np.array([[0, 4, 0, 0], [5, 0, 3, 1]]), [-1.0, 3.0, -3.0, 1.0, -2.0, 0])
    mdp, reward = jax.jit(lambda: (world.tabular(), world.rewards()))()
    true = optimal(mdp, reward, 0.999).advantage

    @jax.jit
    def label(key):
        segments = preferences.sample_segments(key, mdp, (20_000, 2), 3)
        u = preferences.general_regret(tabular.lookup(true, segments), segments.live)
        p_first = preferences.teacher(key, u[:, 0], u[:, 1])
        return Preferences(segments, p_first, jnp.ones(20_000))

    result = fit(KEY, label(KEY), 8, 4, num_steps=300)
    inside = ~mdp.terminal
    np.testing.assert_allclose(result.params[inside], true[inside], atol=0.5)
    # Segments that go on past an end pin the best advantage to 0.
    assert np.all(np.abs(result.params[inside].max(-1)) < 0.3)


def test_seeds_and_data_sets_are_batch_axes():
    flipped = SAME_LENGTH._replace(p_first=1 - SAME_LENGTH.p_first)
    data = jax.tree.map(lambda x, y: jnp.stack([x, y]), SAME_LENGTH, flipped)
    keys = jax.random.split(KEY, 2)
    learn = lambda key, pairs: fit_optimal_advantage(key, pairs, 2, 3, num_steps=5)
    batch = jax.jit(jax.vmap(learn))(keys, data)
    alone = fit(keys[1], flipped, 2, 3, num_steps=5)
    np.testing.assert_allclose(batch.params[1], alone.params, rtol=1e-4, atol=1e-5)
    assert np.all(np.isfinite(batch.loss))


# The published worlds -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MDP_101", "MDP_103"])
def test_absorbing_steps_rescue_those_who_take_advantage_for_reward(data, name):
    """10,000 noiseless labels; Knox et al., 2023: greedy is near-optimal with or without them."""
    path = data / "random_mdps" / f"{name}.npz"
    task = knox.load_task(path)
    world = grid.grid_world(grid.pad_board(task.board), task.weights)
    mdp, reward = jax.jit(lambda: (world.tabular(), world.rewards()))()
    segments = knox.load_pairs(path, world)
    num = segments.live.shape[0]

    def learn(scores, keep):
        u = preferences.partial_return(tabular.lookup(scores, segments), segments.live)
        p_first = preferences.teacher(KEY, u[:, 0], u[:, 1], noiseless=True)
        pairs = resample(KEY, Preferences(segments, p_first, jnp.ones(num)), 10_000, keep=keep)
        table = fit(KEY, pairs, 150, 4).params
        top = jnp.mean(table.max(-1), where=~mdp.terminal)
        greedy = scaled_return(mdp, reward, tabular.greedy(table), 0.999)
        as_reward = scaled_return(mdp, reward, optimal(mdp, table, 0.999).policy, 0.999)
        return float(greedy), float(as_reward), float(top)

    everything = jnp.ones(num, bool)
    without = ~preferences.has_absorbing(segments)
    advantage = optimal(mdp, reward, 0.999).advantage
    greedy, as_reward, top = learn(advantage, everything)
    assert greedy > 0.9 and as_reward > 0.9
    greedy, as_reward, top_without = learn(advantage, without)
    assert greedy > 0.9 and as_reward < 0
    assert top_without > 10 * abs(top)
    # Labels from partial return make the table a reward: the order of the two turns round.
    greedy, as_reward, _ = learn(reward, everything)
    assert as_reward > 0.9 > greedy
