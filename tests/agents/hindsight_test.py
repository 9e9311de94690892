"""What is read of a store for goals that are drawn in hindsight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import buffers, envs, statistics
from rlax_pref.agents import hindsight
from rlax_pref.agents.configs import HIQL
from rlax_pref.agents.learning import Learner
from rlax_pref.types import Transition

KEY = jax.random.key(0)
LENGTHS = (7, 1, 5, 9)


def steps(lengths=LENGTHS):
    """Trajectories of a counter; the goals beside it are never to be read."""
    place = np.concatenate([100.0 * i + np.arange(n) for i, n in enumerate(lengths)])
    last = np.concatenate([np.arange(n) == n - 1 for n in lengths])
    obs = np.stack([place, np.full_like(place, -7.0)], axis=-1).astype(np.float32)
    zero = np.zeros(len(place), np.float32)
    return Transition(
        obs, zero.astype(np.int32), zero, zero + 1, last, last | True, obs + np.array([1, 0], "f")
    )


def reader(num_envs=2, draws=64, **settings):
    replay = hindsight.prepare(buffers.from_rows(jax.tree.map(jnp.asarray, steps()), num_envs))
    row = buffers.draw(replay._replace(data=replay.data.step), KEY, draws)
    learner = Learner({}, {}, {}, statistics.init(jnp.zeros(2)))
    return hindsight.Reader(HIQL(**settings), 1, learner, replay.data, row)


def test_trajectories_end_within_their_stretch():
    """22 rows in 3 stores of 8: the first trajectory ends at row 6, the last stretch is padded."""
    stored = hindsight.prepare(buffers.from_rows(jax.tree.map(jnp.asarray, steps()), 3)).data
    np.testing.assert_array_equal(
        stored.end,
        [
            [6, 6, 6, 6, 6, 6, 6, 7],
            [4, 4, 4, 4, 4, 7, 7, 7],
            [5, 5, 5, 5, 5, 5, 6, 7],
        ],
    )
    np.testing.assert_array_equal(stored.num_rows, [[8], [8], [6]])


def test_termination_ends_a_trajectory():
    data = steps((6,))
    data = data._replace(discount_t=np.array([1, 1, 0, 1, 1, 1], "f"))
    stored = hindsight.prepare(buffers.from_rows(jax.tree.map(jnp.asarray, data), 1)).data
    np.testing.assert_array_equal(stored.end, [[2, 2, 2, 5, 5, 5]])


def test_goals_keep_to_the_store_and_the_trajectory():
    read = reader()
    stretch = np.array([[0, 11], [11, 22]])
    places = steps().obs_tm1[:, 0]
    anywhere = read.state(read.draw(KEY, 0.0, 0.0).row)[..., 0]
    ahead = read.draw(KEY, 0.0, 1.0, far=True)
    assert np.all(ahead.ahead)
    for ring, (first, last) in enumerate(stretch):
        assert set(np.asarray(anywhere[ring]).tolist()) == set(places[first:last].tolist())
    here, there = (np.asarray(read.state(row)[..., 0]) for row in (read.row, ahead.row))
    assert np.all(here // 100 == there // 100) and np.all(there >= here)
    assert np.all((there > here) | (np.asarray(read.row) == np.asarray(read.end)))


def test_steps_pay_where_they_begin_and_options_where_they_lead():
    read = reader()
    ahead = read.draw(KEY, 0.0, 1.0, far=True)
    one, many = read.step_to(ahead.row), read.option_to(ahead, 3)
    here, goal = np.asarray(one.state_tm1[..., 0]), np.asarray(one.goal[..., 0])
    np.testing.assert_array_equal(one.state_t[..., 0], here + 1)
    np.testing.assert_array_equal(one.paid.r_t, np.where(here == goal, 0.0, -1.0))
    np.testing.assert_array_equal(many.state_t[..., 0], np.minimum(here + 3, goal))
    np.testing.assert_array_equal(many.paid.r_t, np.where(goal <= here + 3, 0.0, -1.0))
    np.testing.assert_array_equal(many.paid.goes_on, -many.paid.r_t)


def test_a_tolerance_reaches_further():
    read = reader(tolerance=2.0)
    one = read.step_to(read.draw(KEY, 0.0, 1.0, far=True).row)
    near = np.abs(np.asarray(one.state_tm1 - one.goal))[..., 0] <= 2
    np.testing.assert_array_equal(one.paid.r_t, np.where(near, 0.0, -1.0))
    assert near.any() and not near.all()


def test_states_are_normalised_by_the_half_that_is_theirs():
    moments = statistics.update(statistics.init(jnp.zeros(2)), jnp.array([[0.0, 50.0], [4.0, 70]]))
    learner = Learner({}, {}, {}, moments)
    see = lambda on: hindsight.see(HIQL(normalize_obs=on), learner, jnp.array([[4.0], [0.0]]))
    np.testing.assert_allclose(see(True), [[1.0], [-1.0]], rtol=1e-5)
    np.testing.assert_array_equal(see(False), [[4.0], [0.0]])


class OddGoals(envs.Pendulum):
    """Says that it has goals, and its observations have no halves."""

    has_goals = True


def test_what_does_not_fit_is_said():
    with pytest.raises(ValueError, match=r"HIQL needs observations \[2 D\]"):
        hindsight.num_state("HIQL", OddGoals(), HIQL())
    with pytest.raises(ValueError, match="HIQL learns offline: collect must be False"):
        hindsight.num_state("HIQL", envs.four_rooms(), HIQL(collect=True))
    with pytest.raises(ValueError, match=r"HIQL needs an environment with goals.*has_goals = True"):
        hindsight.num_state("HIQL", envs.CartPole(), HIQL())
    for told in (-1, 5):
        with pytest.raises(ValueError, match=rf"num_state={told} does not fit .* \(4,\)"):
            hindsight.num_state("ICVF", envs.CartPole(), HIQL(), told)
    assert hindsight.num_state("ICVF", envs.CartPole(), HIQL(), 4) == 4
    assert hindsight.num_state("HIQL", envs.four_rooms(), HIQL()) == 2
