"""Steps in the layout of D4RL (Fu et al., 2020, arXiv:2004.07219), to be read and to be written.

One file of `[N, ...]` arrays, trajectory after trajectory, `.hdf5` (which needs h5py) or `.npz`:

  observations  acted on                    terminals  the step came to the task's own end
  actions       taken                       timeouts   recording stopped here; the task went on
  rewards       earned                      next_observations  reached, in some files

There are two views of it, as in the library of that name:

  q_learning  single steps: what a step reached is the observation in the next row. A row that
              timed out is left out, as its successor was not recorded, and so is the last row
  sequence    whole trajectories: all rows, but for those after the last end. What a step reached
              is as in `next_observations`, or else in the next row; where it was not recorded the
              row is there but not valid

Returns of the first view miss the last reward of every trajectory that timed out; the second has
it, and so alone is scored. Where the file has no `timeouts`, trajectories are cut when they have
`max_episode_steps` rows. (The library counts one row too many after a termination, and so cuts the
next trajectory a row too early.)

`save` writes such a file with `next_observations`: of it the sequence view loses nothing.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from rlax_pref.datasets import _hdf5
from rlax_pref.datasets._files import PathLike, array_names, fail, read_arrays, write_whole
from rlax_pref.datasets._report import Loaded
from rlax_pref.datasets._transitions import flags, numbers, report, rows, steps
from rlax_pref.metrics import D4RL_REFERENCES
from rlax_pref.types import Transition

View = Literal["q_learning", "sequence"]

_NEEDED = ("observations", "actions", "rewards", "terminals")
_ABOUT = "metadata/about"


def load(
    path: PathLike, view: View = "q_learning", *, max_episode_steps: int | None = None
) -> Loaded[Transition]:
    """Steps of one file.

    Args:
      path: `.hdf5`, `.h5`, `.hdf` or `.npz`.
      view: `"q_learning"` or `"sequence"`.
      max_episode_steps: time limit of the task, for files without `timeouts`.

    Returns:
      `[M, ...]` NumPy arrays in the order of the file, and what was found. `discount_t` is 0 or
      1. A trajectory ends where it is 0 or `truncated_t`.

    Raises:
      DataError: names file, field and fix.
      ImportError: h5py is needed and not installed.
      ValueError: the view is unknown.
    """
    path = Path(path)
    more = ("timeouts", "next_observations", "valids", _ABOUT)
    arrays = _read(path, (*_NEEDED, *more))
    r_t = numbers(arrays, path, "rewards")
    num = len(r_t)
    obs = rows(arrays, path, "observations", num)
    action = rows(arrays, path, "actions", num)
    valid = flags(arrays, path, "valids", num) if "valids" in arrays else np.ones(num, bool)
    kept = _kept(arrays, path, num, view, max_episode_steps)
    if view == "q_learning":
        obs_t = obs[kept.row + 1]
    elif "next_observations" in arrays:
        obs_t = rows(arrays, path, "next_observations", num)[kept.row]
        if obs_t.shape[1:] != obs.shape[1:] or obs_t.dtype != obs.dtype:
            what = f"is {obs_t.dtype} {list(obs_t.shape[1:])}"
            fail(path, "next_observations", what, f"make it {obs.dtype} {list(obs.shape[1:])}")
    else:
        ended = kept.terminated | kept.truncated
        obs_t = obs[np.where(ended, kept.row, kept.row + 1)]
        valid[kept.row[kept.truncated]] = False
    data = steps(
        obs[kept.row],
        action[kept.row],
        r_t[kept.row],
        obs_t,
        terminated=kept.terminated,
        truncated=kept.truncated,
        valid=valid[kept.row],
    )
    about = _about(arrays)
    known = references(path.stem) if view == "sequence" and not about else None
    return Loaded(data, report(path.stem, data, references=known, about=about))


def column(
    path: PathLike,
    field: str,
    view: View = "q_learning",
    *,
    max_episode_steps: int | None = None,
) -> np.ndarray:
    """Another array of the file, such as `infos/action_log_probs`, row by row as in `load`.

    Args:
      path: the file.
      field: name of an array `[N, ...]`.
      view: as for `load`.
      max_episode_steps: as for `load`.

    Returns:
      `[M, ...]` rows; whole numbers as int32, others as float32.

    Raises:
      DataError: names file, field and fix.
    """
    path = Path(path)
    arrays = _read(path, ("terminals", "timeouts", field))
    num = len(flags(arrays, path, "terminals"))
    kept = _kept(arrays, path, num, view, max_episode_steps)
    return rows(arrays, path, field, num)[kept.row]


def save(path: PathLike, data: Transition, **about: Any) -> None:
    """Writes a file, whole or not at all; when this returns it is on disk.

    `load(path, "sequence").data` is `data` again, bit for bit where numbers are of 32 bits, bytes
    or truth values.

    Args:
      path: its name, which ends with `.npz` or with `.hdf5` (which other libraries read); there
        must be no such thing yet.
      data: `[N, ...]`, trajectories one after the other, the last one with its end: `truncated_t`
        if recording just stopped. Discounts are 0 or 1.
      **about: what else is to be said, such as `env="cartpole"`; anything that JSON can hold.

    Raises:
      FileExistsError: there is something of that name.
      DataError: it could not be read again.
      ValueError: the name ends otherwise, or the data are not as above.
      ImportError: h5py is needed and not installed.
    """
    path = Path(path)
    if path.suffix not in (".npz", *_hdf5.SUFFIXES):
        raise ValueError(f"{path}: the name must end with .npz or .hdf5")
    arrays: dict[str, Any] = _arrays(path, data)
    if about:
        arrays[_ABOUT] = np.array(json.dumps(about))
    if path.suffix == ".npz":

        def write(fresh: Path) -> None:
            with fresh.open("wb") as file:
                np.savez(file, **arrays)

    else:
        h5py = _hdf5.package(path)

        def write(fresh: Path) -> None:
            with h5py.File(fresh, "w") as file:
                for name, x in arrays.items():
                    file.create_dataset(name, data=str(x) if name == _ABOUT else x)

    write_whole(path, write)


def references(name: str) -> tuple[float, float] | None:
    """Returns of a random policy and of an expert, by the name of a data set or its file.

    Returns:
      `(low, high)` for `metrics.normalized_score`; None for a name that is not of D4RL.
    """
    name = name.lower().replace("_", "-")
    if name.startswith("ant-maze"):
        name = name.replace("ant-maze", "antmaze", 1)
    known = [key for key in D4RL_REFERENCES if f"{name}-".startswith(f"{key}-")]
    return D4RL_REFERENCES[max(known, key=len)] if known else None


class _Kept(NamedTuple):
    """Rows of the file that are in a view, and how they end; all `[M]`."""

    row: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


def _kept(
    arrays: Mapping[str, np.ndarray],
    path: Path,
    num: int,
    view: View,
    max_episode_steps: int | None,
) -> _Kept:
    terminal = flags(arrays, path, "terminals", num)
    if "timeouts" in arrays:
        timeout = flags(arrays, path, "timeouts", num)
    elif max_episode_steps is not None:
        timeout = _time_limit(terminal, max_episode_steps)
    else:
        fix = "say datasets.d4rl.load(..., max_episode_steps=...), the time limit of the task"
        fail(path, "timeouts", "is missing, as in the oldest files", fix)
    if view == "q_learning":
        row = np.flatnonzero(~timeout[:-1])
        # A trajectory is over, too, where the row that follows is left out.
        over = np.append(timeout[1:-1], True)[row] if num > 1 else row
        if not row.size:
            fail(path, "timeouts", "leaves no step", "see whether it is 1 where a trajectory ends")
    elif view == "sequence":
        ends = np.flatnonzero(terminal | timeout)
        if not ends.size:
            fail(path, "terminals", "and timeouts end no trajectory", "see whether the file is cut")
        row = np.arange(ends[-1] + 1)
        over = timeout[row]
    else:
        raise ValueError(f"view must be 'q_learning' or 'sequence', not {view!r}")
    return _Kept(row, terminal[row], over & ~terminal[row])


def _time_limit(terminal: np.ndarray, most: int) -> np.ndarray:
    """`[N]` bool, whether `most` rows have gone by since the last end."""
    if most < 1:
        raise ValueError(f"max_episode_steps={most} must be at least 1")
    index = np.arange(len(terminal))
    begins = np.concatenate([[True], terminal[:-1]])
    start = np.maximum.accumulate(np.where(begins, index, 0))
    return (index - start + 1) % most == 0


def _read(path: Path, fields: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays that are there, all of those that are needed among them."""
    if path.suffix in _hdf5.SUFFIXES:
        arrays, names = _hdf5.read_arrays(path, fields)
        if "episode_0" in names:
            fail(path, "file", "is a part of a data set of Minari", "give its directory")
    elif path.suffix == ".npz":
        arrays, names = read_arrays(path, fields), array_names(path)
    else:
        fail(path, "name", "unknown kind of file", "give a .hdf5 or .npz file")
    for field in fields:
        if field in _NEEDED and field not in arrays:
            have = ", ".join(names) or "nothing"
            fail(path, field, f"is missing; the file holds {have}", "give a file of D4RL's layout")
    return arrays


