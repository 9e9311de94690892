"""What is in a file, whatever its format."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from rlax_pref.datasets import _hdf5, d4rl, exchange, hh, ipl, knox, minari, ogbench, trl, uni_rlhf
from rlax_pref.datasets._files import (
    PathLike,
    array_names,
    as_row,
    fail,
    read_rows,
)
from rlax_pref.datasets._report import Loaded, Report, TextReport
from rlax_pref.datasets._text import TextLabels, TextPreferences
from rlax_pref.datasets._transcripts import ASSISTANT
from rlax_pref.datasets._transitions import TransitionReport, check_fits, check_steps
from rlax_pref.types import DataError, Env, Preferences, Transition


def inspect(path: PathLike, *, skip_bad: bool = False) -> Report | TextReport | TransitionReport:
    """Says what is in a file or folder of preferences or of steps, whichever format it has.

    Args:
      path: rows of JSON (TRL, HH-RLHF), segments in `.npz` (IPL, CPL, the studies in grid worlds),
        a folder of three pickles (Uni-RLHF, Preference Transformer), or our own directory; steps
        as `load_transitions` takes them.
      skip_bad: leave rows out that are not sound, and say why. Of steps none can be left out.

    Raises:
      DataError: it is none of these, or not sound; names file, line, field and fix.
      ImportError: the package for the format is not installed.
    """
    path = Path(path)
    _check_there(path)
    if (load := _steps_reader(path)) is not None:
        return load().report
    if path.is_dir():
        if (path / "meta.json").exists():
            return exchange.load(path, skip_bad=skip_bad).report
        return uni_rlhf.count(path, skip_bad=skip_bad)
    if path.suffix == ".npz":
        return load_preferences(path, skip_bad=skip_bad).report
    if path.suffix in (".pkl", ".pickle"):
        fail(path, "file", "is one of three pickles", "give the folder that holds all three")
    return load_texts(path, skip_bad=skip_bad).report


def load_texts(
    path: PathLike, *, skip_bad: bool = False
) -> Loaded[TextPreferences] | Loaded[TextLabels]:
    """Rows of texts that people judged, whichever format they have.

    Args:
      path: rows of JSON: TRL's, in pairs or one by one, or transcripts as of HH-RLHF. Their own
        readers have more options.
      skip_bad: leave rows out that are not sound, instead of raising.

    Returns:
      `TextPreferences` or `TextLabels`, and what was found.

    Raises:
      DataError: names file, line, field and fix.
    """
    path = Path(path)
    _check_there(path)
    return _rows_reader(path)(path, skip_bad=skip_bad)


def load_preferences(
    path: PathLike, env: Env | None = None, *, skip_bad: bool = False
) -> Loaded[Preferences]:
    """Choices between segments of behaviour, whichever format they have.

    Args:
      path: segments in `.npz` (IPL, CPL, the studies in grid worlds), or our own directory. Labels
        in pickles need their data set beside them: see `uni_rlhf`.
      env: if it is given, observations and actions must be such as it has.
      skip_bad: leave rows out that are not sound, instead of raising.

    Raises:
      DataError: it is none of these, not sound, or of another environment; names file, row, field
        and fix.
    """
    path = Path(path)
    _check_there(path)
    loaded: Loaded[Preferences]
    if path.is_dir() and (path / "meta.json").exists():
        kept, report = exchange.load(path, skip_bad=skip_bad)
        loaded = Loaded(exchange.to_preferences(kept), report)
    elif path.is_dir():
        fix = "read them with uni_rlhf.load, and give what it returns"
        return fail(path, "folder", "holds labels of a data set that is not there", fix)
    elif path.suffix != ".npz":
        fix = "give .npz in the layout of IPL or CPL, or our own directory"
        return fail(path, "file", "holds no segments that can be read", fix)
    elif {"pairs", "X", "Y"} <= set(array_names(path)):
        from rlax_pref.envs import grid  # the board that those pairs are from

        study = knox.load_human(path, grid.delivery())
        loaded = Loaded(study.preferences, study.report)
    else:
        loaded = ipl.load(path, skip_bad=skip_bad)
    if env is not None:
        state, action, _ = loaded.data.segments
        flat = lambda x: np.asarray(x).reshape(-1, *x.shape[3:])
        check_steps(path, flat(state), flat(action), env)
    return loaded


def load_transitions(path: PathLike, env: Env | None = None) -> Loaded[Transition]:
    """Steps of a file or folder, whichever format it has.

    Args:
      path: D4RL's layout in `.hdf5` or `.npz`, as `d4rl.save` writes it, too (read as sequences);
        OGBench's `.npz` (regular); or a directory of Minari. Their own readers have more options.
      env: if it is given, observations and actions must be such as it has.

    Returns:
      `[N, ...]` NumPy arrays in the order of time, and what was found. `discount_t` is 0 or 1.

    Raises:
      DataError: it is none of these, not sound, or of another environment; names file, field and
        fix.
      ImportError: the package for the format is not installed.
    """
    path = Path(path)
    _check_there(path)
    load = _steps_reader(path)
    if load is None:
        fix = "give .hdf5 or .npz in the layout of D4RL or OGBench, or a directory of Minari"
        fail(path, "file", "holds no steps that can be read", fix)
    loaded = load()
    if env is not None:
        check_fits(path, loaded.data, env)
    return loaded


def _steps_reader(path: Path) -> Callable[[], Loaded[Transition]] | None:
    """What reads these steps, if they are some."""
    if path.is_dir():
        return partial(minari.load, path) if minari.data_folder(path) is not None else None
    if path.suffix in _hdf5.SUFFIXES:
        return partial(d4rl.load, path, "sequence")
    if path.suffix == ".npz" and "observations" in (names := array_names(path)):
        return (
            partial(d4rl.load, path, "sequence")
            if "rewards" in names
            else (partial(ogbench.load, path))
        )
    return None


def _check_there(path: Path) -> None:
    if not path.exists():
        fail(path, "file", "does not exist", "check the folder and the spelling")


def _rows_reader(path: Path) -> Callable[..., Loaded]:
    """Which reader takes these rows of JSON, judging by the first sound one."""
    for item in read_rows(path):
        try:
            fields = as_row(item).fields
        except DataError:
            continue
        if "completion" in fields:
            return trl.load_unpaired
        chosen = fields.get("chosen")
        transcripts = isinstance(chosen, str) and ASSISTANT in chosen and "prompt" not in fields
        return hh.load if transcripts else trl.load
    return trl.load
