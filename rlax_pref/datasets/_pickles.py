"""Numbers from pickles, without unpickling.

A pickle is a program: it names functions and calls them. Here the names that numpy's arrays are
made of stand for classes that only remember what they were asked, and every other name is refused,
so nothing is ever called, not even numpy. What was remembered is then looked at, and becomes an
array if it describes one. That also makes files from all versions of numpy alike.
"""

import io
import math
import pickle
import pickletools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rlax_pref.datasets._files import fail, read_bytes
from rlax_pref.types import DataError

MOST_PER_BYTE = 100
"""Numbers for each byte of a pickle: one that says the same list again and again would have more,
and fill the memory."""


class _Record:
    """Remembers what a pickle asked for."""

    def __init__(self, *args: Any) -> None:
        self.args = args
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Array(_Record):
    """Of `_reconstruct(ndarray, (0,), b"b")`; the state says the rest."""


class _Buffer(_Record):
    """Of `_frombuffer(bytes, dtype, shape, order)`."""


class _Scalar(_Record):
    """Of `scalar(dtype, bytes)`."""


class _Dtype(_Record):
    """Of `dtype("f8", False, True)`; the state says the order of bytes."""


class _Bytes(_Record):
    """Of `encode(text, "latin1")`, how old protocols write bytes."""


_NAMES: Mapping[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Record,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Bytes,
} | {
    (f"numpy.{core}.{module}", name): record
    for core in ("core", "_core")  # before numpy 2, and since
    for module, name, record in (
        ("multiarray", "_reconstruct", _Array),
        ("multiarray", "scalar", _Scalar),
        ("numeric", "_frombuffer", _Buffer),
    )
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no number")
        return _NAMES[module, name]


def read_pickle(path: Path) -> np.ndarray:
    """The numbers of a pickle: an array, a number, or a list of numbers or of lists of them.

    Raises:
      DataError: there is no such file, it is damaged, or it holds anything else. Nothing that it
        asks for has been done.
    """
    data = read_bytes(path)
    fix = "use the file as published; this reader never runs what a pickle asks for"
    try:
        if any(opcode.name.startswith("EXT") for opcode, _, _ in pickletools.genops(data)):
            fail(path, "file", "asks for a name by its number", fix)
        stream = io.BytesIO(data)
        value = _Unpickler(stream, encoding="latin1").load()
        if stream.read(1):
            fail(path, "file", "goes on after its data", fix)
        if isinstance(value, list | tuple) and sum(map(_size, value)) > MOST_PER_BYTE * len(data):
            fail(path, "file", "has more numbers than so small a file can", fix)
        return _array(value)
    except DataError:
        raise
    except Exception as error:  # a damaged pickle fails in more ways than can be listed
        fail(path, "file", f"holds no plain numbers ({error})", fix)


def _size(value: Any) -> int:
    """How many numbers there would be."""
    if isinstance(value, list | tuple):
        return len(value)
    if isinstance(value, _Array):
        return math.prod(value.state[1])
    return math.prod(value.args[2]) if isinstance(value, _Buffer) else 1


def _array(value: Any) -> np.ndarray:
    if isinstance(value, _Array):
        _, shape, dtype, fortran, data = value.state
        return _numbers(data, dtype, shape, "F" if fortran else "C")
    if isinstance(value, _Buffer):
        data, dtype, shape, order = value.args
        return _numbers(data, dtype, shape, order)
    if isinstance(value, list | tuple):
        if any(isinstance(one, list | tuple) for one in value):
            return np.array([[_number(x) for x in one] for one in value])
        if any(isinstance(one, _Array | _Buffer) for one in value):
            return np.stack([_array(one) for one in value])
        return np.array([_number(one) for one in value])
    return np.array(_number(value))


def _number(value: Any) -> float:
    if isinstance(value, _Scalar):
        dtype, data = value.args
        return _numbers(data, dtype, (), "C").item()
    if not isinstance(value, bool | int | float):
        raise ValueError(f"a {type(value).__name__} where a number should be")
    if isinstance(value, int) and abs(value) >= 1 << 53:
        raise ValueError("a whole number of more than 53 bits")
    return value


def _numbers(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> np.ndarray:
    code, endian = dtype.args[0], dtype.state[1] if dtype.state else "="
    if not re.fullmatch("[biuf][1248]", code) or endian not in ("<", ">", "=", "|"):
        raise ValueError(f"an array of {code!r}")
    kind = np.dtype(("=" if endian == "|" else endian) + code)
    if isinstance(data, _Bytes):
        text, encoding = data.args
        if encoding != "latin1":
            raise ValueError(f"bytes as {encoding!r}")
        data = text
    if isinstance(data, str):
        data = data.encode("latin1")
    if len(data) != math.prod(shape) * kind.itemsize:
        raise ValueError(f"{len(data)} bytes for an array of shape {shape}")
    array = np.frombuffer(data, kind).reshape(shape, order="F" if order == "F" else "C")
    return array.astype(kind.newbyteorder("="))
