"""Steps in directories of Minari (Younis et al., 2024, github.com/Farama-Foundation/Minari).

A directory (`.../NAME-v0`, or the `data` in it) holds `metadata.json` and its episodes as HDF5
(which needs h5py) or as Arrow or Parquet (which need pyarrow); Minari itself is not needed. An
episode of T actions has T + 1 observations, so nothing is missing: every step is valid. Where both
flags are set the step terminated; where an episode just stops it was truncated.

Some episodes of `antmaze-umaze-v0` have one observation too few. Their last step is left out, and
the report says so.
"""

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from rlax_pref.datasets import _hdf5
from rlax_pref.datasets._files import PathLike, check_size, fail, read_bytes
from rlax_pref.datasets._report import Loaded
from rlax_pref.datasets._transitions import MAX_BYTES, flags, numbers, report, rows, steps
from rlax_pref.types import DataError, Transition

_AGAIN = "download or copy the data set again"
_FLAGS = ("terminations", "truncations")
Space = dict[str, Any] | None  # as `metadata.json` describes it, if it does


def load(directory: PathLike, *, join: Sequence[str] = ()) -> Loaded[Transition]:
    """Steps of all episodes, one after the other.

    Args:
      directory: of the data set.
      join: where observations have several entries, those that become one vector, such as
        `("observation", "desired_goal")`. By default they stay a mapping.

    Returns:
      `[N, ...]` NumPy arrays, and what was found. `discount_t` is 0 or 1. A trajectory ends where
      it is 0 or `truncated_t`. The score, where the data set knows its references, is of 100.

    Raises:
      DataError: names file, field and fix.
      ImportError: the package for the format is not installed.
    """
    directory = Path(directory)
    folder = data_folder(directory)
    if folder is None:
        fail(directory, "metadata.json", "does not exist", "give the directory of one data set")
    meta = _metadata(folder / "metadata.json")
    parts, skipped = [], []
    for where, episode in _episodes(folder, meta):
        part, left_out = _steps(where, episode, join)
        parts += [] if part is None else [part]
        skipped += left_out
    if not parts:
        fail(folder, "episodes", "hold no step", _AGAIN)
    kind = lambda part: str(jax.tree.map(lambda x: (x.dtype, x.shape[1:]), part))
    if len({kind(part) for part in parts}) > 1:
        fail(folder, "episodes", "differ in shapes or types", "remove those that are not alike")
    data = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    name = str(meta.get("dataset_id") or directory.absolute().name)
    return Loaded(data, report(name, data, references=_references(meta), skipped=tuple(skipped)))


def data_folder(directory: Path) -> Path | None:
    """Where the data set's `metadata.json` is, if there is one."""
    for folder in (directory, directory / "data"):
        if (folder / "metadata.json").is_file():
            return folder
    return None


