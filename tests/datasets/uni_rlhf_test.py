"""Human labels in pickles: read without running anything, whatever version wrote them."""

import copyreg
import os
import pickle
import shutil
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from rlax_pref.datasets import Report, inspect, uni_rlhf
from rlax_pref.datasets._pickles import read_pickle
from rlax_pref.types import DataError

GOLDEN = Path(__file__).parent / "golden"
OBS = np.arange(20.0).reshape(10, 2)
ACTION = -np.arange(10.0)[:, None]


def write(folder, labels=(0, 1, -1), first=(0, 1, 2), second=(5, 6, 7), length="_len_3"):
    folder.mkdir(exist_ok=True)
    for name, x in (("label", labels), ("indices_1", first), ("indices_2", second)):
        x = list(x) if isinstance(x, tuple) else x
        (folder / f"{name}{length}.pkl").write_bytes(pickle.dumps(x, 4))
    return folder


# Sound files --------------------------------------------------------------------------------


def test_golden_of_preference_transformer():
    """Labels 0, 1, -1; segments of 4 rows starting at 0, 3, 5 and 4, 2, 0."""
    pairs, report = uni_rlhf.load(GOLDEN / "preference_transformer", OBS, ACTION)
    np.testing.assert_array_equal(pairs.p_first, [1, 0, 0.5])
    np.testing.assert_array_equal(pairs.weight, 1)
    np.testing.assert_array_equal(
        pairs.segments.state[..., 0],
        [
            [[0, 2, 4, 6], [8, 10, 12, 14]],
            [[6, 8, 10, 12], [4, 6, 8, 10]],
            [[10, 12, 14, 16], [0, 2, 4, 6]],
        ],
    )
    np.testing.assert_array_equal(
        pairs.segments.action[..., 0],
        [[[0, -1, -2], [-4, -5, -6]], [[-3, -4, -5], [-2, -3, -4]], [[-5, -6, -7], [0, -1, -2]]],
    )
    assert pairs.segments.live.shape == (3, 2, 3) and pairs.segments.live.all()
    assert report == Report("preference_transformer", 3, 1, 1, 1, 0, 0, 0)
    assert inspect(GOLDEN / "preference_transformer") == report


def test_golden_of_uni_rlhf():
    """Labels 1, 0, -1, -1 as a list; segments of 3 rows, by the names of the files."""
    pairs, report = uni_rlhf.load(GOLDEN / "uni_rlhf", OBS, ACTION)
    np.testing.assert_array_equal(pairs.p_first, [0, 1, 0.5, 0.5])
    np.testing.assert_array_equal(
        pairs.segments.state[..., 0, 1], [[1, 11], [3, 9], [5, 5], [5, 7]]
    )
    assert pairs.segments.action.shape == (4, 2, 2, 1)
    assert report == Report("uni_rlhf", 4, 1, 2, 1, 0, 1, 0)
    assert inspect(GOLDEN / "uni_rlhf") == report


def test_no_action_is_lost_where_the_next_observations_are_known():
    pairs, _ = uni_rlhf.load(GOLDEN / "uni_rlhf", OBS, ACTION, next_observations=OBS + 0.5)
    np.testing.assert_array_equal(pairs.segments.state[0, 0, :, 0], [0, 2, 4, 4.5])
    np.testing.assert_array_equal(pairs.segments.action[0, 0, :, 0], [0, -1, -2])


@pytest.mark.parametrize("column", [False, True])
def test_labels_may_be_probabilities_or_a_column(tmp_path, column):
    labels = np.array([[0], [1], [-1]]) if column else np.array([[1, 0], [0.25, 0.75], [0.5, 0.5]])
    pairs, _ = uni_rlhf.load(write(tmp_path, labels), OBS, ACTION)
    np.testing.assert_array_equal(pairs.p_first, [1, 0, 0.5] if column else [1, 0.25, 0.5])


def test_one_pair_is_enough(tmp_path):
    pairs, _ = uni_rlhf.load(write(tmp_path, np.array([[0.75, 0.25]]), (0,), (5,)), OBS, ACTION)
    np.testing.assert_array_equal(pairs.p_first, [0.75])


