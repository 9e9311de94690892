"""Checkpoints: a whole training state on disk, saved at once or not at all, verified on loading.

A run directory holds them like this:

    LOCK                                    one process writes at a time
    checkpoints/000000000400/arrays/        the leaves, as orbax writes them
    checkpoints/000000000400/manifest.json  what they are, and a checksum of everything

Orbax moves the bytes. What it leaves open is settled here: a damaged file is never loaded (every
file and every leaf has a checksum), a state of another shape is refused with the leaf's name,
leaves of size zero and typed keys are restored as they were, and a checkpoint appears under its
name only when it is complete. This is the only file that knows orbax.
"""

import hashlib
import json
import math
import os
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Literal

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from rlax_pref import __version__
from rlax_pref import _leaves as leaves
from rlax_pref._files import HeldError, flush, hold, sha256
from rlax_pref.types import PyTree

Which = Literal["latest", "best"] | int

FORMAT = 1
PACKAGES = ("jax", "jaxlib", "numpy", "orbax-checkpoint")


class CheckpointError(RuntimeError):
    """A checkpoint cannot be saved or loaded; the message says which, where and why."""


class LockedError(CheckpointError):
    """Another process is writing to this run directory."""


class _Damaged(Exception):
    """This checkpoint is not what was saved; the message is `file: reason`."""


