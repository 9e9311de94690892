"""Segments and what people said of them, kept whole: a directory that anything can read.

  meta.json      format and version, what the writer says about it all, checksums of the files
  segments.npz   `state`, `action`, `live` of all pairs, as in `types.Segments`
  labels.jsonl   an answer a line: the pair, `p_first`, and who gave it, how and when

Nothing is lost in a round trip: arrays keep their types, a pair may have several answers or none,
and answers that express no preference ("skip") are kept. A directory is written whole or not at
all, and a bit that flips in it later is noticed.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rlax_pref._files import flush
from rlax_pref.datasets._files import (
    NAN_FREE_NUMBERS,
    PathLike,
    Row,
    as_row,
    fail,
    keep_sound,
    read_arrays,
    read_bytes,
    read_rows,
    take,
)
from rlax_pref.datasets._report import Loaded, report
from rlax_pref.types import DataError, Preferences, Segments

FORMAT, VERSION = "rlax_pref.preferences", 1
KINDS = ("strict", "equal", "incomparable", "skip", "unsure")
_FILES = ("segments.npz", "labels.jsonl")
_MOST = {"p_first": 1, "weight": 1e30, "ms": 1e30}


class Label(NamedTuple):
    """One answer about one pair. Whatever is not known is None."""

    pair: int  # which pair, from 0
    p_first: float | None  # probability that the first segment is preferred, if it says that
    kind: str = "strict"  # of KINDS; "equal" has p_first 0.5
    weight: float = 1.0  # >= 0
    annotator: str | None = None
    shown_left: str | None = None  # "first" or "second"
    ms: float | None = None  # milliseconds until the answer
    time: str | None = None  # when, as in ISO 8601
    query_id: str | None = None
    sampler: str | None = None  # what chose the pair


class Exchange(NamedTuple):
    """Pairs of segments, answers, and what is to be said about them."""

    segments: Any  # types.Segments, every leaf leads with [N, 2]; NumPy arrays
    labels: tuple[Label, ...]
    about: dict[str, Any]  # anything that JSON can hold, e.g. {"env": "cartpole"}


def from_preferences(pairs: Preferences, **about: Any) -> Exchange:
    """One answer to each pair, with nothing known about it but `p_first` and weight.

    Args:
      pairs: the segments and their labels.
      **about: what else is to be said, e.g. `env="cartpole"`.
    """
    labels = tuple(
        Label(pair, p_first, "equal" if p_first == 0.5 else "strict", weight)
        for pair, (p_first, weight) in enumerate(
            zip(np.asarray(pairs.p_first).tolist(), np.asarray(pairs.weight).tolist(), strict=True)
        )
    )
    segments: Any = jax.tree.map(np.asarray, pairs.segments)
    return Exchange(segments, labels, about)


def to_preferences(data: Exchange) -> Preferences:
    """A row for each answer that says what is preferred: several for a pair that has several.

    Raises:
      ValueError: no answer says that.
    """
    said = [label for label in data.labels if label.p_first is not None]
    if not said:
        raise ValueError("to_preferences: none of the answers says which segment is preferred")
    pair = np.array([label.pair for label in said])
    return Preferences(
        Segments(*(jnp.asarray(x[pair]) for x in data.segments)),
        jnp.array([label.p_first for label in said], jnp.float32),
        jnp.array([label.weight for label in said], jnp.float32),
    )


def save(directory: PathLike, data: Exchange) -> None:
    """Writes a directory, whole or not at all; when this returns it is on disk.

    Args:
      directory: its name; there must be no such thing yet.
      data: what to write.

    Raises:
      FileExistsError: there is something of that name.
      DataError: it could not be read again.
      ValueError, TypeError: `about` holds what JSON cannot.
    """
    directory = Path(directory)
    if directory.exists():
        raise FileExistsError(f"{directory} exists already; choose another name")
    arrays: dict[str, Any] = {name: np.asarray(x) for name, x in data.segments._asdict().items()}
    num = len(_segments(arrays, directory / "segments.npz").action)
    if json.loads(json.dumps(data.about)) != data.about:
        raise ValueError("about: it must hold what JSON can, such as lists and no tuples")
    rows = [_fields(label) for label in data.labels]
    for number, fields in enumerate(rows, 1):
        _label(Row(f"{directory / 'labels.jsonl'}: line {number}", fields), num)
    fresh = directory.with_name(f".{directory.name}.tmp-{os.getpid()}")
    fresh.mkdir(parents=True)
    try:
        np.savez(fresh / "segments.npz", **arrays)
        lines = "".join(json.dumps(fields, ensure_ascii=False) + "\n" for fields in rows)
        (fresh / "labels.jsonl").write_text(lines, encoding="utf-8", newline="\n")
        meta = {
            "format": FORMAT,
            "version": VERSION,
            "pairs": num,
            "segment_length": arrays["action"].shape[2],
            "labels": len(rows),
            "about": data.about,
            "sha256": {name: _sha256(fresh / name) for name in _FILES},
        }
        meta["seal"] = _seal(meta)
        (fresh / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
        for path in (*fresh.iterdir(), fresh):
            flush(path, deep=False)
        fresh.rename(directory)
        flush(directory.parent, deep=False)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def load(directory: PathLike, *, skip_bad: bool = False) -> Loaded[Exchange]:
    """Reads a directory; `to_preferences` makes of it what is learned from.

    Args:
      directory: as `save` wrote it.
      skip_bad: leave answers out that are not sound, instead of raising.

    Returns:
      Everything that was saved, and what was found: its counts are of answers with a preference.

    Raises:
      DataError: names file, line, field and fix.
    """
    directory = Path(directory)
    meta = _meta(directory / "meta.json")
    for name in _FILES:
        path = directory / name
        if not path.is_file():
            fail(path, "file", "does not exist", "copy the directory again")
        if _sha256(path) != meta["sha256"][name]:
            fail(path, "sha256", "is not what meta.json says", "copy the directory again")
    path = directory / "segments.npz"
    segments = _segments(read_arrays(path), path)
    num = len(segments.action)
    items = read_rows(directory / "labels.jsonl") if meta["labels"] else []
    labels, skipped = keep_sound(items, lambda item: _label(as_row(item), num), skip_bad=skip_bad)
    said = [label for label in labels if label.p_first is not None]
    pair = np.array([label.pair for label in said], int)
    p_first: Any = np.array([label.p_first for label in said], float)
    pairs = Preferences(Segments(*(x[pair] for x in segments)), p_first, p_first)
    found = report(directory.absolute().name, pairs, skipped)
    return Loaded(Exchange(segments, tuple(labels), meta["about"]), found)


def _meta(path: Path) -> dict[str, Any]:
    """What `meta.json` says, if it is of a version that can be read."""
    fix = "give a directory that datasets.exchange.save has written"
    try:
        meta = json.loads(read_bytes(path))
        sealed = meta.pop("seal")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        fail(path, "file", f"is no description of a data set ({error!r})", fix)
    if meta.get("format") != FORMAT:
        fail(path, "format", f"is {meta.get('format')!r}", fix)
    if meta.get("version") != VERSION:
        fail(path, "version", f"is {meta.get('version')!r}, not {VERSION}", "update rlax_pref")
    if sealed != _seal(meta):
        fail(path, "seal", "is not that of the file", "copy the directory again")
    for field, kind in (("about", dict), ("labels", int), ("sha256", dict)):
        if not isinstance(meta.get(field), kind):
            fail(path, field, "is missing or of another type", fix)
    if missing := set(_FILES) - meta["sha256"].keys():
        fail(path, "sha256", f"says nothing of {min(missing)}", fix)
    return meta


def _segments(arrays: dict[str, np.ndarray], path: Path) -> Any:
    """`types.Segments` of NumPy arrays, if they are in keeping with each other."""
    more = {field: ("features",) * (x.ndim - 3) for field, x in arrays.items()}
    action_shape: tuple[int | str, ...] = ("pairs", 2, "steps", *more.get("action", ()))
    action: Any = take(arrays, path, "action", action_shape, NAN_FREE_NUMBERS)
    num, _, length = action.shape[:3]
    state_shape: tuple[int | str, ...] = (num, 2, length + 1, *more.get("state", ()))
    state: Any = take(arrays, path, "state", state_shape, NAN_FREE_NUMBERS)
    live: Any = take(arrays, path, "live", (num, 2, length), "b")
    return Segments(state, action, live)


def _label(row: Row, num: int) -> Label:
    """An answer, if it makes sense of one of `num` pairs."""
    known = {field: value for field, value in row.fields.items() if value is not None}
    for field, value in known.items():
        if field not in Label._fields:
            row.fail(field, "is not known", "remove it, or update rlax_pref")
        if field in _MOST:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and 0 <= value <= _MOST[field]):
                row.fail(field, f"is {value!r}", f"it must be a number from 0 to {_MOST[field]}")
        elif field != "pair":
            row.text(field, value)
    pair = row.take("pair")
    if not isinstance(pair, int) or isinstance(pair, bool) or not 0 <= pair < num:
        row.fail("pair", f"is {pair!r}", f"it must be one of the pairs 0 to {num - 1}")
    label = Label(**({"p_first": None} | known))
    if label.kind not in KINDS:
        row.fail("kind", f"is {label.kind!r}", f"it must be one of {', '.join(KINDS)}")
    if label.shown_left not in (None, "first", "second"):
        row.fail("shown_left", f"is {label.shown_left!r}", "it must be first or second")
    agrees = {
        "strict": label.p_first is not None,
        "equal": label.p_first == 0.5,
        "unsure": True,
    }
    if not agrees.get(label.kind, label.p_first is None):
        row.fail("p_first", f"is {label.p_first}, but kind is {label.kind}", "make them agree")
    return label


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(meta: dict[str, Any]) -> str:
    """The checksum of a description's content, whatever its spacing."""
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _fields(label: Label) -> dict[str, Any]:
    """What is known, by name."""
    return {name: value for name, value in label._asdict().items() if value is not None}
