"""Whatever format a file has, it is found out, and the same is said as its own reader says."""

import json
import zipfile
from pathlib import Path

import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from hypothesis import given, settings

from rlax_pref import envs
from rlax_pref.datasets import exchange, hh, inspect, ipl, load_preferences, load_texts, trl
from rlax_pref.types import DataError

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("explicit.jsonl", trl.load),
        ("implicit.jsonl", trl.load),
        ("conversations.json", trl.load),
        ("unpaired.jsonl", trl.load_unpaired),
        ("hh.jsonl.gz", hh.load),
        ("ipl.npz", ipl.load),
        ("cpl.npz", ipl.load),
        ("exchange", exchange.load),
    ],
)
def test_every_format_is_known(name, load):
    assert inspect(GOLDEN / name) == load(GOLDEN / name).report


def test_what_is_in_it_is_what_its_own_reader_returns():
    for name, load in (("hh.jsonl.gz", hh.load), ("unpaired.jsonl", trl.load_unpaired)):
        assert load_texts(GOLDEN / name) == load(GOLDEN / name)
    kept = exchange.to_preferences(exchange.load(GOLDEN / "exchange").data)
    for name, pairs in (("ipl.npz", ipl.load(GOLDEN / "ipl.npz").data), ("exchange", kept)):
        found = load_preferences(GOLDEN / name)
        jax.tree.map(np.testing.assert_array_equal, found.data, pairs)
        assert found.report == inspect(GOLDEN / name)


def test_segments_must_fit_the_environment():
    with pytest.raises(DataError, match=r"ipl\.npz: observations: have shape .* Fix: give data of"):
        load_preferences(GOLDEN / "ipl.npz", envs.make("cartpole"))
    with pytest.raises(DataError, match="holds labels of a data set that is not there"):
        load_preferences(GOLDEN / "uni_rlhf")
    with pytest.raises(DataError, match="holds no segments that can be read"):
        load_preferences(GOLDEN / "explicit.jsonl")


def test_studies_in_grid_worlds(tmp_path):
    pairs = np.array([[[[6, 7], [-1, 0]], [[6, 7], [1, 0]]]])
    np.savez(tmp_path / "study.npz", pairs=pairs, X=np.zeros((1, 3)), Y=np.ones(1))
    report = inspect(tmp_path / "study.npz")
    assert (report.name, report.num, report.second, report.same_start) == ("study", 1, 1, 1)


def test_the_first_sound_row_decides(tmp_path):
    path = tmp_path / "rows.jsonl"
    row = {"prompt": "a", "completion": "b", "label": True}
    path.write_text("{\n[]\n" + json.dumps(row))
    with pytest.raises(DataError, match="line 1: text: is no sound JSON"):
        inspect(path)
    report = inspect(path, skip_bad=True)
    assert (report.num, report.desirable, len(report.skipped)) == (1, 1, 2)


TEXTS = ("explicit.jsonl", "implicit.jsonl", "conversations.json", "unpaired.jsonl", "hh.jsonl.gz")


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damaged_rows_are_refused_or_sound(tmp_path_factory, data):
    """Whatever becomes of the bytes of a file: a report, or a `DataError`, and nothing else."""
    path = tmp_path_factory.getbasetemp() / "damaged"
    bad = bytearray((GOLDEN / data.draw(st.sampled_from(TEXTS))).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(0, len(bad)))
        bad[where : where + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3)
            | st.sampled_from([b'"', b"\\ud83d", b"null", b"[", b"}\r\n{", b"1"])
        )
    path.write_bytes(bad)
    try:
        report = inspect(path, skip_bad=data.draw(st.booleans()))
    except DataError as error:
        assert "damaged" in str(error)
    else:
        assert report.num >= 1


@settings(deadline=None, max_examples=200)
@given(bad=st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes_at_all(tmp_path_factory, bad):
    folder = tmp_path_factory.getbasetemp()
    for name in ("any.jsonl", "any.npz"):
        (folder / name).write_bytes(bad)
        with pytest.raises(DataError, match=r"any\."):
            inspect(folder / name)


@pytest.mark.parametrize("length", [1 << 31, 1 << 60])
def test_an_array_that_claims_to_be_huge(tmp_path, length):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({length},), }}".ljust(117) + "\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("action_1.npy", array)
    with pytest.raises(DataError, match=r"action_1\.npy: is no sound array"):
        inspect(tmp_path / "huge.npz")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("none", "none: file: does not exist"),
        ("uni_rlhf", "labels: one file is needed, found none"),
        ("label.pkl", "is one of three pickles. Fix: give the folder"),
        ("notes.txt", "line 1: text: is no sound JSON"),
    ],
)
def test_what_is_none_of_them(tmp_path, name, what):
    (tmp_path / "uni_rlhf").mkdir()
    (tmp_path / "label.pkl").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("Dear diary")
    with pytest.raises(DataError, match=what):
        inspect(tmp_path / name)
