"""D4RL's layout: both views row for row as its own loops make them, and nothing lost in writing."""

import json

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from rlax_pref import buffers, transitions
from rlax_pref.datasets import d4rl
from rlax_pref.types import DataError, Transition

h5py = pytest.importorskip("h5py")


def write(path, arrays):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, x in arrays.items():
                file[name] = x
    return path


def same(one, other):
    """Equal to the bit, types included."""
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape
        np.testing.assert_array_equal(np.asarray(x).view(np.uint8), np.asarray(y).view(np.uint8))


def q_learning(arrays):
    """The published loop: (obs, action, reward, next obs, terminal) of each step that it keeps."""
    rows = []
    for i in range(len(arrays["rewards"]) - 1):
        if arrays["timeouts"][i]:
            continue
        obs = arrays["observations"]
        done = bool(arrays["terminals"][i])
        rows.append((obs[i], arrays["actions"][i], arrays["rewards"][i], obs[i + 1], done))
    return rows


def sequences(arrays):
    """The published loop: rows of each whole trajectory."""
    found, now = [], []
    for i in range(len(arrays["rewards"])):
        now.append(i)
        if arrays["terminals"][i] or arrays["timeouts"][i]:
            found.append(now)
            now = []
    return found


LENGTHS = st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=2, max_size=5)


@settings(deadline=None, max_examples=50)
@given(ends=LENGTHS, cut=st.integers(0, 2), suffix=st.sampled_from([".npz", ".hdf5"]))
def test_views_are_the_published_loops(tmp_path_factory, formats, ends, cut, suffix):
    arrays = formats.d4rl(formats.make(*zip(*ends, strict=True)))
    num = len(arrays["rewards"])
    cut = min(cut, num - 2)  # rows that go on when the file ends
    arrays = {name: x[: num - cut] for name, x in arrays.items()}
    path = write(tmp_path_factory.mktemp("views") / f"any{suffix}", arrays)

    expected = q_learning(arrays)
    if expected:
        data = d4rl.load(path).data
        for x, y in zip(data[:3], list(zip(*expected, strict=True))[:3], strict=True):
            np.testing.assert_array_equal(x, np.stack(y))
        np.testing.assert_array_equal(data.obs_t, [row[3] for row in expected])
        np.testing.assert_array_equal(data.discount_t == 0, [row[4] for row in expected])
        assert data.valid_t.all()
        # Where no trajectory ends the next row is what was reached.
        over = (data.discount_t == 0) | data.truncated_t
        np.testing.assert_array_equal(data.obs_t[:-1][~over[:-1]], data.obs_tm1[1:][~over[:-1]])
        assert over[-1]

    expected = sequences(arrays)
    if expected:
        data = d4rl.load(path, "sequence").data
        rows = np.concatenate(expected)
        np.testing.assert_array_equal(data.obs_tm1, arrays["observations"][rows])
        np.testing.assert_array_equal(data.a_tm1, arrays["actions"][rows])
        np.testing.assert_array_equal(data.r_t, arrays["rewards"][rows])
        ends = np.flatnonzero((data.discount_t == 0) | data.truncated_t)
        np.testing.assert_array_equal(ends, np.cumsum([len(x) for x in expected]) - 1)
        np.testing.assert_array_equal(data.valid_t, ~arrays["timeouts"][rows])


def test_rows_that_were_dropped_end_what_was_before(formats, tmp_path):
    """A step before a timeout is known, and what it reached counts; the next row is elsewhere."""
    arrays = formats.d4rl(formats.make((3, 2), (True, False)))
    data = d4rl.load(write(tmp_path / "toy.npz", arrays)).data
    np.testing.assert_array_equal(data.discount_t, [1, 1, 0, 1])
    np.testing.assert_array_equal(data.truncated_t, [0, 0, 0, 1])
    np.testing.assert_array_equal(data.obs_t[3], arrays["observations"][4])


