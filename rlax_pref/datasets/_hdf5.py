"""HDF5 files that somebody else wrote: opened and read, or one `DataError`."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rlax_pref.datasets._files import check_size, fail

SUFFIXES = (".hdf5", ".h5", ".hdf")


def package(path: Path) -> Any:
    """The package that reads and writes HDF5.

    Raises:
      ImportError: it is not installed; the message says how to get it.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise ImportError(f"{path} needs the package 'h5py': pip install 'rlax_pref[data]'") from (
            error
        )
    return h5py


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, to be read.

    Raises:
      DataError: there is no such file, or it is no sound HDF5.
      ImportError: h5py is not installed.
    """
    if not path.is_file():
        fail(path, "file", "does not exist", "check the folder and the spelling")
    h5py = package(path)
    try:
        file = h5py.File(path, "r")
    except Exception as error:  # a damaged file fails in more ways than can be listed
        fail(path, "file", f"cannot be opened ({error})", "download or copy the file again")
    with file:
        yield file


def read_arrays(path: Path, only: Collection[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Those arrays of a file that are wanted and there, and the names of all that is.

    Raises:
      DataError: there is no such file, or it is damaged.
      ImportError: h5py is not installed.
    """
    with opened(path) as file:
        try:
            names = sorted(file.keys())
            there = [name for name in only if name in file and hasattr(file[name], "nbytes")]
            size = sum(file[name].nbytes for name in there)
        except Exception as error:
            fail(path, "file", f"cannot be read ({error})", "download or copy the file again")
        check_size(path, size)
        return {name: read_array(path, name, file[name]) for name in there}, names


def read_array(path: Path, name: str, dataset: Any) -> np.ndarray:
    """All of one array.

    Raises:
      DataError: it is damaged.
    """
    try:
        return np.asarray(dataset[()])
    except Exception as error:
        fail(path, name, f"cannot be read ({error})", "download or copy the file again")