class Checkpoints:
    """The checkpoints of one run, for the one process that writes them.

        with Checkpoints("runs/x", config={"seed": 0}) as checkpoints:
            checkpoints.save(400, state, metric=431.0)
            step, state = checkpoints.restore(like=state)

    On entering, it locks the run directory and removes what a killed process left half-written.
    To read a run that may be in use, call `restore` of this module, which takes no lock.

    Args:
      directory: the run directory; made where missing.
      keep: how many of the newest checkpoints stay, at least 1. The best one stays besides.
      config: a description of the run that JSON can hold, stored in every checkpoint.

    Raises:
      LockedError: on entering, while another process holds the directory.
      CheckpointError: on entering, if the directory cannot be made.
      ValueError: if `keep` is less than 1 or JSON cannot hold `config`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        keep: int = 3,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep={keep}: at least one checkpoint must stay")
        try:
            self._config = json.loads(json.dumps(dict(config or {}), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"config must be something JSON can hold: {error}") from error
        self.directory = Path(directory)
        self.keep = keep
        self._root = self.directory / "checkpoints"
        self._lock: IO[str] | None = None
        self._metrics: dict[int, float] = {}
        self._damaged: set[int] = set()

    def __enter__(self) -> "Checkpoints":
        if _writes():
            try:
                self._root.mkdir(parents=True, exist_ok=True)
                self._lock = hold(self.directory / "LOCK")
                for leftover in self._root.glob(".tmp-*"):
                    shutil.rmtree(leftover)
            except HeldError as owner:
                raise LockedError(
                    f"another process (pid {owner}) is writing to {self.directory}: "
                    "let it finish, or choose another directory"
                ) from owner
            except OSError as error:
                raise CheckpointError(f"cannot write to {self.directory}: {error}") from error
        _meet("opened")
        self._metrics = _metrics(self._root)
        self._damaged = set()
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    @property
    def steps(self) -> list[int]:
        """The steps saved, oldest first."""
        return _steps(self._root)

    def save(self, step: int, state: PyTree, *, metric: float | None = None) -> None:
        """Writes a checkpoint; when this returns it is complete and on disk.

        Args:
          step: how far the run is. Steps only go up, except over damaged checkpoints.
          state: a pytree of arrays. They are read before this returns, so they may be donated
            afterwards.
          metric: how good this state is, higher is better; decides which checkpoint is best.

        Raises:
          CheckpointError: if it could not be saved. The checkpoints before it are untouched.
          ValueError: if `step` is not above the last one, or a leaf is no array.
        """
        if _writes() and self._lock is None:
            raise CheckpointError("save is for use inside `with Checkpoints(...) as ...:`")
        named = leaves.named(state)
        last = max(set(self.steps) - self._damaged, default=-1)
        if step <= last:
            raise ValueError(f"checkpoint {step} would not come after {last}, which is saved")
        if metric is not None and not math.isfinite(metric):
            metric = None
        temp = self._root / f".tmp-{step}"
        try:
            if _writes():
                temp.mkdir()
            _meet("begun")
            arrays = {name: leaves.stored(leaf) for name, leaf in named.items() if leaf.size}
            if arrays:
                ocp.PyTreeCheckpointer().save(temp.absolute() / "arrays", arrays)
            described = {name: leaves.describe(leaf) for name, leaf in named.items()}
            if _writes():
                manifest = {
                    "format": FORMAT,
                    "step": step,
                    "metric": metric,
                    "config": self._config,
                    "versions": versions(),
                    "leaves": described,
                    "files": {
                        path.relative_to(temp).as_posix(): sha256(path)
                        for path in sorted(temp.rglob("*"))
                        if path.is_file()
                    },
                }
                manifest["sha256"] = _seal(manifest)
                (temp / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
                flush(temp)
                self._remove(step)  # only ever a damaged one
                temp.rename(_path(self._root, step))
                flush(self._root, deep=False)
        except Exception as error:
            shutil.rmtree(temp, ignore_errors=True)
            reason = " ".join(str(error).split())
            raise CheckpointError(f"cannot save {_path(self._root, step)}: {reason}") from error
        if metric is not None:
            self._metrics[step] = metric
        if _writes():
            self._prune(step)
        self._damaged.clear()
        _meet("saved")

    def restore(self, like: PyTree) -> tuple[int, PyTree]:
        """Loads the newest sound checkpoint; see `restore` of this module."""
        step, state, damaged = _restore(self._root, like, "latest")
        self._damaged |= set(damaged)
        return step, state

    def _prune(self, saved: int) -> None:
        """Leaves the newest `keep` and the best; the damaged go once a sound one has followed."""
        sound = [step for step in self.steps if step not in self._damaged]
        stay = {saved, *sound[-self.keep :]}
        ranked = [step for step in sound if step in self._metrics]
        if ranked:
            stay.add(max(ranked, key=lambda step: (self._metrics[step], step)))
        for step in self.steps:
            if step not in stay:
                self._remove(step)

    def _remove(self, step: int) -> None:
        """Removes a checkpoint: first its name, so that none is ever found half-removed."""
        path = _path(self._root, step)
        if path.exists():
            grave = self._root / f".tmp-removed-{step}"
            path.rename(grave)
            shutil.rmtree(grave, ignore_errors=True)


def restore(
    directory: str | os.PathLike[str], like: PyTree, *, which: Which = "latest"
) -> tuple[int, PyTree]:
    """Loads a run's newest or best checkpoint that is sound, or a certain one.

    Of the first two a damaged one is passed over, with one line on stderr that names the file.

    Args:
      directory: the run directory.
      like: a pytree with the structure, shapes and dtypes expected: arrays, or
        `jax.ShapeDtypeStruct`. Where a leaf has a sharding, the loaded one gets it too.
      which: `"latest"`, `"best"` by the metric given when it was saved, or the step of one.

    Returns:
      `(step, state)`; the state's leaves are bit for bit those saved.

    Raises:
      CheckpointError: if there is none, none is sound, or it does not fit `like`; the message
        names the leaf that does not.
    """
    step, state, _ = _restore(Path(directory) / "checkpoints", like, which)
    return step, state


def versions() -> dict[str, str]:
    """The versions of python and of the packages that decide what a run computes."""
    ours = {"python": platform.python_version(), "rlax_pref": __version__}
    return ours | {name: metadata.version(name) for name in PACKAGES}


# Reading --------------------------------------------------------------------------------------


def _restore(root: Path, like: PyTree, which: Which) -> tuple[int, PyTree, dict[int, str]]:
    """The checkpoint asked for, and why each one tried before it was passed over."""
    steps = _steps(root)
    if not steps:
        raise CheckpointError(f"nothing is saved yet in {root.parent}")
    if isinstance(which, int):
        if which not in steps:
            there = ", ".join(map(str, steps))
            raise CheckpointError(f"no checkpoint {which} in {root.parent}: there are {there}")
        steps = [which]
    if which == "best":
        metrics = _metrics(root)
        if not metrics:
            raise CheckpointError(f"no checkpoint in {root.parent} was saved with a metric")
        steps = sorted(metrics, key=lambda step: (metrics[step], step))
    damaged: dict[int, str] = {}
    for step in reversed(steps):
        try:
            state = _load(_path(root, step), step, like)
        except _Damaged as reason:
            if _path(root, step).exists():  # else the run, going on beside us, has just pruned it
                damaged[step] = str(reason)
            continue
        if damaged and _writes():
            passed = ", ".join(f"{step} is damaged ({damaged[step]})" for step in damaged)
            print(
                f"rlax_pref: {root}: checkpoint {passed}; using checkpoint {step}", file=sys.stderr
            )
        return step, state, damaged
    reasons = ", ".join(f"{step} is damaged ({damaged[step]})" for step in damaged)
    raise CheckpointError(f"no sound checkpoint in {root}: {reasons}")


def _load(path: Path, step: int, like: PyTree) -> PyTree:
    """Reads one checkpoint and verifies all of it."""
    manifest = _read_manifest(path)
    if manifest["step"] != step:
        raise _Damaged(f"manifest.json: it is of step {manifest['step']}")
    for name, checksum in manifest["files"].items():
        try:
            if sha256(path / name) != checksum:
                raise _Damaged(f"{name}: the checksum differs")
        except OSError as error:
            raise _Damaged(f"{name}: {error.strerror}") from error
    saved: dict[str, dict[str, Any]] = manifest["leaves"]
    wanted = leaves.named(like)
    if different := leaves.differences(saved, wanted):
        more = f" (and {len(different) - 1} more differences)" if different[1:] else ""
        raise CheckpointError(f"{path} is of another state: {different[0]}{more}")
    names = [name for name, leaf in saved.items() if math.prod(leaf["shape"])]
    try:
        arrays = {}
        if names:
            as_numpy = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in names}
            arrays = ocp.PyTreeCheckpointer().restore(
                path.absolute() / "arrays", restore_args=as_numpy
            )
    except Exception as error:
        raise _Damaged(f"arrays: {' '.join(str(error).split())[:200]}") from error
    for name in names:
        if leaves.checksum(arrays[name]) != saved[name]["crc32"]:
            raise _Damaged(f"arrays: the checksum of {name} differs")
    placed = [leaves.place(arrays.get(name), saved[name], leaf) for name, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(like), placed)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        sealed = manifest.pop("sha256") == _seal(manifest)
    except OSError as error:
        raise _Damaged(f"manifest.json: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise _Damaged("manifest.json: it cannot be read") from error
    if not sealed:
        raise _Damaged("manifest.json: the checksum differs")
    if manifest["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {manifest['format']}, and this version reads {FORMAT}: "
            f"it was saved by rlax_pref {manifest['versions']['rlax_pref']}"
        )
    return manifest


# Files ----------------------------------------------------------------------------------------


def _path(root: Path, step: int) -> Path:
    return root / f"{step:012d}"


def _steps(root: Path) -> list[int]:
    return sorted(int(path.name) for path in root.glob("[0-9]*") if path.name.isdigit())


def _metrics(root: Path) -> dict[int, float]:
    """The metric of every checkpoint that was saved with one."""
    found: dict[int, float] = {}
    for step in _steps(root):
        try:
            metric = _read_manifest(_path(root, step))["metric"]
        except (_Damaged, CheckpointError):
            continue
        if metric is not None:
            found[step] = metric
    return found


def _seal(manifest: dict[str, Any]) -> str:
    """The checksum of a manifest's content, whatever its spacing."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


# Several hosts --------------------------------------------------------------------------------


def _writes() -> bool:
    """Whether this process is the one that names, prunes and locks."""
    return jax.process_index() == 0


def _meet(name: str) -> None:
    """Waits until all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(f"rlax_pref.checkpoints.{name}")
