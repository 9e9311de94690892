"""Minari's directories: what its own library writes, in all formats, and what went wrong there."""

import json
import sys

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings

from rlax_pref.datasets import minari
from rlax_pref.types import DataError

h5py = pytest.importorskip("h5py")
ENDS = st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=5)


@settings(deadline=None, max_examples=25)
@given(ends=ENDS, number=st.integers(0, 1))
def test_any_episodes(tmp_path_factory, formats, ends, number):
    episodes = formats.make(*zip(*ends, strict=True))
    folder = formats.minari(tmp_path_factory.mktemp("minari") / "any-v0", episodes)
    data = minari.load(folder / "data" if number else folder).data
    expected = [
        (e.obs[t], e.action[t], e.reward[t], e.obs[t + 1], e.terminated and last, last)
        for e in episodes
        for t in range(len(e.reward))
        for last in [t == len(e.reward) - 1]
    ]
    obs_tm1, a_tm1, r_t, obs_t, terminated, last = map(np.array, zip(*expected, strict=True))
    np.testing.assert_array_equal(data.obs_tm1, obs_tm1)
    np.testing.assert_array_equal(data.a_tm1, a_tm1)
    np.testing.assert_array_equal(data.r_t, r_t)
    np.testing.assert_array_equal(data.obs_t, obs_t)
    np.testing.assert_array_equal(data.discount_t, 1.0 - terminated)
    np.testing.assert_array_equal(data.truncated_t, last & ~terminated)
    assert data.valid_t.all()


def change(folder, edit):
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        edit(file)


def put(file, name, x):
    del file["/".join(name.split("/")[:2])]
    file[name] = x


def test_an_episode_with_an_observation_too_few(formats, tmp_path):
    """The last step, whose successor is missing, is left out and said; the rest is kept."""
    folder = formats.minari(tmp_path / "maze", formats.make((3, 1, 2), (False, False, True)))
    for number in (0, 1):
        name = f"episode_{number}/observations"
        change(folder, lambda file, name=name: put(file, name, file[name][:-1]))
    loaded = minari.load(folder)
    np.testing.assert_array_equal(loaded.data.truncated_t, [0, 1, 0, 0])
    np.testing.assert_array_equal(loaded.data.discount_t, [1, 1, 1, 0])
    assert loaded.report.lengths == (2, 2, 2)
    first, second, none = loaded.report.skipped
    assert "episode_0: the last step" in first and "episode_1: the last step" in second
    assert "episode_1: has no step" in none and "left out 3" in str(loaded.report)


def test_flags_that_disagree(formats, tmp_path):
    """Both at once is a termination; neither, a recording that just stopped."""
    folder = formats.minari(tmp_path / "odd", formats.make((2, 2), (True, False)))
    change(folder, lambda file: put(file, "episode_0/truncations", [False, True]))
    change(folder, lambda file: put(file, "episode_1/truncations", [False, False]))
    data = minari.load(folder).data
    np.testing.assert_array_equal(data.discount_t, [1, 0, 1, 1])
    np.testing.assert_array_equal(data.truncated_t, [0, 0, 0, 1])


def test_scores_of_the_data_set(formats, tmp_path):
    episodes = [e._replace(reward=np.full(2, 3.0)) for e in formats.make((2, 2), (1, 1))]
    more = {"ref_min_score": 1.0, "ref_max_score": 11.0, "dataset_id": "pen/human-v2"}
    report = minari.load(formats.minari(tmp_path / "pen", episodes, **more)).report
    assert (report.name, report.score) == ("pen/human-v2", 50.0)
    assert minari.load(formats.minari(tmp_path / "x", episodes)).report.score is None


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda f: f.pop("episode_1"), "episode_1: episode: cannot be read"),
        (lambda f: f["episode_1"].pop("rewards"), "episode_1: episode: cannot be read"),
        (lambda f: put(f, "episode_0/actions", np.zeros((2, 1))), r"episode_0: actions: has shape"),
        (lambda f: put(f, "episode_0/observations", np.zeros((2, 2))), "episode_0: observations: "),
        (
            lambda f: put(f, "episode_1/observations", np.full((3, 2), np.nan)),
            "episode_1: observations: is not finite in row 0",
        ),
        (lambda f: put(f, "episode_1/terminations", [0, 2]), "terminations: is 2 in row 1"),
        (lambda f: put(f, "episode_1/observations", np.zeros((3, 3))), "observations: has shape"),
        (lambda f: put(f, "episode_1/actions", np.zeros((2, 1), int)), "differ in shapes or types"),
        (lambda f: put(f, "episode_1/rewards", [b"a", b"b"]), "rewards: has dtype"),
        (lambda f: put(f, "episode_1/rewards", 1.0), "rewards: is no array"),
        (lambda f: put(f, "episode_1/observations/_index_1", np.zeros((3, 2))), "has gaps"),
    ],
)
def test_what_is_wrong_is_said(formats, tmp_path, edit, what):
    folder = formats.minari(tmp_path / "bad", formats.make((3, 2), (True, False)))
    change(folder, edit)
    with pytest.raises(DataError, match=rf"bad.*{what}.*Fix:"):
        minari.load(folder)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "metadata.json: file: describes no data set"),
        ("[]", "describes no data set"),
        ('{"data_format": "hdf5"}', "describes no data set"),
        ('{"total_episodes": 1, "observation_space": "Box(2)"}', "describes no data set"),
        ('{"total_episodes": 1, "data_format": "zarr"}', "data_format: is 'zarr'"),
        ('{"total_episodes": Infinity}', "describes no data set"),
        ('{"total_episodes": 0}', "episodes: hold no step"),
        ('{"total_episodes": 9}', "episode_2: episode: cannot be read"),
    ],
)
def test_descriptions_that_are_none(formats, tmp_path, text, what):
    folder = formats.minari(tmp_path / "bad", formats.make((3, 2), (True, False)))
    (folder / "data" / "metadata.json").write_text(text)
    with pytest.raises(DataError, match=what):
        minari.load(folder)