def test_a_step_that_does_both(formats, tmp_path):
    """Terminated in the last step of its time: published single steps go without it."""
    arrays = formats.d4rl(formats.make((3, 2), (True, False)))
    arrays["timeouts"][2] = True
    path = write(tmp_path / "both.npz", arrays)
    single, whole = d4rl.load(path).data, d4rl.load(path, "sequence").data
    np.testing.assert_array_equal(single.r_t, arrays["rewards"][[0, 1, 3]])
    np.testing.assert_array_equal(single.truncated_t, [0, 1, 1])
    np.testing.assert_array_equal(whole.discount_t, [1, 1, 0, 1, 1])
    np.testing.assert_array_equal(whole.truncated_t, [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(whole.valid_t, [1, 1, 1, 1, 0])


def test_a_time_limit_in_place_of_timeouts(formats, tmp_path):
    """Cut 3 steps after every end; and without the limit it is said what is missing."""
    arrays = formats.d4rl(formats.make((3, 1, 3, 2), (False, True, False, True)))
    with_timeouts = d4rl.load(write(tmp_path / "new.npz", arrays))
    del arrays["timeouts"]
    path = write(tmp_path / "old.npz", arrays)
    for view in ("q_learning", "sequence"):
        with_timeouts = d4rl.load(tmp_path / "new.npz", view).data
        same(d4rl.load(path, view, max_episode_steps=3).data, with_timeouts)
    with pytest.raises(DataError, match=r"timeouts: is missing.*max_episode_steps"):
        d4rl.load(path)
    with pytest.raises(ValueError, match="max_episode_steps=0"):
        d4rl.load(path, max_episode_steps=0)


def test_next_observations_make_every_row_valid(formats, tmp_path):
    episodes = formats.make((3, 2), (True, False))
    arrays = formats.d4rl(episodes)
    arrays["next_observations"] = np.concatenate([e.obs[1:] for e in episodes])
    path = write(tmp_path / "new.hdf5", arrays)
    data = d4rl.load(path, "sequence").data
    assert data.valid_t.all()
    np.testing.assert_array_equal(data.obs_t, arrays["next_observations"])
    assert len(d4rl.load(path).data.r_t) == 4  # as published: single steps do not look at them
    arrays["next_observations"] = arrays["next_observations"][:, :1]
    with pytest.raises(DataError, match=r"next_observations: is float32 \[1\]"):
        d4rl.load(write(tmp_path / "bad.hdf5", arrays), "sequence")


@pytest.mark.parametrize("view", ["q_learning", "sequence"])
def test_columns_line_up(formats, tmp_path, view):
    arrays = formats.d4rl(formats.make((3, 2, 2), (True, False, False)))
    arrays["infos/action_log_probs"] = arrays["rewards"].astype(np.float64)
    path = write(tmp_path / "more.hdf5", arrays)
    log_prob = d4rl.column(path, "infos/action_log_probs", view)
    np.testing.assert_array_equal(log_prob, d4rl.load(path, view).data.r_t)
    with pytest.raises(DataError, match="infos/qpos: is missing"):
        d4rl.column(path, "infos/qpos", view)


def transition(num=4, **changes):
    draw = np.random.default_rng(0)
    terminated = np.arange(num) == 1
    made = Transition(
        obs_tm1=draw.normal(size=(num, 2)).astype(np.float32),
        a_tm1=draw.integers(0, 3, num).astype(np.int32),
        r_t=draw.normal(size=num).astype(np.float32),
        discount_t=1 - terminated.astype(np.float32),
        truncated_t=np.arange(num) == num - 1,
        valid_t=np.ones(num, bool),
        obs_t=draw.normal(size=(num, 2)).astype(np.float32),
    )
    return made._replace(**changes)


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"valid_t": np.array([1, 0, 1, 1], bool)},
        {"a_tm1": np.array([[0.5], [-0.0], [1e-45], [3e38]], np.float32)},
        {"obs_tm1": np.eye(4, dtype=np.uint8), "obs_t": np.eye(4, dtype=np.uint8)},
        {"r_t": jnp.arange(4.0)},
    ],
)
def test_nothing_is_lost_in_writing(tmp_path, suffix, changes):
    data = transition(**changes)
    path = tmp_path / "deep" / f"mine{suffix}"
    d4rl.save(path, data, env="cartpole", noise=[0.1, 0.5])
    loaded = d4rl.load(path, "sequence")
    same(loaded.data, data)
    assert loaded.report.about == "env cartpole, noise [0.1, 0.5]"
    assert [x.name for x in path.parent.iterdir()] == [path.name]
    with pytest.raises(FileExistsError, match="choose another name"):
        d4rl.save(path, data)


