"""Steps of behaviour from files: checked, in the types they are used in, and counted."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rlax_pref import metrics
from rlax_pref.datasets._files import fail, take
from rlax_pref.datasets._report import left_out, share
from rlax_pref.types import Discrete, Env, PyTree, Transition

NUMBERS = "biuf"
MAX_BYTES = 1 << 36  # of one data set; a million pictures are more than other files may be


@dataclasses.dataclass(frozen=True)
class TransitionReport:
    """Counts of what was done. `str(report)` is meant to be read."""

    name: str
    num: int  # rows
    trajectories: int
    terminated: int  # of them, those that came to their own end
    valid: int  # rows that may be learned from
    obs: str  # type and shape
    action: str  # type, shape and range
    returns: tuple[float, float, float] | None  # least, mean, most; None where none are stored
    lengths: tuple[int, int, int]  # fewest, median, most
    score: float | None = None  # normalised mean return: 0 is random, 100 expert
    about: str = ""  # what the writer says
    skipped: tuple[str, ...] = ()  # why rows were left out, one message each

    def __str__(self) -> str:
        returns = "no rewards"
        if self.returns is not None:
            returns = "returns (least / mean / most) {:.6g} / {:.6g} / {:.6g}".format(*self.returns)
        score = "" if self.score is None else f"; normalised score {self.score:.2f} of 100"
        about = f"; {self.about}" if self.about else ""
        return (
            f"{self.name}: {self.num} steps in {self.trajectories} trajectories, "
            f"terminated {share(self.terminated, self.trajectories)}; "
            f"valid steps {share(self.valid, self.num)}; "
            f"lengths (fewest / median / most) {' / '.join(map(str, self.lengths))}; "
            f"{returns}{score}; observations {self.obs}; actions {self.action}"
            f"{about}{left_out(self.skipped)}"
        )


def report(
    name: str,
    data: Transition,
    *,
    rewarded: bool = True,
    references: tuple[float, float] | None = None,
    about: str = "",
    skipped: tuple[str, ...] = (),
) -> TransitionReport:
    """Counts trajectories, ends, lengths and returns.

    Args:
      name: of the data.
      data: `[N, ...]` NumPy arrays, N at least 1, in the order of time.
      rewarded: whether rewards are known.
      references: returns that score 0 and 100, if known.
      about: what the writer says.
      skipped: why rows were left out.
    """
    terminated: Any = np.asarray(data.discount_t) == 0
    ends = np.flatnonzero(terminated | np.asarray(data.truncated_t))
    ends = np.union1d(ends, len(terminated) - 1)
    starts = np.concatenate([[0], ends[:-1] + 1])
    returns = np.add.reduceat(np.asarray(data.r_t, np.float64), starts)
    lengths = ends - starts + 1
    return TransitionReport(
        name=name,
        num=len(terminated),
        trajectories=len(ends),
        terminated=int(terminated[ends].sum()),
        valid=int(np.asarray(data.valid_t).sum()),
        obs=_kind(data.obs_tm1),
        action=_kind(data.a_tm1, ranges=True),
        returns=_least_mean_most(returns) if rewarded else None,
        lengths=(int(lengths.min()), int(np.median(lengths)), int(lengths.max())),
        score=(
            float(metrics.normalized_score(float(returns.mean()), *references))
            if rewarded and references is not None
            else None
        ),
        about=about,
        skipped=skipped,
    )


def _least_mean_most(x: np.ndarray) -> tuple[float, float, float]:
    return float(x.min()), float(x.mean()), float(x.max())


def _kind(tree: Any, *, ranges: bool = False) -> str:
    """Types and shapes, by path where there are several."""
    kinds = []
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        span = f" from {x.min():.6g} to {x.max():.6g}" if ranges else ""
        kinds.append(f"{name} {x.dtype} {list(x.shape[1:])}{span}".strip())
    return ", ".join(kinds)


def steps(
    obs_tm1: Any,
    a_tm1: Any,
    r_t: Any,
    obs_t: Any,
    *,
    terminated: np.ndarray,
    truncated: np.ndarray,
    valid: np.ndarray | None = None,
) -> Transition:
    """Transitions of NumPy arrays, all `[N, ...]`: a step that terminated was never truncated."""
    discount: Any = 1.0 - terminated.astype(np.float32)
    truncated_t: Any = truncated & ~terminated
    valid_t: Any = np.ones(len(terminated), bool) if valid is None else valid
    return Transition(
        obs_tm1=obs_tm1,
        a_tm1=a_tm1,
        r_t=r_t,
        discount_t=discount,
        truncated_t=truncated_t,
        valid_t=valid_t,
        obs_t=obs_t,
    )


def check_fits(path: Path, data: Transition, env: Env) -> None:
    """Raises `DataError` unless observations and actions are such as an environment has."""
    check_steps(path, data.obs_tm1, data.a_tm1, env)


def check_steps(path: Path, observations: PyTree, action: Any, env: Env) -> None:
    """The same of observations and actions, each leading with an axis of their own."""
    space = env.action_space
    obs = jax.eval_shape(env.reset, jax.random.key(0))[1]
    shapes = lambda tree: jax.tree.map(lambda x: list(x.shape), tree)
    have, need = shapes(jax.tree.map(lambda x: x[0], observations)), shapes(obs)
    fix = "give data of this environment"
    if have != need:
        fail(path, "observations", f"have shape {have}; the environment's have {need}", fix)
    kind = action.dtype.kind in "iu" if isinstance(space, Discrete) else action.dtype.kind == "f"
    shape = () if isinstance(space, Discrete) else tuple(space.shape)
    if not kind or action.shape[1:] != shape:
        what = f"are {action.dtype} {list(action.shape[1:])}"
        fail(path, "actions", f"{what}; the environment takes {space}", fix)
    if isinstance(space, Discrete) and not (0 <= action.min() and action.max() < space.num):
        what = f"are from {action.min()} to {action.max()}"
        fail(path, "actions", f"{what}; the environment takes {space}", fix)


def rows(
    arrays: Mapping[str, np.ndarray], path: Path, field: str, num: int | None = None
) -> np.ndarray:
    """One array `[N, ...]` of numbers, all finite, in the type that they are used in.

    Whole numbers become int32 and others float32; bytes and truth values stay what they are.

    Args:
      arrays: by name.
      path: for the message.
      field: its name.
      num: N, if it is known.

    Raises:
      DataError: it is missing, of another length, or not sound.
    """
    more = ("features",) * (arrays[field].ndim - 1) if field in arrays else ("features",)
    x = take(arrays, path, field, (num or "rows", *more), NUMBERS)
    if x.dtype.kind == "f" and x.dtype != np.float32:
        with np.errstate(over="ignore"):
            narrow = x.astype(np.float32)
        return take({field: narrow}, path, field, narrow.shape, NUMBERS)
    if x.dtype.kind in "iu" and x.dtype not in (np.uint8, np.int32):
        narrow = x.astype(np.int32)
        if (wrong := np.flatnonzero((narrow != x).reshape(len(x), -1).any(1))).size:
            fail(path, field, f"does not fit 32 bits in row {wrong[0]}", "use smaller numbers")
        return narrow
    return x


def flags(
    arrays: Mapping[str, np.ndarray], path: Path, field: str, num: int | None = None
) -> np.ndarray:
    """One array `[N]` of zeros and ones, or `[N, 1]` of them, as `[N]` bool.

    Raises:
      DataError: it is missing, of another length, or holds something else.
    """
    x = take(_column(arrays, field), path, field, (num or "rows",), NUMBERS)
    if (wrong := np.flatnonzero((x != 0) & (x != 1))).size:
        fail(path, field, f"is {x[wrong[0]]} in row {wrong[0]}", "it must be 0 or 1 everywhere")
    return x.astype(bool)


def numbers(
    arrays: Mapping[str, np.ndarray], path: Path, field: str, num: int | None = None
) -> np.ndarray:
    """One array `[N]` of numbers, or `[N, 1]`, as `[N]` float32.

    Raises:
      DataError: it is missing, of another length, or not finite.
    """
    x = take(_column(arrays, field), path, field, (num or "rows",), NUMBERS)
    return rows({field: x.astype(np.float64)}, path, field)


def _column(arrays: Mapping[str, np.ndarray], field: str) -> Mapping[str, np.ndarray]:
    """The field alone, `[N]` where it was `[N, 1]`; nothing where it is missing."""
    x = arrays.get(field)
    if x is None:
        return arrays
    return {field: x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x}