def test_files_may_be_named(tmp_path):
    folder = write(tmp_path, length="")
    shutil.copy(folder / "label.pkl", folder / "label_of_somebody_else")
    with pytest.raises(DataError, match="labels: one file is needed, found label"):
        uni_rlhf.load(folder, OBS, ACTION, length=3)
    names = ("label_of_somebody_else", "indices_1.pkl", "indices_2.pkl")
    files = uni_rlhf.Files(*(folder / name for name in names))
    with pytest.raises(DataError, match="length: is None"):
        uni_rlhf.load(files, OBS, ACTION)
    pairs, _ = uni_rlhf.load(files, OBS, ACTION, length=3)
    assert pairs.segments.state.shape == (3, 2, 3, 2)


@settings(deadline=None, max_examples=25)
@given(rows=st.lists(st.tuples(st.sampled_from([0, 1, -1]), *[st.integers(0, 7)] * 2), min_size=1))
def test_exchanging_the_segments_flips_the_label(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp() / "task"
    labels, first, second = zip(*rows, strict=True)
    read = lambda *x: uni_rlhf.read(uni_rlhf.find(write(folder, *x)))
    choices = read(labels, first, second)
    other = read(tuple({0: 1, 1: 0, -1: -1}[x] for x in labels), second, first)
    np.testing.assert_array_equal(other.p_first, 1 - choices.p_first)
    np.testing.assert_array_equal(other.start, choices.start[:, ::-1])
    assert choices.length == 3


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "x",
    [
        np.array([0, 1, -1]),
        np.array([[0.5, 0.5], [1, 0]], ">f4"),
        np.asfortranarray([[1, 2, 3], [4, 5, 6]]),
        np.array([True, False]),
        np.array(3, np.uint8),
        [0, 1, -1],
        [[0.5, 0.5], [1, 0]],
        (0, 1),
        [np.int64(3), np.float32(0.5)],
        [np.array([1, 2]), np.array([3, 4])],
        7,
    ],
    ids=str,
)
def test_numbers_of_every_version_of_numpy(tmp_path, protocol, x):
    """Six protocols, and names as of numpy 1 and 2: the same numbers."""
    new = pickle.dumps(x, protocol)
    if protocol >= 4:  # the frame says its length: leave it out
        new = new[:2] + new[11:] if new[2:3] == b"\x95" else new
    old = new
    for module in (b"multiarray", b"numeric"):
        name = {b"_core": b"numpy._core." + module, b"core": b"numpy.core." + module}
        short = {key: b"\x8c" + bytes([len(x)]) + x for key, x in name.items()}
        old = old.replace(short[b"_core"], short[b"core"]).replace(name[b"_core"], name[b"core"])
    assert b"numpy._core" not in old
    for data in (new, old):
        path = tmp_path / "numbers"
        path.write_bytes(data)
        read = read_pickle(path)
        np.testing.assert_array_equal(read, x)
        assert read.shape == np.shape(x)


# Unsound files ------------------------------------------------------------------------------


class Call:
    """Asks to be unpickled by a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def bombs(marker):
    """Pickles that would make a file if they were believed, each by another way."""
    code = f"open({str(marker)!r}, 'w')"
    calls = {
        "system": Call(os.system, f"touch {marker}"),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "open": Call(open, str(marker), "w"),
        "nested": [0, 1, [Call(eval, code)]],
        "in an array": np.array([0, Call(eval, code)], object),
        "in a dict": {"labels": np.array([0]), "x": Call(eval, code)},
        "by numpy": Call(np.savetxt, str(marker), [0]),
        "type": Call(type, "Sneaky", (), {"touch": marker}),
    }
    text = str(marker).encode()
    by_hand = {
        "getattr": b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(Vos\ntRVsystem\ntR(Vtouch "
        + text
        + b"\ntR.",
        "by INST": b"(V" + f"touch {marker}".encode() + b"\nios\nsystem\n.",
        "by OBJ": b"(cbuiltins\nopen\nV" + text + b"\nVw\no.",
        "through an attribute": b"\x80\x04\x8c\x15numpy.core.multiarray\x8c\x1c"
        b"_reconstruct.__globals__.get\x93.",
        "by a number": b"\x80\x02\x82\x01.",
        "by a persistent name": b"Pmarker\n.",
        "through a name of numpy": b"cnumpy\nload\n(V" + text + b"\ntR.",
    }
    return {name: pickle.dumps(x) for name, x in calls.items()} | by_hand


def test_the_bombs_are_live(tmp_path):
    """Believed by pickle itself, they go off: what the next test sees is the reader's doing."""
    live = 0
    for i, bomb in enumerate(bombs(tmp_path / "sprung").values()):
        marker = tmp_path / str(i)
        bomb = list(bombs(marker).values())[i]
        try:
            pickle.loads(bomb)
        except Exception:
            pass
        live += marker.exists()
    assert live >= 11


