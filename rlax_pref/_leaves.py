"""Leaves of a state: their names, what is stored of them, and their way back."""

import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from rlax_pref.types import PyTree


def named(tree: PyTree) -> dict[str, Any]:
    """Every leaf of a tree by its path, such as `learner.params.dense.kernel`."""
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "state"
        if not hasattr(leaf, "dtype"):
            raise ValueError(f"{name} must be an array to be saved, not {type(leaf).__name__}")
        if name in leaves:
            raise ValueError(f"two leaves of the state are called {name}")
        leaves[name] = leaf
    return leaves


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def stored(leaf: Any) -> Any:
    """What orbax is given: NumPy arrays, and where other hosts hold a part, the array itself."""
    data = jax.random.key_data(leaf) if _is_key(leaf) else leaf
    if isinstance(data, jax.Array) and not (data.is_fully_addressable or data.is_fully_replicated):
        return data
    return np.asarray(data)


def describe(leaf: Any) -> dict[str, Any]:
    """A leaf's entry in the manifest."""
    array = stored(leaf)
    if isinstance(array, jax.Array):
        array = multihost_utils.process_allgather(array, tiled=True)
    return {
        "shape": list(leaf.shape),
        "dtype": str(leaf.dtype),
        "key": str(jax.random.key_impl(leaf)) if _is_key(leaf) else None,
        "stored_shape": list(array.shape),
        "stored_dtype": str(array.dtype),
        "crc32": checksum(array),
    }


def checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def differences(saved: Mapping[str, dict[str, Any]], wanted: Mapping[str, Any]) -> list[str]:
    """Why a state that was saved is not one that is wanted: leaves, shapes and dtypes, in order."""
    found = [f"{name} is not in the checkpoint" for name in wanted if name not in saved]
    found += [f"{name} is in the checkpoint only" for name in saved if name not in wanted]
    for name in wanted.keys() & saved.keys():
        here = f"{wanted[name].dtype} {list(wanted[name].shape)}"
        there = f"{saved[name]['dtype']} {saved[name]['shape']}"
        if here != there:
            found.append(f"{name} is {there} in the checkpoint and {here} here")
    return sorted(found)


def place(array: np.ndarray | None, saved: dict[str, Any], like: Any) -> jax.Array:
    """Puts a loaded leaf where `like` has it, as a key where it was one."""
    if array is None:  # of size zero, so never stored
        array = np.zeros(saved["stored_shape"], saved["stored_dtype"])
    placed = jax.device_put(array, getattr(like, "sharding", None))
    if saved["key"] is None:
        return placed
    return jax.random.wrap_key_data(placed, impl=saved["key"])