def _about(arrays: Mapping[str, np.ndarray]) -> str:
    """What `save` was told, in words."""
    try:
        text = arrays[_ABOUT].item()
        said = json.loads(text)
        return ", ".join(f"{name} {value}" for name, value in said.items())
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return ""


def _arrays(path: Path, data: Transition) -> dict[str, np.ndarray]:
    """The arrays to be written, if they can be read again."""
    if not hasattr(data.obs_tm1, "dtype"):
        raise ValueError("d4rl.save: observations must be one array; join what they are made of")
    arrays: dict[str, np.ndarray] = {
        "observations": np.asarray(data.obs_tm1),
        "actions": np.asarray(data.a_tm1),
        "rewards": np.asarray(data.r_t),
        "terminals": np.asarray(data.discount_t),
        "timeouts": np.asarray(data.truncated_t),
        "valids": np.asarray(data.valid_t),
        "next_observations": np.asarray(data.obs_t),
    }
    discount, num = arrays["terminals"], len(arrays["rewards"])
    if not np.isin(discount, (0, 1)).all():
        raise ValueError("d4rl.save: discounts must be 0 or 1; leave gamma to who learns from it")
    arrays["rewards"] = numbers(arrays, path, "rewards", num)
    for name in ("observations", "actions", "next_observations"):
        arrays[name] = rows(arrays, path, name, num)
    for name in ("terminals", "timeouts", "valids"):
        arrays[name] = flags(arrays, path, name, num)
    terminal = arrays["terminals"] = ~arrays["terminals"]
    if (terminal & arrays["timeouts"]).any():
        raise ValueError("d4rl.save: a step is truncated or terminated, never both")
    if not (terminal | arrays["timeouts"])[-1]:
        raise ValueError("d4rl.save: the last step must end its trajectory: truncate it")
    if arrays["valids"].all():
        del arrays["valids"]
    return arrays
