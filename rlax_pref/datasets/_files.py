"""Arrays from files that somebody else wrote: sound, or one `DataError`."""

import gzip
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np

from rlax_pref.types import DataError

NAN_FREE_NUMBERS = "iuf"
WHOLE_NUMBERS = "iu"


def fail(path: Path, field: str, what: str, fix: str) -> NoReturn:
    """Raises `DataError` with the file, the field, what is wrong and what to do."""
    raise DataError(f"{path}: {field}: {what}. Fix: {fix}.")


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz`, or the one of an `.npy` or `.npy.gz`, under the name "array".

    Nothing is ever unpickled, and the checksums of zip and gzip are verified.

    Raises:
      DataError: there is no such file, it is damaged, or it holds anything but plain arrays.
    """
    try:
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                members = {name: archive.read(name) for name in archive.namelist()}
        elif path.suffix == ".gz":
            members = {"array.npy": gzip.decompress(path.read_bytes())}
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
) -> np.ndarray:
    """One array by name, with a shape and a kind of numbers, all of them finite.

    Args:
      arrays: from `read_arrays`.
      path: for the message.
      field: its name.
      shape: what each axis must be: a number, or a name that says what it counts.
      kinds: `WHOLE_NUMBERS` or `NAN_FREE_NUMBERS`.

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
        what = "whole numbers" if kinds == WHOLE_NUMBERS else "numbers"
        fail(path, field, f"has dtype {array.dtype}", f"it must hold {what}")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        fail(path, field, f"is not finite in row {row}", "remove or repair that row")
    return array