def test_others_can_read_what_is_written(tmp_path):
    """Plain arrays by the published names, flags as truth values."""
    data = transition()
    d4rl.save(tmp_path / "mine.hdf5", data)
    with h5py.File(tmp_path / "mine.hdf5") as file:
        arrays = {name: file[name][()] for name in file}
    assert arrays["terminals"].dtype == arrays["timeouts"].dtype == bool
    np.testing.assert_array_equal(arrays["terminals"], [0, 1, 0, 0])
    np.testing.assert_array_equal(arrays["timeouts"], [0, 0, 0, 1])
    np.testing.assert_array_equal(arrays["next_observations"], data.obs_t)


@pytest.mark.parametrize(
    ("changes", "error", "what"),
    [
        ({"discount_t": np.full(4, 0.99)}, ValueError, "discounts must be 0 or 1"),
        ({"truncated_t": np.zeros(4, bool)}, ValueError, "last step must end"),
        ({"truncated_t": np.ones(4, bool)}, ValueError, "never both"),
        ({"obs_tm1": {"a": np.zeros((4, 1))}}, ValueError, "must be one array"),
        ({"r_t": np.array([0, 1, np.nan, 0])}, DataError, "rewards: is not finite in row 2"),
        ({"obs_t": np.zeros((3, 2))}, DataError, "next_observations: has shape"),
        ({"a_tm1": np.full(4, 1 << 40)}, DataError, "actions: does not fit 32 bits"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, changes, error, what):
    with pytest.raises(error, match=what):
        d4rl.save(tmp_path / "mine.npz", transition(**changes))
    assert not list(tmp_path.iterdir())


def test_a_writer_that_dies_leaves_nothing(tmp_path, monkeypatch):
    def die(file, **_):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", die)
    with pytest.raises(OSError, match="disk full"):
        d4rl.save(tmp_path / "mine.npz", transition())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda x: x.pop("actions"), "actions: is missing; the file holds .*rewards.*Fix: give"),
        (
            lambda x: x.update(actions=x["actions"][:-1]),
            r"actions: has shape \[4, 1\].*must be \[5",
        ),
        (lambda x: x["observations"].__setitem__((2, 0), np.nan), "observations: is not finite in"),
        (lambda x: x.update(rewards=x["rewards"] * 1e300), "rewards: is not finite in row"),
        (lambda x: x.update(terminals=np.full(5, 2)), "terminals: is 2 in row 0.*must be 0 or 1"),
        (lambda x: x.update(timeouts=np.ones(5)), "timeouts: leaves no step"),
        (lambda x: x.update(rewards=np.zeros((0,))), "rewards: is empty"),
        (lambda x: x.update(actions=np.full(5, b"?")), "actions: has dtype"),
    ],
)
def test_what_is_wrong_is_said(formats, tmp_path, suffix, change, what):
    arrays = formats.d4rl(formats.make((3, 2), (True, False)))
    arrays["rewards"] = arrays["rewards"].astype(np.float64)
    change(arrays)
    path = write(tmp_path / f"bad{suffix}", arrays)
    with pytest.raises(DataError, match=f"bad.*{what}"):
        d4rl.load(path)


def test_a_file_that_ends_too_early(formats, tmp_path):
    arrays = formats.d4rl(formats.make((30, 20), (True, False)))
    for suffix in (".npz", ".hdf5"):
        path = write(tmp_path / f"whole{suffix}", arrays)
        whole = path.read_bytes()
        for share in (0.0, 0.01, 0.3, 0.6, 0.9, 0.999):
            path.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(DataError, match=r"whole.*(cannot be|is missing|is no sound)"):
                d4rl.load(path)
    with pytest.raises(DataError, match="does not exist"):
        d4rl.load(tmp_path / "none.hdf5")
    with pytest.raises(DataError, match="unknown kind of file"):
        d4rl.load(tmp_path / "none.pkl")


