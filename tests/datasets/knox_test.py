"""Readers of the studies: sound files in both layouts, and everything that can be wrong."""

import gzip
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import preferences, tabular
from rlax_pref.datasets import Report, knox
from rlax_pref.envs import grid
from rlax_pref.types import DataError

WORLD = grid.delivery()
PUBLISHED = "_full_filtered_segment_pairs.npy"

# Pairs on the delivery board: the second one goes past a sheep at (6, 3), and is padded there.
PAIRS = np.array(
    [
        [[[6, 7], [-1, 0], [-1, 0], [-1, 0]], [[6, 7], [1, 0], [1, 0], [0, 1]]],
        [[[5, 3], [1, 0], [0, 0], [0, 0]], [[0, 0], [0, 1], [0, -1], [1, 0]]],
        [[[9, 9], [1, 0], [0, 1], [-1, 0]], [[5, 3], [1, 0], [-1, 0], [0, 1]]],
        [[[6, 7], [-1, 0], [-1, 0], [-1, 0]], [[6, 7], [1, 0], [1, 0], [0, 1]]],
    ],
    np.int8,
)
X = np.array([[-1, 0, 7], [47, -7, 30], [0, 0, 0], [-1, 0, 7]], np.int16)
Y = np.array([1, 0, 0.5, 0], np.float32)


def plain(folder, name="Made-Up", **changes):
    """A condition in the plain layout."""
    path = folder / f"{name}.npz"
    arrays = {"pairs": PAIRS, "X": X, "Y": Y} | changes
    np.savez(path, **{field: x for field, x in arrays.items() if x is not None})
    return path


def published(folder, name="Made-Up", **changes):
    """The same in the authors' layout."""
    arrays = {"segment_pairs": PAIRS, "X": X, "Y": Y} | changes
    for field, x in arrays.items():
        if x is not None:
            wide = x.astype(np.int64 if field == "segment_pairs" else np.float64)
            np.save(folder / f"{name}_full_filtered_{field}.npy", wide)
    return folder / f"{name}{PUBLISHED}"


# Sound files --------------------------------------------------------------------------------


@pytest.mark.parametrize("write", [plain, published])
def test_both_layouts_are_read_and_converted(tmp_path, write):
    study = knox.load_human(write(tmp_path), WORLD)
    pairs = study.preferences
    np.testing.assert_array_equal(pairs.p_first, [0, 1, 0.5, 1])
    np.testing.assert_array_equal(pairs.weight, 1)
    np.testing.assert_array_equal(study.difference, -X)
    # (6, 7) down, down, right: over mud with a coin to (8, 8).
    np.testing.assert_array_equal(pairs.segments.state[0, 1], [67, 77, 87, 88])
    np.testing.assert_array_equal(pairs.segments.action[0, 1], [1, 1, 3])
    # Stopped by a sheep, whether the file pads the rest or goes on.
    np.testing.assert_array_equal(pairs.segments.state[1, 0], [53, 63, 63, 63])
    np.testing.assert_array_equal(pairs.segments.live[1, 0], [True, False, False])
    np.testing.assert_array_equal(pairs.segments.live[2, 1], [True, False, False])
    assert np.all(pairs.segments.action >= 0)
    assert study.report == Report("Made-Up", 4, 2, 1, 1, 1, 2, 2)


def test_the_report_reads_well(tmp_path):
    text = str(knox.load_human(plain(tmp_path), WORLD).report)
    assert "Made-Up: 4 pairs" in text
    assert "ties 1 (25.0 %)" in text and "duplicates 1 (25.0 %)" in text


