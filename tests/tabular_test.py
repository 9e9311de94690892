"""Exact solutions against float64 loops, brute force and the published worlds."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlax_pref import tabular
from rlax_pref.datasets import knox
from rlax_pref.envs import grid
from rlax_pref.tabular import TabularMDP
from rlax_pref.types import Segments

pytestmark = pytest.mark.usefixtures("strict")

S, A, F = 5, 3, 2  # of the random processes here: states, actions, features

evaluate = jax.jit(tabular.evaluate)
optimal = jax.jit(tabular.optimal)
value_iteration = jax.jit(tabular.value_iteration)
scaled_return = jax.jit(tabular.scaled_return)
successor_features = jax.jit(tabular.successor_features)
action_values = jax.jit(tabular.action_values)
tables = jax.jit(lambda world: (world.tabular(), world.rewards()))


def random_mdp(seed: int) -> tuple[TabularMDP, np.ndarray, np.ndarray]:
    """A process whose last state is terminal, with a reward and a policy."""
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(S, 0.5), size=(S, A))
    terminal = np.arange(S) == S - 1
    features = rng.normal(size=(S, A, F))
    start = np.where(terminal, 0, 1 / (S - 1))
    arrays = (transition, features, terminal, start)
    mdp = TabularMDP(*(jnp.asarray(x, x.dtype if x.dtype == bool else jnp.float32) for x in arrays))
    return mdp, rng.normal(size=(S, A)), rng.dirichlet(np.ones(A), size=S)


def as_float64(mdp: TabularMDP) -> tuple[np.ndarray, ...]:
    """The same numbers, wide."""
    transition, features = (np.asarray(x, np.float64) for x in mdp[:2])
    return transition, features, np.asarray(mdp.terminal)


def sweep(mdp, reward, policy, discount, steps=2000):
    """Policy evaluation in plain loops: many steps of lookahead."""
    transition, _, terminal = as_float64(mdp)
    value = np.zeros(len(terminal))
    for _ in range(steps):
        ahead = np.zeros_like(value)
        for s in np.flatnonzero(~terminal):
            for a, p in enumerate(policy[s]):
                ahead[s] += p * (reward[s, a] + discount * transition[s, a] @ value)
        value = ahead
    return value


def loop_mdp(discount_reward: float = 1.0) -> tuple[TabularMDP, np.ndarray]:
    """One state; two actions stay and earn something, the third ends it for nothing."""
    transition = np.zeros((2, 3, 2), np.float32)
    transition[0, :2, 0] = transition[0, 2, 1] = transition[1, :, 1] = 1
    reward = np.zeros((2, 3), np.float32)
    reward[0, :2] = discount_reward, discount_reward / 2
    mdp = TabularMDP(
        jnp.asarray(transition), jnp.zeros((2, 3, 1)), jnp.array([False, True]), jnp.eye(2)[0]
    )
    return mdp, reward


# Definition ---------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), discount=st.floats(0.0, 0.95))
def test_evaluate_is_what_many_steps_of_lookahead_come_to(seed, discount):
    mdp, reward, policy = random_mdp(seed)
    expected = sweep(mdp, reward, policy, discount, steps=300)
    np.testing.assert_allclose(evaluate(mdp, reward, policy, discount), expected, atol=2e-5)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), discount=st.floats(0.0, 0.99))
def test_optimal_is_the_best_of_all_policies(seed, discount):
    mdp, reward, _ = random_mdp(seed)
    transition, _, terminal = as_float64(mdp)
    inside = ~terminal
    best = np.full(S, -np.inf)
    for actions in itertools.product(range(A), repeat=S - 1):
        rows = np.arange(S - 1), np.array(actions)
        matrix = np.eye(S - 1) - discount * transition[rows][:, inside]
        best[inside] = np.maximum(best[inside], np.linalg.solve(matrix, reward[rows]))
    best[terminal] = 0
    result = optimal(mdp, reward, discount)
    tolerance = 1e-5 / (1 - discount)
    np.testing.assert_allclose(result.value, best, atol=tolerance)
    q = np.where(inside[:, None], reward + discount * transition @ best, 0)
    np.testing.assert_allclose(result.q, q, atol=tolerance)
    np.testing.assert_allclose(evaluate(mdp, reward, result.policy, discount), best, atol=tolerance)
    np.testing.assert_allclose(value_iteration(mdp, reward, discount), best, atol=tolerance)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), discount=st.floats(0.0, 0.99))
def test_successor_features_value_every_linear_reward(seed, discount):
    mdp, _, policy = random_mdp(seed)
    w = jnp.asarray(np.random.default_rng(seed).normal(size=F), jnp.float32)
    psi, psi_action = successor_features(mdp, policy, discount)
    reward = mdp.features @ w
    value = evaluate(mdp, reward, policy, discount)
    scale = 1 + jnp.abs(psi).max()
    np.testing.assert_allclose(psi @ w, value, atol=2e-6 * scale)
    q = action_values(mdp, reward, value, discount)
    np.testing.assert_allclose(psi_action @ w, q, atol=4e-6 * scale)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_greedy_splits_between_the_best(seed):
    q = np.random.default_rng(seed).integers(0, 3, size=(4, 3))
    policy = tabular.greedy(jnp.asarray(q, jnp.float32))
    for row, p in zip(q, np.asarray(policy), strict=True):
        best = row == row.max()
        np.testing.assert_allclose(p, best / best.sum())


# Golden -------------------------------------------------------------------------------------


def test_delivery_is_worth_what_was_published():
    world = grid.delivery()
    mdp, reward = tables(world)
    undiscounted = value_iteration(mdp, reward, 1.0).reshape(10, 10)
    cells = [(0, 0), (6, 7), (8, 8), (9, 9)]
    assert [float(undiscounted[cell]) for cell in cells] == [34, 46, 50, 50]
    best = optimal(mdp, reward, 0.999)
    assert float(best.value[0]) == pytest.approx(33.34, abs=0.005)
    assert float(tabular.mean_return(mdp, best.value)) == pytest.approx(41.207948, abs=1e-4)
    value = evaluate(mdp, reward, tabular.uniform_policy(mdp), 0.999)
    assert float(tabular.mean_return(mdp, value)) == pytest.approx(-71.257383, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "best", "uniform"),
    [
        ("MDP_100", 0.0503, -254.6678),
        ("MDP_103", 47.7267, 14.2804),
        ("MDP_104", -7.1388, -641.3112),
        ("MDP_105", -27.0288, -106.8471),
    ],
)
def test_random_worlds_are_worth_what_was_published(data, name, best, uniform):
    """All of them on one padded board, so that they share one program."""
    task = knox.load_task(data / "random_mdps" / f"{name}.npz")
    world = grid.grid_world(grid.pad_board(task.board), task.weights)
    mdp, reward = tables(world)
    value = optimal(mdp, reward, 0.999).value
    assert float(tabular.mean_return(mdp, value)) == pytest.approx(best, abs=1e-3)
    value = evaluate(mdp, reward, tabular.uniform_policy(mdp), 0.999)
    assert float(tabular.mean_return(mdp, value)) == pytest.approx(uniform, rel=1e-5)


# Laws ---------------------------------------------------------------------------------------


def test_profitable_loops_are_found_and_valued():
    """Values of 1e5, which single precision carries with an error of an ulp or two."""
    mdp, reward = loop_mdp(100.0)
    best = optimal(mdp, reward, 0.999)
    exact = 100 / (1 - float(np.float32(0.999)))
    assert float(best.value[0]) == pytest.approx(exact, rel=1e-6)
    np.testing.assert_array_equal(best.policy[0], [1, 0, 0])


def test_costly_loops_are_left():
    mdp, reward = loop_mdp(-100.0)
    for best in (optimal(mdp, reward, 0.999).value, value_iteration(mdp, reward, 1.0)):
        np.testing.assert_array_equal(best, [0, 0])


@pytest.mark.parametrize("seed", range(5))
def test_large_arbitrary_rewards_end_and_are_near_optimal(seed):
    """Weights of order 100 with loops that pay: the rewards that noiseless choices lead to."""
    world = grid.delivery()
    mdp, _ = tables(world)
    reward = jax.random.normal(jax.random.key(seed), (100, 4)) * 100
    best = optimal(mdp, reward, 0.999)
    assert float(best.value.max()) > 1e5
    achieved = evaluate(mdp, reward, best.policy, 0.999)
    np.testing.assert_allclose(achieved, best.value, rtol=3e-4)
    np.testing.assert_allclose(best.q.max(-1), best.value, rtol=3e-6)


def test_ties_are_split_evenly_and_have_no_advantage():
    """On an empty board every shortest way to the goal is as good as any other."""
    world = grid.grid_world(np.pad([[1]], ((3, 0), (3, 0))), [-1, 10, 0, 0, 0, 0])
    best = optimal(*tables(world), 0.999)
    policy = np.asarray(best.policy).reshape(4, 4, 4)
    np.testing.assert_array_equal(policy[:3, :3], np.broadcast_to([0, 0.5, 0, 0.5], (3, 3, 4)))
    advantage = np.asarray(best.advantage)
    assert np.all(advantage[best.policy > 0] == 0)
    assert np.all(advantage[best.policy == 0] < -0.5)


def test_terminal_states_are_worth_exactly_nothing():
    mdp, reward, policy = random_mdp(0)
    reward[S - 1] = 7
    assert float(evaluate(mdp, reward, policy, 0.9)[S - 1]) == 0
    best = optimal(mdp, reward, 0.9)
    assert float(best.value[S - 1]) == 0
    assert not np.any(best.q[S - 1])
    psi, psi_action = successor_features(mdp, policy, 0.9)
    assert not np.any(psi[S - 1]) and not np.any(psi_action[S - 1])


def test_the_step_into_a_terminal_state_counts():
    world = grid.grid_world(np.array([[0, 0, 1]]), [-1, 50, 0, 0, 0, 0])
    mdp, _ = tables(world)
    right = jnp.broadcast_to(jnp.eye(4)[3], (3, 4))
    psi, _ = successor_features(mdp, right, 0.5)
    np.testing.assert_allclose(psi[:, :2], [[1, 0.5], [0, 1], [0, 0]])


def test_padding_changes_nothing():
    board = np.array([[0, 4, 0], [5, 0, 3], [0, 0, 1]])
    weights = [-1, 10, -10, 1, -2, -1]
    returns = []
    for shape in ((3, 3), (4, 5)):
        world = grid.grid_world(grid.pad_board(board, shape), weights)
        mdp, reward = tables(world)
        uniform = evaluate(mdp, reward, tabular.uniform_policy(mdp), 0.999)
        assert not np.any(uniform[mdp.terminal])
        best = optimal(mdp, reward, 0.999).value
        returns.append([tabular.mean_return(mdp, value) for value in (uniform, best)])
    np.testing.assert_allclose(*returns, rtol=1e-5)


def test_undiscounted_evaluation_needs_an_end():
    mdp, reward = loop_mdp(-1.0)
    uniform = tabular.uniform_policy(mdp)
    np.testing.assert_allclose(evaluate(mdp, reward, uniform, 1.0), [-1.5, 0], rtol=1e-6)
    forever = jnp.broadcast_to(jnp.eye(3)[0], (2, 3))
    assert not np.isfinite(evaluate(mdp, reward, forever, 1.0)[0])


def test_value_iteration_stops_at_its_horizon():
    mdp, reward = loop_mdp(1.0)
    assert float(tabular.value_iteration(mdp, reward, 1.0, max_steps=20)[0]) == 20


def test_scaled_return_ignores_the_unit_of_reward():
    mdp, reward, policy = random_mdp(3)
    own = scaled_return(mdp, reward, policy, 0.9)
    assert float(own) < 1
    np.testing.assert_allclose(scaled_return(mdp, 7 * reward, policy, 0.9), own, rtol=1e-4)
    best = optimal(mdp, reward, 0.9).policy
    assert float(scaled_return(mdp, reward, best, 0.9)) == pytest.approx(1)
    uniform = tabular.uniform_policy(mdp)
    assert float(scaled_return(mdp, reward, uniform, 0.9)) == pytest.approx(0)


def test_processes_are_a_batch_axis():
    """`vmap` over processes and rewards, though each takes its own number of iterations."""
    mdps, rewards, policies = zip(*map(random_mdp, range(4)), strict=True)
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *mdps)
    rewards = np.stack(rewards).astype(np.float32)
    batch = jax.vmap(lambda m, r: tabular.optimal(m, r, 0.9))(stacked, rewards)
    values = jax.vmap(tabular.evaluate, (0, 0, 0, None))(
        stacked, rewards, np.stack(policies).astype(np.float32), 0.9
    )
    for i, (mdp, reward, policy) in enumerate(zip(mdps, rewards, policies, strict=True)):
        np.testing.assert_allclose(batch.value[i], optimal(mdp, reward, 0.9).value, atol=1e-5)
        np.testing.assert_array_equal(batch.policy[i], optimal(mdp, reward, 0.9).policy)
        np.testing.assert_allclose(values[i], evaluate(mdp, reward, policy, 0.9), atol=1e-5)


def test_the_gradient_of_the_return_counts_visits():
    """d J / d reward[s, a] is how often a is taken in s, discounted: nothing after the end."""
    mdp, reward, policy = random_mdp(1)

    def mean_return(reward):
        return tabular.mean_return(mdp, tabular.evaluate(mdp, reward, policy, 0.9))

    visits = jax.jit(jax.grad(mean_return))(jnp.asarray(reward, jnp.float32))
    assert not np.any(visits[S - 1])
    assert np.all(visits[: S - 1] > 0)
    np.testing.assert_allclose(jnp.sum(visits * reward), mean_return(reward), rtol=1e-4)


def test_lookup_reads_a_table_along_segments():
    table = jnp.arange(6.0).reshape(3, 2)
    segments = Segments(jnp.array([[0, 2, 1]]), jnp.array([[1, 0]]), jnp.ones((1, 2), bool))
    np.testing.assert_array_equal(tabular.lookup(table, segments), [[1, 4]])


# Messages -----------------------------------------------------------------------------------


def test_a_reward_of_the_wrong_shape_is_named():
    mdp, _, policy = random_mdp(0)
    with pytest.raises(AssertionError, match="reward and policy must be"):
        tabular.evaluate(mdp, jnp.zeros((S, A + 1)), policy, 0.9)
    with pytest.raises(AssertionError, match="reward must be"):
        tabular.action_values(mdp, jnp.zeros((S,)), jnp.zeros(S), 0.9)


@pytest.mark.timeout(120)
def test_batches_of_systems_do_not_wait_for_each_other():
    """Several batched solutions in one program: with two threads, LAPACK's own batches hang."""
    worlds = jax.vmap(grid.random_grid)(jax.random.split(jax.random.key(3), 16))

    def values(world):
        mdp, reward = tables(world)
        policy = tabular.uniform_policy(mdp)
        discounts = 0.9, 0.8, 0.7, 0.6, 0.5, 0.4
        return jnp.stack([tabular.evaluate(mdp, reward, policy, g) for g in discounts])

    together = jax.jit(jax.vmap(values))
    for _ in range(400):
        batch = jax.block_until_ready(together(worlds))
    alone = jax.jit(values)(jax.tree.map(lambda x: x[3], worlds))
    np.testing.assert_allclose(batch[3], alone, rtol=1e-4, atol=1e-3)