def test_nothing_is_ever_run(tmp_path):
    """Neither by the reader of a pickle, nor by the readers of a task, with or without skipping."""
    marker = tmp_path / "sprung"
    folder = write(tmp_path / "task")
    for bomb in bombs(marker).values():
        for path in uni_rlhf.find(folder):
            good = path.read_bytes()
            path.write_bytes(bomb)
            for read in (
                lambda: read_pickle(path),  # noqa: B023
                lambda: uni_rlhf.load(folder, OBS, ACTION),
                lambda: uni_rlhf.load(folder, OBS, ACTION, skip_bad=True),
                lambda: inspect(folder),
            ):
                with pytest.raises(DataError, match="never runs what a pickle asks for"):
                    read()
                assert not marker.exists()
            path.write_bytes(good)
    assert uni_rlhf.load(folder, OBS, ACTION).report.num == 3


def test_names_that_are_known_by_number_are_refused(tmp_path):
    """Another library may have registered a function, which pickle then looks up in no list."""
    path = tmp_path / "numbered.pkl"
    bomb = b"\x80\x02\x82\x07(Vopen(" + repr(str(tmp_path / "sprung")).encode() + b", 'w')\ntR."
    copyreg.add_extension("builtins", "eval", 7)
    try:
        pickle.loads(bomb)  # it is live, and from now on the function is remembered
        (tmp_path / "sprung").unlink()
        path.write_bytes(bomb)
        with pytest.raises(DataError, match="asks for a name by its number"):
            read_pickle(path)
    finally:
        copyreg.remove_extension("builtins", "eval", 7)
    assert not (tmp_path / "sprung").exists()


ARRAY = pickle.dumps(np.array([0, 1, -1]), 2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no pickle",
        ARRAY[:-1],
        ARRAY + b"more",
        ARRAY.replace(b"i8", b"O8"),
        ARRAY.replace(b"i8", b"V8"),
        ARRAY.replace(b"i8", b"i4"),
        ARRAY.replace(b"K\x03", b"K\x04"),
        pickle.dumps("text"),
        pickle.dumps({"labels": [0]}),
        pickle.dumps([0, None]),
        pickle.dumps([[0], [1, 2]]),
        pickle.dumps([1 << 60]),
        pickle.dumps([[[0]]]),
        pickle.dumps(np.array(["a"])),
        pickle.dumps(np.array([1j])),
        pickle.dumps(np.array([0, None])),
        pickle.dumps(np.array([(1, 2)], "i4,i4")),
        b"cnumpy\nndarray\n.",
        b"cnumpy\nndarray\n)\x81.",
        b"cnumpy.core.multiarray\n_reconstruct\n)R.",
        b"cnumpy.core.multiarray\n_reconstruct\n)R}b.",
        b"cnumpy\ndtype\n}b.",
        b"]\x94h\x00a.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",
        b"\x80\x04\x8e\x00\x00\x00\x00\x02\x00\x00\x00.",
    ],
)
def test_what_is_no_plain_number_is_refused(tmp_path, data):
    path = tmp_path / "bad.pkl"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"bad\.pkl: file: .*Fix: "):
        read_pickle(path)


@pytest.mark.parametrize("one", [[0] * 3000, np.zeros(3000), (0,) * 3000])
def test_a_small_file_cannot_fill_the_memory(tmp_path, one):
    """The same list again and again, each time in two bytes."""
    path = tmp_path / "bomb"
    path.write_bytes(pickle.dumps([one] * 300_000, 4))
    assert path.stat().st_size < 1e6
    with pytest.raises(DataError, match="has more numbers than so small a file can"):
        read_pickle(path)