def _metadata(path: Path) -> dict[str, Any]:
    """What `metadata.json` says, with its spaces as mappings."""
    try:
        meta = json.loads(read_bytes(path))
        meta["total_episodes"] = int(meta["total_episodes"])
        for name in ("observation_space", "action_space"):
            meta[name] = _mapping(json.loads(meta.get(name) or "null"))
    except (ArithmeticError, KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        fail(path, "file", f"describes no data set ({error!r})", _AGAIN)
    return meta


def _references(meta: dict[str, Any]) -> tuple[float, float] | None:
    low, high = meta.get("ref_min_score"), meta.get("ref_max_score")
    if isinstance(low, int | float) and isinstance(high, int | float) and low != high:
        return float(low), float(high)
    return None


def _episodes(folder: Path, meta: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Where each episode is, and its arrays by name."""
    kind = meta.get("data_format", "hdf5")
    if kind == "hdf5":
        return _hdf5_episodes(folder / "main_data.hdf5", meta)
    if kind in ("arrow", "parquet"):
        return _arrow_episodes(folder, kind, meta)
    fix = "it must be hdf5, arrow or parquet"
    fail(folder / "metadata.json", "data_format", f"is {kind!r}", fix)


def _steps(
    path: Path, episode: dict[str, Any], join: Sequence[str]
) -> tuple[Transition | None, list[str]]:
    """The steps of one episode, and what was left out of it."""
    for name in ("rewards", *_FLAGS):
        if not np.ndim(episode[name]) or not isinstance(episode[name], np.ndarray):
            fail(path, name, "is no array of numbers", _AGAIN)
    r_t = numbers(episode, path, "rewards") if len(episode["rewards"]) else np.zeros(0, np.float32)
    num, skipped = len(r_t), []
    lengths = [np.shape(x)[:1] for x in jax.tree.leaves(episode["observations"])]
    if num and lengths[:1] == [(num,)]:
        num = num - 1
        skipped.append(f"{path}: the last step: what it reached is missing")
    if not num:
        return None, [*skipped, f"{path}: has no step"]

    def of(field: str, length: int) -> Any:
        def leaf(where: Any, x: np.ndarray) -> np.ndarray:
            inner = jax.tree_util.keystr(where, simple=True, separator="/")
            name = f"{field}/{inner}" if inner else field
            return rows({name: x}, path, name, length)

        return jax.tree_util.tree_map_with_path(leaf, episode[field])

    obs = _joined(path, of("observations", num + 1), join)
    terminated, truncated = (flags(episode, path, name, len(r_t))[:num] for name in _FLAGS)
    made = steps(
        jax.tree.map(lambda x: x[:-1], obs),
        jax.tree.map(lambda x: x[:num], of("actions", len(r_t))),
        r_t[:num],
        jax.tree.map(lambda x: x[1:], obs),
        terminated=terminated,
        truncated=truncated | (np.arange(num) == num - 1),
    )
    return made, skipped


def _joined(path: Path, obs: Any, join: Sequence[str]) -> Any:
    """Entries side by side as float32, or all of them as they are."""
    if not join:
        return obs
    have = ", ".join(obs) if isinstance(obs, dict) else "no entries"
    for name in join:
        if not isinstance(obs, dict) or not isinstance(obs.get(name), np.ndarray):
            fail(path, f"observations/{name}", f"is missing; there are {have}", "name one of these")
    flat = [obs[name].reshape(len(obs[name]), -1).astype(np.float32) for name in join]
    return np.concatenate(flat, axis=1)


# HDF5 ---------------------------------------------------------------------------------------


def _hdf5_episodes(path: Path, meta: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    size = 0
    with _hdf5.opened(path) as file:
        for number in range(meta["total_episodes"]):
            where = path / f"episode_{number}"
            try:
                group = file[where.name]
                parts = {name: group[name] for name in ("observations", "actions", "rewards")}
                parts |= {name: group[name] for name in _FLAGS}
            except Exception as error:
                fail(where, "episode", f"cannot be read ({error})", _AGAIN)
            episode = {}
            for name, node in parts.items():
                space = meta.get({"observations": "observation_space"}.get(name, "action_space"))
                space = space if name in ("observations", "actions") else None
                size += _size(node)
                check_size(path, size, MAX_BYTES)
                episode[name] = _from_hdf5(where, name, node, space)
            yield where, episode


def _size(node: Any) -> int:
    return sum(map(_size, node.values())) if hasattr(node, "values") else node.nbytes


def _from_hdf5(path: Path, name: str, node: Any, space: Space) -> Any:
    """A group as a mapping or a tuple, anything else as an array."""
    if not hasattr(node, "values"):
        return _leaf(path, name, _hdf5.read_array(path, name, node), space)
    inner = {key: _from_hdf5(path, f"{name}/{key}", node[key], _within(space, key)) for key in node}
    if inner and all(key.startswith("_index_") for key in inner):
        if set(inner) != {f"_index_{i}" for i in range(len(inner))}:
            fail(path, name, f"has gaps: there are {', '.join(inner)}", _AGAIN)
        return tuple(inner[f"_index_{i}"] for i in range(len(inner)))
    return inner


# Arrow and Parquet --------------------------------------------------------------------------


def _arrow_episodes(
    folder: Path, kind: str, meta: dict[str, Any]
) -> Iterator[tuple[Path, dict[str, Any]]]:
    try:
        from pyarrow import dataset
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{folder} needs the package 'pyarrow': pip install 'rlax_pref[data]'"
        ) from error
    for number in range(meta["total_episodes"]):
        where = folder / str(number)
        try:
            ignored = ["_", ".", "metadata.json"]
            found = dataset.dataset(str(where), format=kind, ignore_prefixes=ignored)
            table = found.to_table().combine_chunks()
            names = ("observations", "actions", "rewards", *_FLAGS)
            columns = {name: table[name].combine_chunks() for name in names}
        except Exception as error:
            fail(where, "episode", f"cannot be read ({error})", _AGAIN)
        # All but the observations are filled up by one row, to be as long as they are.
        columns = {name: x if name == "observations" else x[:-1] for name, x in columns.items()}
        spaces = {"observations": "observation_space", "actions": "action_space"}
        yield (
            where,
            {
                name: _from_arrow(where, name, x, meta.get(spaces.get(name, "")))
                for name, x in columns.items()
            },
        )


def _from_arrow(path: Path, name: str, x: Any, space: Space) -> Any:
    """A struct as a mapping or a tuple, anything else as an array."""
    import pyarrow

    if x.null_count:
        fail(path, name, "has gaps", _AGAIN)
    if pyarrow.types.is_struct(x.type):
        inner = {
            field.name: _from_arrow(
                path, f"{name}/{field.name}", x.field(i), _within(space, field.name)
            )
            for i, field in enumerate(x.type)
        }
        return tuple(inner.values()) if (space or {}).get("type") == "Tuple" else inner
    if pyarrow.types.is_fixed_size_list(x.type):
        array = x.flatten().to_numpy(zero_copy_only=False).reshape(len(x), -1)
    else:
        array = x.to_numpy(zero_copy_only=False)
    return _leaf(path, name, array, space)


# Both ---------------------------------------------------------------------------------------


def _mapping(x: Any) -> Space:
    return x if isinstance(x, dict) else None


def _within(space: Space, key: str) -> Space:
    """The space of an entry."""
    inner = (space or {}).get("subspaces")
    if isinstance(inner, list):
        number = key.removeprefix("_index_")
        return _mapping(dict(enumerate(inner)).get(int(number))) if number.isdigit() else None
    return _mapping(inner.get(key)) if isinstance(inner, dict) else None


def _leaf(path: Path, name: str, x: np.ndarray, space: Space) -> np.ndarray:
    """An array in the shape that its space has; pictures are unpacked."""
    shape = (space or {}).get("shape")
    if not shape or list(x.shape[1:]) == shape:
        return x
    try:
        packed = x.dtype == np.uint8 and x.ndim == 2 and x.shape[1] != np.prod(shape)
        if x.dtype == object or (packed and len(shape) > 1):
            return _pictures(path, name, x)
        return x.reshape(len(x), *shape)
    except (TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        fail(path, name, f"has shape {list(x.shape)}", f"each row must be {shape}")


def _pictures(path: Path, name: str, x: np.ndarray) -> np.ndarray:
    """Pictures of their JPEG files."""
    try:
        files = (io.BytesIO(bytes(frame)) for frame in x)
        return np.stack([np.asarray(Image.open(file, formats=("JPEG",))) for file in files])
    except Exception as error:
        fail(path, name, f"holds no sound pictures ({error})", _AGAIN)
