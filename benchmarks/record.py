"""What every benchmark has in common: a command, and one JSON line a condition."""

import argparse
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from rlax_pref import compilation
from rlax_pref.types import DataError

Line = Mapping[str, Any]


def run(
    parser: argparse.ArgumentParser,
    measure: Callable[[argparse.Namespace], Sequence[Line]],
    arguments: Sequence[str] | None = None,
    *,
    draw: Callable[[pathlib.Path, Any], None] | None = None,
) -> None:
    """Runs a benchmark as a command, and writes its lines.

    Args:
      parser: knows the benchmark's own arguments; `--out` and `--plot` are added here.
      measure: from the arguments to the lines; prints what a person wants to see.
      arguments: of the command; by default the process's.
      draw: draws the lines into a PNG, if the benchmark has a picture.
    """
    parser.add_argument("--out", type=pathlib.Path, required=True, help="file for JSON lines")
    if draw:
        parser.add_argument("--plot", type=pathlib.Path, help="PNG to draw")
    args = parser.parse_args(arguments)
    compilation.enable_cache()
    try:
        lines = measure(args)
    except DataError as error:
        parser.exit(1, f"{error}\n")
    write_lines(args.out, lines)
    print(f"\nwrote {len(lines)} lines to {args.out}")
    if draw and args.plot:
        draw(args.plot, lines)


def where() -> dict[str, str]:
    """The JAX version and the device of a measurement."""
    device = jax.devices()[0]
    return {"jax": jax.__version__, "device": f"{device.platform}: {device.device_kind}"}


def standard_error(x: Any) -> np.ndarray:
    """`[...]` of the mean over seeds or worlds, `[M, ...]`; 0 where there is one."""
    x = np.asarray(x)
    return x.std(0, ddof=min(1, len(x) - 1)) / np.sqrt(len(x))


def means(found: Mapping[str, Any]) -> dict[str, float]:
    """Of each result, `[M]` of seeds or worlds, the mean and its standard error."""
    errors = {f"{name}_standard_error": float(standard_error(x)) for name, x in found.items()}
    return {name: float(np.mean(x)) for name, x in found.items()} | errors


def write_lines(path: str | os.PathLike[str], lines: Iterable[Line]) -> None:
    """Writes all lines or none: an interrupted benchmark leaves an earlier file as it was."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".tmp")
    fresh.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fresh.replace(path)
