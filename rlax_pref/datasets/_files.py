"""Arrays and rows from files that somebody else wrote: sound, or one `DataError`."""

import gzip
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from rlax_pref._files import flush
from rlax_pref.types import DataError

PathLike = str | os.PathLike[str]
S = TypeVar("S")
T = TypeVar("T")

NAN_FREE_NUMBERS = "iuf"
WHOLE_NUMBERS = "iu"
MAX_BYTES = 1 << 33  # of one file, unpacked: a small archive can claim to hold anything

_OTHER_KINDS = {  # how files begin that look like rows of JSON by their name only
    b"PAR1": ("is a Parquet file", "convert it with pandas: read_parquet(...).to_json(..., "
              "orient='records', lines=True)"),
    b"PK\x03\x04": ("is a zip archive", "unpack it first"),
    b"\xff\xfe": ("is UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("is UTF-16", "save it as UTF-8"),
    b"version https://git-lfs": ("only points to where the data are", "run `git lfs pull`"),
}  # fmt: skip


def fail(where: Path | str, field: str, what: str, fix: str) -> NoReturn:
    """Raises `DataError` with the place, the field, what is wrong and what to do."""
    raise DataError(f"{where}: {field}: {what}. Fix: {fix}.")


def keep_sound(
    items: Iterable[S],
    parse: Callable[[S], T],
    *,
    skip_bad: bool,
    harmless: type[DataError] | tuple[()] = (),
) -> tuple[list[T], tuple[str, ...]]:
    """Parses one item after the other and keeps what is sound.

    Args:
      items: rows, lines, or their numbers.
      parse: raises `DataError` where an item is not sound.
      skip_bad: leave such items out instead of raising.
      harmless: errors after which an item is left out in any case.

    Returns:
      What was kept, and of everything left out the message that says why.

    Raises:
      DataError: the first unsound item's; or nothing at all is left.
    """
    kept: list[T] = []
    skipped: list[str] = []
    for item in items:
        try:
            kept.append(parse(item))
        except DataError as error:
            if not skip_bad and not isinstance(error, harmless):
                raise
            skipped.append(str(error))
    if skipped and not kept:
        raise DataError(f"{skipped[0]} Nothing is left: so it is with all {len(skipped)} rows.")
    return kept, tuple(skipped)


def read_bytes(path: Path) -> bytes:
    """All bytes of a file, unpacked if it is gzip, whatever its name.

    Raises:
      DataError: there is no such file, it is empty or damaged, or it is absurdly large.
    """
    try:
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(data)) as file:
                data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        fail(path, "file", "does not exist", "check the folder and the spelling")
    except Exception as error:  # a damaged archive fails in more ways than can be listed
        fail(path, "file", f"cannot be opened ({error})", "download or copy the file again")
    if not data:
        fail(path, "file", "is empty", "download or copy the file again")
    check_size(path, len(data))
    return data


def check_size(path: Path, size: int, most: int | None = None) -> None:
    """Raises `DataError` if a file claims to hold more bytes than is sensible."""
    most = MAX_BYTES if most is None else most
    if size > most:
        fail(path, "file", f"unpacks to more than {most} bytes", "split it, if it is sound")


class Row(NamedTuple):
    """One object of a file of JSON objects."""

    where: str  # "file.jsonl: line 17", for messages
    fields: dict[str, Any]

    def fail(self, field: str, what: str, fix: str) -> NoReturn:
        """Raises `DataError` about a field of this row."""
        fail(self.where, field, what, fix)

    def take(self, field: str) -> Any:
        """A field that must be there."""
        if self.fields.get(field) is None:
            have = ", ".join(map(str, self.fields)) or "nothing"
            self.fail(field, f"is missing; the row has {have}", "add it or remove the row")
        return self.fields[field]

    def text(self, field: str, value: Any) -> str:
        """A value that must be text, and such that it can be written again."""
        if not isinstance(value, str):
            self.fail(field, f"is of type {type(value).__name__}", "it must be text")
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail(field, "holds half of a surrogate pair", "write the character whole")
        return value


