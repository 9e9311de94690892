"""Steps in the layout of OGBench (Park et al., 2024, arXiv:2410.20092).

An `.npz` of `observations`, `actions` and `terminals`, trajectory after trajectory. One of T
actions has T + 1 rows: the last one holds the state that the last action led to, and there alone
`terminals` is 1. That is where recording stopped and no end of the task, so nothing terminates.

  regular  a row a step, what it reached beside it; the rows of last states are gone
  compact  all rows of the file, those of last states not valid; what a step reached is a view of
           the same memory, which images are thankful for

There are no rewards: `goals` says what was reached in hindsight,

    data = ogbench.load(path).data
    end = transitions.trajectory_end(data.truncated_t)
    goal = goals.sample(key, row, end, len(end), discount=0.99)
    paid = goals.reached(row, goal.row)

or a single task says when it is done, as in the variants called `singletask`,

    data = ogbench.load(path, success=ogbench.near((20.0, 12.0), 0.5)).data
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rlax_pref.datasets._files import PathLike, array_names, fail, read_arrays
from rlax_pref.datasets._report import Loaded
from rlax_pref.datasets._transitions import MAX_BYTES, flags, report, rows, steps
from rlax_pref.types import Transition

View = Literal["regular", "compact"]
Success = Callable[[Mapping[str, np.ndarray]], np.ndarray]

_NEEDED = ("observations", "actions", "terminals")
_KNOWN = ("qpos", "qvel", "button_states")


def load(
    path: PathLike, view: View = "regular", *, success: Success | None = None
) -> Loaded[Transition]:
    """Steps of one file.

    Args:
      path: the `.npz`, for training or for validation.
      view: `"regular"` or `"compact"`.
      success: of a single task, `arrays -> [rows]` bool whether it is done in the state of each
        row, or `[rows, parts]` which parts of it are. `arrays` are those of the file, with `qpos`,
        `qvel` and `button_states` where they are there. A step out of such a state pays 0, and
        nothing follows; others pay -1 for each part that is not done.

    Returns:
      `[M, ...]` NumPy arrays in the order of the file, and what was found. Without `success`
      rewards are 0 and so unknown. A trajectory ends where `truncated_t`, even where a task was
      done before.

    Raises:
      DataError: names file, field and fix.
      ValueError: the view is unknown, or `success` returns another shape.
    """
    path = Path(path)
    if path.suffix != ".npz":
        fail(path, "name", "is no .npz", "give the .npz file of the data set")
    known = _KNOWN if success is not None else ()
    arrays = read_arrays(path, (*_NEEDED, *known), MAX_BYTES)
    for field in _NEEDED:
        if field not in arrays:
            have = ", ".join(array_names(path)) or "nothing"
            fail(path, field, f"is missing; the file holds {have}", "give a file of OGBench")
    last = flags(arrays, path, "terminals")
    num = len(last)
    arrays["observations"] = obs = rows(arrays, path, "observations", num)
    arrays["actions"] = action = rows(arrays, path, "actions", num)
    if not last[-1]:
        fail(path, "terminals", "is 0 in the last row", "see whether the file was cut")
    if last.all():
        fail(path, "terminals", "is 1 in every row", "it must be 1 on last states alone")
    reward, goes_on = np.zeros(num, np.float32), np.ones(num, np.float32)
    if success is not None:
        arrays |= {field: rows(arrays, path, field, num) for field in known if field in arrays}
        reward, goes_on = _paid(success(arrays), num)
    step = np.flatnonzero(~last)
    if view == "compact":
        pick: Any = slice(None)
        more = np.concatenate([obs, obs[-1:]])
        obs_tm1, obs_t = more[:-1], more[1:]
    elif view == "regular":
        pick, obs_tm1, obs_t = step, obs[step], obs[step + 1]
    else:
        raise ValueError(f"view must be 'regular' or 'compact', not {view!r}")
    stops = last | np.append(last[1:], True)
    made: Any = steps(
        obs_tm1,
        action[pick],
        reward[pick],
        obs_t,
        terminated=np.zeros_like(last[pick]),
        truncated=stops[pick],
        valid=~last[pick],
    )
    counted = made._replace(
        r_t=reward[step],
        discount_t=np.ones(len(step)),
        truncated_t=stops[step],
        valid_t=~last[step],
    )
    made = made._replace(discount_t=goes_on[pick])
    return Loaded(made, report(path.stem, counted, rewarded=success is not None))


def near(
    goal: Sequence[float], tolerance: float, *, field: str = "qpos", first: int = 0
) -> Success:
    """Success where a position is within some distance of the goal.

    Args:
      goal: where to be, such as (x, y).
      tolerance: distance that is near enough, in the same units.
      field: the array that holds the position.
      first: its first column there: 0 for who walks a maze, 15 for an ant's ball.

    Returns:
      For `load`. It raises `ValueError` where the file has no such array or columns.
    """
    target = np.asarray(goal, np.float64)

    def success(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        if field not in arrays or arrays[field].shape[1:] < (first + len(target),):
            raise ValueError(f"ogbench.near: the file has no {field} with such columns")
        position = arrays[field][:, first : first + len(target)]
        return np.linalg.norm(position - target, axis=-1) <= tolerance

    return success


def _paid(done: np.ndarray, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Rewards `[N]`, and 0 where the task is done, else 1."""
    done = np.asarray(done, bool)
    if done.ndim not in (1, 2) or len(done) != num:
        raise ValueError(f"success must return [{num}] or [{num}, parts], not {list(done.shape)}")
    parts = done.reshape(num, -1)
    reward = np.sum(parts, axis=1) - parts.shape[1]
    goes_on = np.any(~parts, axis=1)
    return reward.astype(np.float32), goes_on.astype(np.float32)