def test_a_board_may_be_larger_than_the_file_knows(tmp_path):
    """Padding with houses renumbers states and changes nothing else."""
    world = grid.grid_world(grid.pad_board(WORLD.board, (12, 13)), WORLD.weights)
    small = knox.load_human(plain(tmp_path), WORLD).preferences.segments
    large = knox.load_human(plain(tmp_path), world).preferences.segments
    np.testing.assert_array_equal(large.state // 13 * 10 + large.state % 13, small.state)
    np.testing.assert_array_equal(large.live, small.live)


def test_worlds_and_pairs_without_labels(tmp_path):
    board = np.array([[0, 1, 5], [4, 0, 3]], np.int8)
    psi = np.arange(2 * 6 * 6.0).reshape(2, 2, 3, 6)
    pairs = np.array([[[[0, 0], [0, 1]], [[1, 1], [1, 0]]]] * 3)
    path = tmp_path / "MDP_1.npz"
    np.savez(path, board=board, w=np.arange(6), psi=psi, pairs1=pairs)
    task = knox.load_task(path)
    np.testing.assert_array_equal(task.board, board)
    np.testing.assert_array_equal(task.weights, np.arange(6))
    np.testing.assert_array_equal(task.psi[1, 5], psi[1, 1, 2])
    world = grid.grid_world(task.board, task.weights)
    segments = knox.load_pairs(path, world, "pairs1")
    np.testing.assert_array_equal(segments.state[0], [[0, 1], [4, 4]])
    for name, array in (("all_trajs", pairs), ("gt_rew_vec", np.arange(6))):
        with gzip.open(tmp_path / f"MDP_1{name}.npy.gz", "wb") as file:
            np.save(file, array)
    np.save(tmp_path / "succ_feats_no_gt.npy", psi)
    again = knox.load_pairs(tmp_path / "MDP_1all_trajs.npy.gz", world)
    np.testing.assert_array_equal(again.state, segments.state)
    weights = knox.load_weights(tmp_path / "MDP_1gt_rew_vec.npy.gz")
    np.testing.assert_array_equal(weights, task.weights)
    loaded = knox.load_successor_features(tmp_path / "succ_feats_no_gt.npy")
    np.testing.assert_array_equal(loaded, task.psi)


def test_any_number_of_conditions_is_found(tmp_path):
    with pytest.raises(DataError, match="no condition found"):
        knox.find_human(tmp_path)
    published(tmp_path, "B")
    published(tmp_path, "A")
    assert list(knox.find_human(tmp_path)) == ["A", "B"]
    (tmp_path / "human").mkdir()
    plain(tmp_path / "human", "C")
    assert list(knox.find_human(tmp_path)) == ["C"]


def test_the_published_conditions_are_as_described(data):
    """Counts, and the statistics recomputed from the pairs: exactly what is stored."""
    described = {
        "Privileged-Control": (1793, 551, 354, 888, 0.318),
        "Pr-Privileged": (2532, 1019, 375, 1138, 0.225),
        "Question-Control": (442, 183, 46, 213, 1.0),
    }
    mdp, reward = jax.jit(lambda: (WORLD.tabular(), WORLD.rewards()))()
    value = jax.jit(tabular.value_iteration)(mdp, reward, 1.0)
    for name, path in knox.find_human(data).items():
        study = knox.load_human(path, WORLD)
        segments = study.preferences.segments
        parts = jnp.stack(
            [
                preferences.partial_return(tabular.lookup(reward, segments), segments.live),
                value[segments.state[..., 0]],
                value[segments.state[..., -1]],
            ],
            axis=-1,
        )
        np.testing.assert_array_equal(parts[:, 0] - parts[:, 1], study.difference)
        if name in described:
            num, first, tie, second, same = described[name]
            r = study.report
            assert (r.num, r.first, r.tie, r.second) == (num, first, tie, second)
            assert r.same_start / r.num == pytest.approx(same, abs=5e-4)


def test_both_published_layouts_hold_the_same(data):
    for name, path in knox.find_human(data / "human_original").items():
        one = knox.load_human(path, WORLD)
        two = knox.load_human(data / "human" / f"{name}.npz", WORLD)
        for a, b in zip(jax.tree.leaves(one[:2]), jax.tree.leaves(two[:2]), strict=True):
            np.testing.assert_array_equal(a, b)


# Unsound files ------------------------------------------------------------------------------


def changed(array, index, value, dtype=None):
    array = np.array(array, dtype or array.dtype)
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("changes", "field", "fix"),
    [
        ({"Y": None}, "Y: is missing; the file holds X, pairs", r"add it, shape \[4\]"),
        ({"pairs": None}, "pairs: is missing", "add it"),
        ({"pairs": PAIRS[..., 0]}, r"pairs: has shape \[4, 2, 4\]", r"\[pairs, 2, moves \+ 1, 2\]"),
        ({"pairs": PAIRS[:, :1]}, r"pairs: has shape \[4, 1, 4, 2\]", "it must be"),
        ({"pairs": PAIRS[:, :, :1]}, "pairs: has no moves", "at least one move"),
        ({"pairs": PAIRS[:0]}, "pairs: is empty", "it must be"),
        ({"pairs": PAIRS.astype(float)}, "pairs: has dtype float64", "whole numbers"),
        ({"X": X[:3]}, r"X: has shape \[3, 3\]", r"it must be \[4, 3\]"),
        ({"X": changed(X, (2, 1), np.nan, float)}, "X: is not finite in row 2", "repair that row"),
        ({"X": X.astype("U4")}, "X: has dtype <U4", "it must hold numbers"),
        ({"Y": Y[:, None]}, r"Y: has shape \[4, 1\]", r"it must be \[4\]"),
        ({"Y": changed(Y, 3, 7)}, "Y: label 7.0 in row 3", "1 \\(second preferred\\)"),
        ({"Y": changed(Y, 0, np.nan)}, "Y: is not finite in row 0", "repair"),
        ({"Y": Y.astype(object)}, "Y.npy: holds pickled Python objects", "plain numbers"),
        ({"pairs": changed(PAIRS, (1, 0, 0, 0), 10)}, "off the board in pair 1", "(9, 9)"),
        ({"pairs": changed(PAIRS, (1, 0, 0, 0), -1)}, "off the board in pair 1", "(0, 0)"),
        ({"pairs": changed(PAIRS, (2, 0, 0), (2, 2))}, "an end in pair 2", "open cell"),
        ({"pairs": changed(PAIRS, (2, 0, 0), (3, 4))}, "a house or an end in pair 2", "open"),
        ({"pairs": changed(PAIRS, (0, 0, 2), (1, 1))}, "unknown move in pair 0", "one cell"),
        ({"pairs": changed(PAIRS, (0, 0, 2), (0, 2))}, "unknown move in pair 0", "one axis"),
        ({"pairs": changed(PAIRS, (0, 0, 2), 0)}, "no move before the end in pair 0", "only after"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, changes, field, fix):
    with pytest.raises(DataError, match=field) as error:
        knox.load_human(plain(tmp_path, **changes), WORLD)
    assert "Made-Up.npz" in str(error.value)
    message, advice = str(error.value).split("Fix: ")
    assert message and pytest.importorskip("re").search(fix, advice)


def test_missing_and_unknown_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.npz: file: does not exist"):
        knox.load_human(tmp_path / "none.npz", WORLD)
    with pytest.raises(DataError, match=r"none\.csv: name: not a condition"):
        knox.load_human(tmp_path / "none.csv", WORLD)
    with pytest.raises(DataError, match=r"Made-Up_full_filtered_Y\.npy: file: does not exist"):
        knox.load_human(published(tmp_path, Y=None), WORLD)
    with pytest.raises(DataError, match=r"w\.txt: name: unknown kind"):
        knox.load_weights(tmp_path / "w.txt")
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.npz: file: cannot be opened"):
        knox.load_human(tmp_path / "empty.npz", WORLD)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"board": np.full((2, 2), 12)}, "board: cell codes 12 to 12"),
        ({"board": np.full((2, 2), 8)}, "board: no cell to start from"),
        ({"board": np.zeros(4, int)}, "board: has shape"),
        ({"w": np.zeros(5)}, "w: has shape"),
        ({"w": np.full(6, np.inf)}, "w: is not finite"),
        ({"psi": np.zeros((2, 3, 3, 6))}, r"psi: has shape \[2, 3, 3, 6\]"),
    ],
)
def test_unsound_worlds_are_named(tmp_path, changes, field):
    path = tmp_path / "world.npz"
    np.savez(path, **({"board": np.zeros((2, 2), int), "w": np.zeros(6)} | changes))
    with pytest.raises(DataError, match=field):
        knox.load_task(path)


