"""The delivery task and the published worlds: what they are worth, and what is known of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref.envs import grid
from rlax_pref.envs.grid import GridWorld, delivery, grid_world

pytestmark = pytest.mark.usefixtures("strict")

RIGHT = 3
tabular = jax.jit(GridWorld.tabular)
rewards = jax.jit(GridWorld.rewards)
unroll = jax.jit(GridWorld.unroll)


def tables(env):
    """Next states, rewards, ends and starts, in float64."""
    mdp = tabular(env)
    nxt = np.argmax(mdp.transition, -1)
    return nxt, np.float64(rewards(env)), np.asarray(mdp.terminal), np.float64(mdp.start)


def optimal_values(nxt, reward, terminal, gamma):
    value = np.zeros(len(terminal))
    for _ in range(60_000):
        previous = value
        value = np.where(terminal, 0, (reward + gamma * previous[nxt]).max(1))
        if np.abs(value - previous).max() < 1e-9:
            return value
    raise AssertionError("value iteration did not converge")


def uniform_values(nxt, reward, terminal, gamma):
    transition = np.eye(len(nxt))[nxt].mean(1) * ~terminal[:, None]
    return np.linalg.solve(np.eye(len(nxt)) - gamma * transition, reward.mean(1) * ~terminal)


@pytest.mark.parametrize(
    ("gamma", "cell", "expected"),
    [(1, 0, 34), (1, 67, 46), (1, 88, 50), (1, 99, 50), (0.999, 0, 33.336)],
)
def test_delivery_values(gamma, cell, expected):
    nxt, reward, terminal, _ = tables(delivery())
    value = optimal_values(nxt, reward, terminal, gamma)
    np.testing.assert_allclose(value[cell], expected, rtol=1e-4)


def test_delivery_means_over_starts():
    nxt, reward, terminal, start = tables(delivery())
    best = start @ optimal_values(nxt, reward, terminal, 0.999)
    uniform = start @ uniform_values(nxt, reward, terminal, 0.999)
    np.testing.assert_allclose([best, uniform], [41.207948, -71.257383], rtol=1e-6)


def test_delivery_from_mud_into_a_house():
    assert rewards(delivery())[60, RIGHT] == -2


# The published worlds -----------------------------------------------------------------------

PUBLISHED = {  # mean optimal and uniform value over starts at 0.999; pairs that go on from an end
    100: (0.0503, -254.6678, 0.078),
    101: (-8.0661, -66.9411, 0.290),
    102: (1.4216, -26.1113, 0.284),
    103: (47.7267, 14.2804, 0.308),
    104: (-7.1388, -641.3112, 0.081),
    105: (-27.0288, -106.8471, 0.623),
}


def published(folder, name):
    file = folder / f"{name}.npz"
    if not file.is_file():
        pytest.skip(f"no {file}")
    return np.load(file)


@pytest.mark.parametrize("number", PUBLISHED)
def test_published_random_worlds(data, number):
    file = published(data, f"random_mdps/MDP_{number}")
    env = grid_world(grid.pad_board(file["board"]), file["w"])  # one shape, one program
    nxt, reward, terminal, start = tables(env)
    best, uniform, share = PUBLISHED[number]
    np.testing.assert_allclose(
        start @ optimal_values(nxt, reward, terminal, 0.999), best, rtol=1e-3
    )
    np.testing.assert_allclose(
        start @ uniform_values(nxt, reward, terminal, 0.999), uniform, rtol=1e-5
    )
    pairs = jnp.asarray(file["pairs"], jnp.int32)
    cells = env.cells_to_states(pairs[:, :, 0])
    segments = unroll(env, cells, grid.displacements_to_actions(pairs[:, :, 1:]))
    goes_on = ~np.asarray(segments.live).all((1, 2))
    assert abs(goes_on.mean() - share) < 0.01  # a sample of at most 30000 of the pairs


@pytest.mark.parametrize("condition", ["Privileged-Control", "Pr-Privileged", "Question-Control"])
def test_published_statistics_of_the_delivery_task(data, condition):
    """Differences of partial return and of V* at both ends, to the last digit."""
    file = published(data, f"human/{condition}")
    env = delivery()
    nxt, reward, terminal, _ = tables(env)
    value = optimal_values(nxt, reward, terminal, 1.0)
    pairs = jnp.asarray(file["pairs"], jnp.int32)
    action = grid.displacements_to_actions(pairs[:, :, 1:])
    segments = jax.tree.map(np.asarray, unroll(env, env.cells_to_states(pairs[:, :, 0]), action))
    returns = (reward[segments.state[..., :-1], segments.action] * segments.live).sum(-1)
    ends = value[segments.state[..., -1]]
    per_segment = np.stack([returns, value[segments.state[..., 0]], ends], -1)
    np.testing.assert_array_equal(per_segment[:, 1] - per_segment[:, 0], file["X"])


def test_published_delivery_board(data):
    file = published(data, "delivery")
    np.testing.assert_array_equal(delivery().board, file["board"])
    np.testing.assert_array_equal(delivery().weights, file["w"])
