"""What every measurement writes: one JSON line a condition, with where it ran."""

import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax

Line = Mapping[str, Any]


def where() -> dict[str, str]:
    """The JAX version and the device of a measurement."""
    device = jax.devices()[0]
    return {"jax": jax.__version__, "device": f"{device.platform}: {device.device_kind}"}


def write_lines(path: str | os.PathLike[str], lines: Iterable[Line]) -> None:
    """Writes all lines or none: an interrupted benchmark leaves an earlier file as it was."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".tmp")
    fresh.write_text("".join(json.dumps(line) + "\n" for line in lines))
    fresh.replace(path)