def read_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Where each row of JSON is and what it says, unparsed: one to a line, or one array of all.

    Takes a byte order mark, any kind of line end, empty lines, and gzip.

    Raises:
      DataError: the file cannot be read at all. What is wrong with a single row is for `as_row`.
    """
    data = read_bytes(path)
    for start, (what, fix) in _OTHER_KINDS.items():
        if data.startswith(start):
            fail(path, "file", what, fix)
    data = data.removeprefix(b"\xef\xbb\xbf")
    rows: list[tuple[str, Any]]
    if re.match(rb"\s*\[", data):
        rows = [(f"row {i}", value) for i, value in enumerate(_json(str(path), data), 1)]
    else:
        lines = enumerate(data.splitlines(), 1)
        rows = [(f"line {i}", line) for i, line in lines if line.strip()]
    if not rows:
        fail(path, "file", "holds no rows", "download or copy the file again")
    for where, value in rows:
        yield f"{path}: {where}", value


def as_row(item: tuple[str, Any]) -> Row:
    """Parses what `read_rows` found.

    Raises:
      DataError: it is not UTF-8, not JSON, or no object.
    """
    where, value = item
    if isinstance(value, bytes):
        value = _json(where, value)
    if not isinstance(value, dict):
        fail(where, "row", f"is of type {type(value).__name__}", 'it must be {"field": value, ...}')
    return Row(where, value)


def _json(where: str, data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        fail(where, "text", f"is not UTF-8 at byte {error.start}", "save the file as UTF-8")
    except (ValueError, RecursionError) as error:
        fail(where, "text", f"is no sound JSON ({error})", "write the row again, or remove it")


def read_arrays(
    path: Path, only: Collection[str] | None = None, max_bytes: int | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, or the one of an `.npy` or `.npy.gz`, under the name "array".

    Nothing is ever unpickled, and the checksums of zip and gzip are verified.

    Args:
      path: the file.
      only: of an `.npz`, the arrays that are wanted, as far as they are there; by default all.
      max_bytes: the most that they may unpack to; by default `MAX_BYTES`.

    Raises:
      DataError: there is no such file, it is damaged, or it holds anything but plain arrays.
    """
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                entries = [
                    entry
                    for entry in archive.infolist()
                    if only is None or entry.filename.removesuffix(".npy") in only
                ]
                check_size(path, sum(entry.file_size for entry in entries), max_bytes)
                members = {entry.filename: archive.read(entry) for entry in entries}
        elif path.suffix == ".gz":
            members = {"array.npy": read_bytes(path)}
        elif path.suffix == ".npy":
            members = {"array.npy": path.read_bytes()}
        else:
            fail(path, "name", "unknown kind of file", "give a .npz, .npy or .npy.gz file")
    except FileNotFoundError:
        fail(path, "file", "does not exist", "check the folder and the spelling")
    except DataError:
        raise
    except Exception as error:  # a damaged archive fails in more ways than can be listed
        fail(path, "file", f"cannot be opened ({error})", "download or copy the file again")
    return {name.removesuffix(".npy"): _parse(path, name, data) for name, data in members.items()}


def _parse(path: Path, name: str, data: bytes) -> np.ndarray:
    stream = io.BytesIO(data)
    try:
        array = np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:
        if "allow_pickle" in str(error):
            fail(path, name, "holds pickled Python objects", "save plain numbers instead")
        fail(path, name, f"is no sound array ({error})", "download or copy the file again")
    if stream.read(1):
        fail(path, name, "goes on after its array", "download or copy the file again")
    return array


def take(
    arrays: Mapping[str, np.ndarray],
    path: Path,
    field: str,
    shape: tuple[int | str, ...],
    kinds: str,
    *,
    finite: bool = True,
) -> np.ndarray:
    """One array by name, with a shape and a kind of numbers, all of them finite.

    Args:
      arrays: from `read_arrays`.
      path: for the message.
      field: its name.
      shape: what each axis must be: a number, or a name that says what it counts.
      kinds: `WHOLE_NUMBERS` or `NAN_FREE_NUMBERS`.
      finite: False where the caller looks at each row itself.

    Raises:
      DataError: it is missing, or something about it differs.
    """
    wanted = "[" + ", ".join(map(str, shape)) + "]"
    if field not in arrays:
        have = ", ".join(sorted(arrays)) or "nothing"
        fail(path, field, f"is missing; the file holds {have}", f"add it, shape {wanted}")
    array = arrays[field]
    if array.ndim != len(shape) or any(
        isinstance(n, int) and n != m for n, m in zip(shape, array.shape, strict=True)
    ):
        fail(path, field, f"has shape {list(array.shape)}", f"it must be {wanted}")
    if array.size == 0:
        fail(path, field, f"is empty, shape {list(array.shape)}", f"it must be {wanted}")
    if array.dtype.kind not in kinds:
        what = {WHOLE_NUMBERS: "whole numbers", "b": "true and false"}.get(kinds, "numbers")
        fail(path, field, f"has dtype {array.dtype}", f"it must hold {what}")
    if finite and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        fail(path, field, f"is not finite in row {row}", "remove or repair that row")
    return array


def array_names(path: Path) -> list[str]:
    """What the arrays of an `.npz` are called, without reading them.

    Raises:
      DataError: there is no such file, or it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return sorted(name.removesuffix(".npy") for name in archive.namelist())
    except FileNotFoundError:
        fail(path, "file", "does not exist", "check the folder and the spelling")
    except Exception as error:  # a damaged archive fails in more ways than can be listed
        fail(path, "file", f"cannot be opened ({error})", "download or copy the file again")


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file, whole or not at all; when this returns it is on disk.

    Args:
      path: its name; there must be no such thing yet.
      write: writes all of it to the path that it is given.

    Raises:
      FileExistsError: there is something of that name.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already; choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        write(fresh)
        flush(fresh, deep=False)
        fresh.rename(path)
        flush(path.parent, deep=False)
    finally:
        fresh.unlink(missing_ok=True)