def test_lists_of_themselves_end(tmp_path):
    """A list that holds itself, and one that would be 2^60 numbers long if it were written out."""
    path = tmp_path / "bad.pkl"
    loop = []
    loop.append(loop)
    lots = [0]
    for _ in range(60):
        lots = [lots, lots]
    for x in (loop, lots):
        path.write_bytes(pickle.dumps(x))
        with pytest.raises(DataError, match="holds no plain numbers"):
            read_pickle(path)


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damaged_pickles_are_refused_or_sound(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    bad = bytearray(data.draw(st.sampled_from([ARRAY, pickle.dumps([0, 1, -1])])))
    for _ in range(data.draw(st.integers(1, 3))):
        bad[data.draw(st.integers(0, len(bad) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(bad))
    try:
        assert read_pickle(path).dtype.kind in "biuf"
    except DataError as error:
        assert "Fix: " in str(error)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": (0, 7, -1)}, "label_len_3.pkl: row 1: labels: is none that is known"),
        ({"labels": np.array([[1, 0], [1, 1], [0.5, 0.5]])}, "label_len_3.pkl: row 1: labels: is"),
        ({"first": (0, -1, 0)}, "indices_1_len_3.pkl: row 1: indices: is negative"),
        ({"second": (5, 8, 7)}, "indices_2_len_3.pkl: row 1: indices: ends past the data set"),
        ({"first": (0, 4, 0)}, "indices_1_len_3.pkl: row 1: observations: is not finite"),
    ],
)
def test_bad_rows_are_named_or_left_out(tmp_path, changes, what):
    obs = OBS.copy()
    obs[4, 1] = np.nan
    folder = write(tmp_path, **({"first": (0, 1, 0)} | changes))
    with pytest.raises(DataError, match=what) as error:
        uni_rlhf.load(folder, obs, ACTION)
    pairs, report = uni_rlhf.load(folder, obs, ACTION, skip_bad=True)
    np.testing.assert_array_equal(pairs.p_first, [1, 0.5])
    np.testing.assert_array_equal(pairs.segments.state[..., 0, 0], [[0, 10], [0, 14]])
    assert report.skipped == (str(error.value),)


@pytest.mark.parametrize(
    ("changes", "options", "what"),
    [
        ({"first": (0, 1)}, {}, "indices_1.*: indices: has shape"),
        ({"second": np.zeros((3, 2))}, {}, "indices_2.*: indices: has shape"),
        ({"labels": np.zeros((3, 3))}, {}, "label.*: labels: have shape"),
        ({"first": (0.5, 1, 2)}, {}, "indices_1.*: indices: are no whole numbers"),
        ({"first": (np.inf, 1, 2)}, {}, "indices_1.*: indices: are no whole numbers"),
        ({"labels": ()}, {}, "indices_1.*: indices: has shape"),
        ({}, {"length": 4}, "label.*: length: files say 3 rows a segment, not 4"),
        ({}, {"actions": ACTION[1:]}, "actions: rows: 9, of observations 10"),
        ({}, {"next_observations": OBS[1:]}, "next_observations: rows: 9, of observations 10"),
        ({}, {"observations": OBS[:2], "actions": ACTION[:2]}, "observations: rows: 2"),
        ({"length": "_len_1"}, {}, "label.*: length: is 1"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, options, what):
    folder = write(tmp_path, **changes)
    arguments = {"observations": OBS, "actions": ACTION} | options
    for skip_bad in (False, True):
        with pytest.raises(DataError, match=f"{what}.*Fix: "):
            uni_rlhf.load(folder, **arguments, skip_bad=skip_bad)


def test_files_of_two_tasks_are_noticed(tmp_path):
    folder = write(tmp_path)
    (folder / "label_len_3.pkl").rename(folder / "label_len_5.pkl")
    with pytest.raises(DataError, match=r"the three say lengths \[3, 5\]"):
        uni_rlhf.load(folder, OBS, ACTION)
    (folder / "label_len_5.pkl").unlink()
    with pytest.raises(DataError, match="labels: one file is needed, found none"):
        uni_rlhf.load(folder, OBS, ACTION)