def test_pickles_are_never_opened(tmp_path):
    """A file that would run code when unpickled does not."""

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "trap.npz"
    np.savez(path, pairs=np.array([Trap()], object), X=X, Y=Y)
    with pytest.raises(DataError, match="pickled Python objects"):
        knox.load_human(path, WORLD)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("write", [plain, published])
def test_damaged_files_are_refused_or_sound(tmp_path, write):
    """Flipped and missing bytes: never another error, never a value that makes no sense."""
    source = write(tmp_path)
    good = source.read_bytes()
    work = tmp_path / "work"
    work.mkdir()
    for sibling in tmp_path.glob("*.npy"):
        shutil.copy(sibling, work)
    path = work / source.name
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(400):
        bad = bytearray(good)
        if trial % 4 == 0:
            del bad[rng.integers(len(bad)) :]
        else:
            for position in rng.integers(len(bad), size=1 + trial % 3):
                bad[position] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(bad))
        try:
            study = knox.load_human(path, WORLD)
        except DataError as error:
            refused += 1
            assert "Fix: " in str(error) and source.name.split("_")[0] in str(error)
        else:
            state = study.preferences.segments.state
            assert state.shape[:2] == (4, 2) and np.all((state >= 0) & (state < 100))
            assert np.all(np.isin(study.preferences.p_first, (0, 0.5, 1)))
            assert np.all(np.isfinite(study.difference))
    assert refused > 200


def test_segments_may_begin_at_an_end_if_allowed_but_never_in_a_house(tmp_path):
    world = grid.grid_world(np.array([[0, 1, 2]], np.int32), np.arange(6))
    path = tmp_path / "MDP_1.npz"

    def load(column, **options):
        np.savez(path, pairs=np.array([[[[0, 0], [0, 1]], [[0, column], [0, 1]]]]))
        return knox.load_pairs(path, world, **options)

    segments = load(1, from_ends=True)
    np.testing.assert_array_equal(segments.state[0, 1], [1, 1])
    np.testing.assert_array_equal(segments.live[0], [[True], [False]])
    with pytest.raises(DataError, match="start cell is a house or an end in pair 0"):
        load(1)
    with pytest.raises(DataError, match="start cell is a house in pair 0"):
        load(2, from_ends=True)