def test_files_that_are_not_there_or_cut(formats, tmp_path):
    with pytest.raises(DataError, match=r"metadata\.json: does not exist"):
        minari.load(tmp_path)
    folder = formats.minari(tmp_path / "cut", formats.make((30, 20), (True, False)))
    path = folder / "data" / "main_data.hdf5"
    whole = path.read_bytes()
    for share in (0.0, 0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match=r"main_data\.hdf5: file: cannot be opened"):
            minari.load(folder)
    path.unlink()
    with pytest.raises(DataError, match=r"main_data\.hdf5: file: does not exist"):
        minari.load(folder)


def test_without_the_packages(formats, tmp_path, monkeypatch):
    folder = formats.minari(tmp_path / "any", formats.make((3, 2), (True, False)))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"'h5py': pip install 'rlax_pref\[data\]'"):
        minari.load(folder)
    meta = folder / "data" / "metadata.json"
    meta.write_text(json.dumps(json.loads(meta.read_text()) | {"data_format": "parquet"}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"'pyarrow': pip install 'rlax_pref\[data\]'"):
        minari.load(folder)


# What the library itself writes -------------------------------------------------------------


def written(root, kind, observation_space, action_space, episodes, **options):
    """A directory as Minari makes it."""
    storage = pytest.importorskip("minari.dataset.minari_storage").MinariStorage
    buffer = pytest.importorskip("minari.data_collector").EpisodeBuffer
    made = storage.new(
        root, observation_space=observation_space, action_space=action_space, data_format=kind,
        **options,
    )  # fmt: skip
    made.update_episodes(
        [
            buffer(
                id=number,
                observations=obs,
                actions=action,
                rewards=list(reward),
                terminations=[terminated and last for last in _last(reward)],
                truncations=[not terminated and last for last in _last(reward)],
                infos={},
            )
            for number, (obs, action, reward, terminated) in enumerate(episodes)
        ]
    )
    return root


def _last(reward):
    return [t == len(reward) - 1 for t in range(len(reward))]


KINDS = pytest.mark.parametrize("kind", ["hdf5", "arrow", "parquet"])


@KINDS
def test_what_minari_writes(formats, tmp_path, kind):
    spaces = pytest.importorskip("gymnasium").spaces
    episodes = formats.make((3, 12, 1), (True, False, True))
    box = lambda n: spaces.Box(-np.inf, np.inf, (n,), np.float32)
    ours = minari.load(formats.minari(tmp_path / "ours", episodes)).data
    theirs = minari.load(written(tmp_path / kind, kind, box(2), box(1), episodes)).data
    assert jax.tree.structure(theirs) == jax.tree.structure(ours)
    jax.tree.map(np.testing.assert_array_equal, theirs, ours)


@KINDS
def test_nested_spaces_and_whole_numbers(formats, tmp_path, kind):
    spaces = pytest.importorskip("gymnasium").spaces
    episodes = formats.make((3, 2), (True, False))
    box = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    board = spaces.Box(0, 9, (2, 3), np.int64)
    observation = spaces.Dict({"observation": box, "goal": spaces.Tuple((box, board))})
    nested = [
        (
            {"observation": e.obs, "goal": (-e.obs, np.arange(6 * len(e.obs)).reshape(-1, 2, 3))},
            np.arange(len(e.reward)),
            e.reward,
            e.terminated,
        )
        for e in episodes
    ]
    root = written(tmp_path / kind, kind, observation, spaces.Discrete(5), nested)
    data = minari.load(root).data
    np.testing.assert_array_equal(data.a_tm1, [0, 1, 2, 0, 1])
    assert data.a_tm1.dtype == np.int32 and data.a_tm1.shape == (5,)
    np.testing.assert_array_equal(data.obs_tm1["goal"][0], -data.obs_tm1["observation"])
    np.testing.assert_array_equal(data.obs_t["goal"][1][3], np.arange(6).reshape(2, 3) + 6)
    report = str(minari.load(root).report)
    assert "goal/0 float32 [2]" in report and "actions int32 [] from 0 to 2" in report

    with pytest.raises(DataError, match=r"observations/goal: is missing; there are .*observation"):
        minari.load(root, join=("observation", "goal"))
    joined = minari.load(root, join=("observation", "observation")).data
    np.testing.assert_array_equal(joined.obs_t[:, 2:], data.obs_t["observation"])


@KINDS
@pytest.mark.parametrize(("packed", "alike"), [(True, True), (True, False), (False, True)])
def test_pictures(tmp_path, kind, packed, alike):
    spaces = pytest.importorskip("gymnasium").spaces
    space = spaces.Box(0, 255, (32, 40, 3), np.uint8)
    obs = np.stack([np.full((32, 40, 3), 20 * t, np.uint8) for t in range(4)])
    if not alike:  # the files of the pictures differ in length
        obs[1] = np.linspace(0, 255, 40)[None, :, None]
    action = np.zeros((3, 1), np.float32)
    episodes = [(obs, action, np.ones(3), True), (obs[:2], action[:1], np.ones(1), True)]
    box = spaces.Box(-1, 1, (1,), np.float32)
    data = minari.load(
        written(tmp_path / kind, kind, space, box, episodes, jpeg_encoding=packed)
    ).data
    assert data.obs_t.dtype == np.uint8 and data.obs_t.shape == (4, 32, 40, 3)
    np.testing.assert_allclose(data.obs_t[:3], obs[1:], atol=8 if packed else 0)
