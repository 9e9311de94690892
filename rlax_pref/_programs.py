"""Compiled programs kept whole, so that another process need not even trace them.

JAX's own compilation cache saves compiling, but a program must be traced and lowered before it can
be looked up there. Here it is looked up by a name. It is used only where everything that it was
made from is as it was: the file of each module that was loaded then, the versions of JAX and its
backend, devices and processor, JAX's settings and the variables that steer it. So a name has to say
only what of a program is not written in files. Where files changed, programs are lowered, and what
comes out as it was before is not compiled again.

They are kept in `programs/` in the directory of JAX's cache, if that is turned on and nobody else
may write there: what is kept is code that will run.
"""

import contextlib
import hashlib
import json
import logging
import os
import pickle
import platform
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jaxlib
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache
from jax.stages import Compiled, Lowered

from rlax_pref._files import is_private

_LOG = logging.getLogger(__name__)
_BEGAN = time.time_ns() - 10_000_000_000  # or earlier: what was imported before is not known
_STEERING = ("JAX_", "XLA_", "LIBTPU_", "TPU_", "CUDA_", "NVIDIA_", "PJRT_", "NPROC")
# As it is by default; but where an option is given, JAX does not answer with an earlier result.
_OPTIONS: dict[str, str | bool] = {"xla_embed_ir_in_executable": False}
_BOUND = ("lapack", "callback", "is_host_transfer=true")  # marks of calls that bind to a process
_UNABLE = (
    AttributeError,
    NotImplementedError,
    TypeError,
    ValueError,
    pickle.PicklingError,
    jax.errors.JaxRuntimeError,
)


class _Program(NamedTuple):
    """A compiled program in a file."""

    digest: str | None  # of what was compiled
    content: bytes
    trees: bytes  # of its arguments and its results


class _Kept(NamedTuple):
    """What is kept under a name."""

    files: dict[str, tuple[int, int] | None]  # of modules: how they looked
    programs: dict[str, _Program]


def find(name: str, devices: Sequence[jax.Device]) -> dict[str, Compiled] | None:
    """The programs kept under a name, ready to run on these devices; None if none may be used."""
    kept = _read(_path(name, devices))
    if kept is None:
        return None
    now = {file: _look(file) for file in kept.files.keys() | _files()}
    changed = sorted(file for file, seen in now.items() if kept.files.get(file) != seen)
    if changed:
        _LOG.info("tracing anew, as these are new or changed: %s", ", ".join(changed))
        return None
    found = {}
    for which, program in kept.programs.items():
        in_tree, out_tree = pickle.loads(program.trees)
        loaded = _load(program.content, in_tree, out_tree, devices)
        if loaded is None:
            return None
        found[which] = loaded
    return found


def compile_all(
    name: str | None, devices: Sequence[jax.Device], lower: Mapping[str, Callable[[], Lowered]]
) -> dict[str, Compiled]:
    """Compiles programs, one while the next is lowered, and keeps them if they have a name.

    What cannot be kept is not, and the log says why: programs that call LAPACK, which JAX makes
    ready only when it lowers one, or Python; those that a backend cannot serialise; and what was
    made from files that changed since this process began or a moment before, as it may have been
    made from what they held then.
    """
    path = None if name is None else _path(name, devices)
    if path is None:
        with ThreadPoolExecutor() as beside:
            futures = {which: beside.submit(make().compile) for which, make in lower.items()}
            return {which: future.result() for which, future in futures.items()}
    before = _read(path)
    old = {} if before is None else before.programs
    with _without_cache(), ThreadPoolExecutor() as beside:
        made = {
            which: beside.submit(_compile, make(), old.get(which), devices)
            for which, make in lower.items()
        }
        compiled = {which: future.result() for which, future in made.items()}
    _keep(path, {which: program for which, (_, program) in compiled.items()})
    return {which: program for which, (program, _) in compiled.items()}


def _compile(
    lowered: Lowered, old: _Program | None, devices: Sequence[jax.Device]
) -> tuple[Compiled, _Program | None]:
    """Compiles a program, unless it was before; and how to keep it, None if it cannot be."""
    digest = _digest(lowered)
    if old is not None and digest is not None and old.digest == digest:
        in_tree, out_tree = jax.tree.structure(lowered.args_info), lowered.out_tree
        loaded = _load(old.content, in_tree, out_tree, devices)
        if loaded is not None:
            return loaded, old._replace(trees=pickle.dumps((in_tree, out_tree)))
    program = lowered.compile(_OPTIONS)
    text = program.as_text() or ""
    calls = [mark for mark in _BOUND if mark in text]
    if calls:
        _LOG.info("not kept, as it calls what only this process has: %s", ", ".join(calls))
        return program, None
    try:
        content, *trees = serialize_executable.serialize(program)
        return program, _Program(digest, content, pickle.dumps(trees))
    except _UNABLE as error:
        _LOG.info("not kept, as %s", error)
        return program, None