def test_no_end_and_no_such_view(formats, tmp_path):
    arrays = formats.d4rl(formats.make((3,), (True,)))
    arrays["terminals"][:] = False
    path = write(tmp_path / "open.npz", arrays)
    with pytest.raises(DataError, match="end no trajectory"):
        d4rl.load(path, "sequence")
    with pytest.raises(ValueError, match="not 'trajectories'"):
        d4rl.load(path, "trajectories")


def test_without_the_package(tmp_path, monkeypatch):
    import sys

    (tmp_path / "any.hdf5").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'rlax_pref\[data\]'"):
        d4rl.load(tmp_path / "any.hdf5")


@pytest.mark.parametrize(
    ("name", "low"),
    [
        ("hopper-medium-replay-v2", -20.272305),
        ("halfcheetah_medium_expert-v2", -280.178953),
        ("Ant_maze_u-maze_noreset_multistart_False", 0.0),
        ("ant-random-v2", -325.6),
        ("maze2d-large-sparse-v1", 6.7),
        ("maze2d-large-dense-v1", 30.569041),
        ("maze2d-umaze", 23.85),
        ("pen-v0_demos_clipped", 96.262799),
        ("pendulum-v0", None),
        ("mine", None),
    ],
)
def test_references_by_name(name, low):
    found = d4rl.references(name)
    assert found is None if low is None else found[0] == low


def test_scores_of_whole_trajectories(formats, tmp_path):
    """The score needs the last reward of a trajectory that timed out; files of ours get none."""
    arrays = formats.d4rl(formats.make((3, 2), (True, False)))
    arrays["rewards"] = np.full(5, 1200.0)
    path = write(tmp_path / "hopper_medium-v2.npz", arrays)
    assert d4rl.load(path, "sequence").report.score == pytest.approx(92.8009, abs=1e-4)
    assert "normalised score 92.80 of 100" in str(d4rl.load(path, "sequence").report)
    assert d4rl.load(path).report.score is None
    d4rl.save(tmp_path / "hopper.npz", d4rl.load(path, "sequence").data, env="brax/hopper")
    assert d4rl.load(tmp_path / "hopper.npz", "sequence").report.score is None


def test_several_steps_as_one(formats, tmp_path):
    """What is read serves windows: none leads from one trajectory into another."""
    episodes = formats.make((3, 4, 2), (True, False, False))
    path = write(tmp_path / "any.npz", formats.d4rl(episodes))
    replay = buffers.from_rows(d4rl.load(path, "sequence").data, num_envs=1)
    window = buffers.read(replay, jnp.arange(7)[None], length=3)
    taken = transitions.n_step(window._replace(discount_t=0.5 * window.discount_t))
    np.testing.assert_array_equal(taken.discount_t[0, :3], [0, 0, 0])  # steps 1 to 3 terminate
    np.testing.assert_allclose(taken.r_t[0, 2], episodes[0].reward[2])
    np.testing.assert_allclose(taken.r_t[0, 3], episodes[1].reward[:3] @ [1, 0.5, 0.25], rtol=1e-5)
    # Of the second trajectory the last step is not known, and so none that leads through it.
    np.testing.assert_array_equal(taken.valid_t[0], [1, 1, 1, 1, 0, 0, 0])


def test_about_that_is_no_json(tmp_path):
    d4rl.save(tmp_path / "mine.npz", transition(), env="x")
    arrays = dict(np.load(tmp_path / "mine.npz"))
    assert json.loads(arrays["metadata/about"].item()) == {"env": "x"}
    np.savez(tmp_path / "odd.npz", **arrays | {"metadata/about": np.array("{")})
    assert d4rl.load(tmp_path / "odd.npz").report.about == ""
