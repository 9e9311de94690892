"""OGBench's layout: both views, and what is paid for reaching a goal."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from rlax_pref import goals, transitions
from rlax_pref.datasets import ogbench
from rlax_pref.types import DataError

ENDS = st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=5)


def write(path, arrays):
    np.savez(path, **arrays)
    return path


@settings(deadline=None, max_examples=40)
@given(ends=ENDS)
def test_views_of_any_trajectories(tmp_path_factory, formats, ends):
    """Regular: each step beside what it reached. Compact: the same under `valid_t`."""
    episodes = formats.make(*zip(*ends, strict=True))
    path = write(tmp_path_factory.mktemp("og") / "any.npz", formats.ogbench(episodes))
    expected = [
        (e.obs[t], e.action[t], e.obs[t + 1], t == len(e.reward) - 1)
        for e in episodes
        for t in range(len(e.reward))
    ]
    obs_tm1, a_tm1, obs_t, last = map(np.array, zip(*expected, strict=True))
    regular = ogbench.load(path).data
    np.testing.assert_array_equal(regular.obs_tm1, obs_tm1)
    np.testing.assert_array_equal(regular.a_tm1, a_tm1)
    np.testing.assert_array_equal(regular.obs_t, obs_t)
    np.testing.assert_array_equal(regular.truncated_t, last)
    assert regular.valid_t.all() and regular.discount_t.all()  # nothing terminates

    compact = ogbench.load(path, "compact").data
    jax.tree.map(np.testing.assert_array_equal, regular, _pick(compact, compact.valid_t))
    assert len(compact.r_t) == len(expected) + len(episodes)
    # Flags in the compact view: on the last step, and on the row of the last state.
    flags = np.concatenate([np.arange(len(e.obs)) >= len(e.reward) - 1 for e in episodes])
    np.testing.assert_array_equal(compact.truncated_t, flags)


def _pick(tree, rows):
    return jax.tree.map(lambda x: x[rows], tree)


def test_compact_keeps_pictures_once(formats, tmp_path):
    arrays = formats.ogbench(formats.make((3, 2), (True, False)))
    arrays["observations"] = np.arange(7 * 4, dtype=np.uint8).reshape(7, 2, 2, 1)
    data = ogbench.load(write(tmp_path / "visual.npz", arrays), "compact").data
    assert data.obs_t.dtype == np.uint8
    assert np.shares_memory(data.obs_tm1, data.obs_t)
    np.testing.assert_array_equal(data.obs_t[:6], arrays["observations"][1:])


def test_goals_stay_on_their_trajectory(formats, tmp_path):
    """In hindsight: a goal ahead is on the same trajectory, and pays where it is reached."""
    path = write(tmp_path / "any.npz", formats.ogbench(formats.make((3, 5, 2), (1, 1, 1))))
    data = ogbench.load(path).data
    end = transitions.trajectory_end(jnp.asarray(data.truncated_t))
    np.testing.assert_array_equal(end, [2] * 3 + [7] * 5 + [9] * 2)
    row = jnp.repeat(jnp.arange(10), 20)
    drawn = goals.sample(jax.random.key(0), row, end[row], 10, discount=0.9)
    ahead = np.asarray(drawn.ahead)
    assert (end[drawn.row][ahead] == end[row][ahead]).all() and (~ahead).any()
    paid = goals.reached(row, drawn.row)
    np.testing.assert_array_equal(paid.r_t, np.where(row == drawn.row, 0.0, -1.0))


def test_a_single_task(formats, tmp_path):
    """Success in the state that is left pays 0 and nothing follows; recording goes on."""
    arrays = formats.ogbench(formats.make((3, 2), (True, False)))
    arrays["qpos"] = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [2, 0.4], [2, 0.6], [9, 9]])
    path = write(tmp_path / "maze.npz", arrays)
    loaded = ogbench.load(path, success=ogbench.near((2.0, 0.0), 0.5))
    np.testing.assert_array_equal(loaded.data.r_t, [-1, -1, 0, 0, -1])
    np.testing.assert_array_equal(loaded.data.discount_t, [1, 1, 0, 0, 1])
    np.testing.assert_array_equal(loaded.data.truncated_t, [0, 0, 1, 0, 1])
    assert (loaded.report.returns, loaded.report.lengths) == ((-2.0, -1.5, -1.0), (2, 2, 3))
    compact = ogbench.load(path, "compact", success=ogbench.near((2.0, 0.0), 0.5)).data
    np.testing.assert_array_equal(compact.r_t[compact.valid_t], loaded.data.r_t)
    ball = ogbench.near((0.4,), 0.01, first=1)
    np.testing.assert_array_equal(ogbench.load(path, success=ball).data.r_t, [-1, -1, -1, 0, -1])


def test_a_task_of_several_parts(formats, tmp_path):
    arrays = formats.ogbench(formats.make((3, 2), (True, False)))
    arrays["button_states"] = np.array([[0, 0], [1, 0], [1, 1], [0, 0], [0, 1], [1, 1], [0, 0]])
    path = write(tmp_path / "puzzle.npz", arrays)
    data = ogbench.load(path, success=lambda x: x["button_states"] == np.array([1, 1])).data
    np.testing.assert_array_equal(data.r_t, [-2, -1, 0, -1, 0])
    np.testing.assert_array_equal(data.discount_t, [1, 1, 0, 1, 0])


def test_without_a_task_there_are_no_rewards(formats, tmp_path):
    path = write(tmp_path / "any.npz", formats.ogbench(formats.make((3, 2), (True, False))))
    report = ogbench.load(path, "compact").report
    assert (report.num, report.trajectories, report.valid, report.returns) == (5, 2, 5, None)
    assert "no rewards" in str(report)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda x: x.pop("terminals"), "terminals: is missing; the file holds actions, obs"),
        (lambda x: x.update(terminals=x["terminals"][:-1]), "observations: has shape"),
        (lambda x: x.update({n: a[:-1] for n, a in x.items()}), "terminals: is 0 in the last row"),
        (lambda x: x.update(terminals=np.ones(7)), "terminals: is 1 in every row"),
        (lambda x: x["observations"].__setitem__((3, 1), np.inf), "observations: .* in row 3"),
        (lambda x: x.update(actions=np.zeros((6, 1))), r"actions: has shape \[6, 1\]"),
    ],
)
def test_what_is_wrong_is_said(formats, tmp_path, change, what):
    arrays = formats.ogbench(formats.make((3, 2), (True, False)))
    change(arrays)
    with pytest.raises(DataError, match=rf"bad\.npz: {what}"):
        ogbench.load(write(tmp_path / "bad.npz", arrays))


def test_what_cannot_be_asked(formats, tmp_path):
    path = write(tmp_path / "any.npz", formats.ogbench(formats.make((3, 2), (True, False))))
    with pytest.raises(ValueError, match="not 'short'"):
        ogbench.load(path, "short")
    with pytest.raises(ValueError, match="no qpos with such columns"):
        ogbench.load(path, success=ogbench.near((0.0, 0.0), 1.0))
    with pytest.raises(ValueError, match=r"must return \[7\] or \[7, parts\], not \[3\]"):
        ogbench.load(path, success=lambda x: np.zeros(3))
    with pytest.raises(DataError, match=r"is no \.npz"):
        ogbench.load(tmp_path / "any.hdf5")