def _digest(lowered: Lowered) -> str | None:
    """Of all that decides what is compiled and how it is called; None if JAX does not say that.

    What is lowered has no arguments but those that are used, and does not say which those are.
    """
    try:
        used = sorted(lowered._lowering.compile_args["kept_var_idx"])
    except (AttributeError, KeyError, TypeError):
        return None
    parts = (lowered.as_text(), lowered.args_info, lowered.out_tree, lowered.out_info, used)
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def _keep(path: Path, programs: Mapping[str, _Program | None]) -> None:
    files = {file: _look(file) for file in _files()}
    young = [file for file, seen in files.items() if seen is None or seen[1] > _BEGAN]
    if young:
        _LOG.info("not kept, as this is newer than the process: %s", ", ".join(young))
        return
    sound = {which: program for which, program in programs.items() if program is not None}
    if len(sound) < len(programs):
        return
    body = zlib.compress(pickle.dumps(_Kept(files, sound)), level=1)
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        fresh.write_bytes(hashlib.sha256(body).digest() + body)
        fresh.replace(path)
    except OSError as error:
        _LOG.warning("not kept, as %s", error)
        with contextlib.suppress(OSError):  # it may not have begun to be written
            fresh.unlink()


def _read(path: Path | None) -> _Kept | None:
    """What is in a file; None if it is not there or damaged."""
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _LOG.warning("what is kept cannot be read: %s", error)
        return None
    digest, body = content[:32], content[32:]
    if hashlib.sha256(body).digest() != digest:
        _LOG.warning("%s is damaged", path)
        return None
    return pickle.loads(zlib.decompress(body))


def _load(
    content: bytes, in_tree: Any, out_tree: Any, devices: Sequence[jax.Device]
) -> Compiled | None:
    """Makes a program ready; None if this backend cannot take it."""
    try:
        return serialize_executable.deserialize_and_load(
            content, in_tree, out_tree, devices[0].client, devices
        )
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        _LOG.warning("compiling anew, as what was kept cannot be loaded: %s", error)
        return None


@contextlib.contextmanager
def _without_cache() -> Iterator[None]:
    """Has JAX compile: what it takes from its cache, CPUs cannot serialise whole again."""
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
        compilation_cache.reset_cache()


def _path(name: str, devices: Sequence[jax.Device]) -> Path | None:
    """Where programs of this name, for such surroundings, are kept; None if nowhere."""
    settings = jax.config.values
    cache = settings["jax_compilation_cache_dir"]
    if not (cache and settings["jax_enable_compilation_cache"]) or "://" in cache:
        return None
    if not (os.path.isdir(cache) and is_private(Path(cache))):
        return None
    if jax.process_count() > 1 or not hasattr(sys.modules["__main__"], "__file__"):
        return None  # what is typed into a notebook is in no file
    surroundings = {
        "format": 2,
        "name": name,
        "python": sys.version,
        "path": sys.path,
        "versions": [jax.__version__, jaxlib.__version__, devices[0].client.platform_version],
        "devices": [[device.id, device.device_kind] for device in devices],
        "all devices": jax.device_count(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "settings": {key: repr(value) for key, value in settings.items()},
        "variables": {k: v for k, v in os.environ.items() if k.startswith(_STEERING)},
    }
    digest = hashlib.sha256(json.dumps(surroundings, sort_keys=True).encode()).hexdigest()
    return Path(cache) / "programs" / digest


def _processor() -> list[str]:
    """What decides which instructions a program may have."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    marks = ("model name", "flags", "Features", "CPU part")
    told = {line for line in lines if line.startswith(marks)}
    return [platform.machine(), platform.processor(), *sorted(told)]


def _files() -> set[str]:
    """Where the modules that are loaded come from."""
    found = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {file for file in found if isinstance(file, str)}


def _look(file: str) -> tuple[int, int] | None:
    """Size and time of a file; None if it is gone."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
