"""Keeping compiled programs from one process to the next: compile time is what users wait for."""

import os
import pathlib
from collections.abc import Callable, Sequence

import jax
from jax.stages import Compiled, Lowered

from rlax_pref import _programs
from rlax_pref._files import is_private


def cache_directory() -> pathlib.Path:
    """Where compiled programs are kept: `$XDG_CACHE_HOME/rlax_pref/jax`, by default in `~/.cache`.

    Set `JAX_COMPILATION_CACHE_DIR` to keep them elsewhere.
    """
    if chosen := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return pathlib.Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "rlax_pref" / "jax"


def enable_cache(*, min_seconds: float = 0.5) -> pathlib.Path:
    """Turns on JAX's persistent compilation cache in a directory that only this user can enter.

    A cached program is code that will run, so a directory that somebody else owns or may write to
    is refused.

    Args:
      min_seconds: programs that compile faster than this are not kept.

    Returns:
      The directory.

    Raises:
      PermissionError: the directory belongs to another user, or others may write to it.
    """
    path = cache_directory()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not is_private(path):
        raise PermissionError(
            f"{path}: others could put code into this compilation cache. Make it yours alone "
            f"(chmod 700), or name another in JAX_COMPILATION_CACHE_DIR."
        )
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", min_seconds)
    return path


def kept(
    name: str, lower: Callable[[], Lowered], devices: Sequence[jax.Device] | None = None
) -> Compiled:
    """A compiled program, which another process need not even trace again.

        program = compilation.kept("ppo, 16 seeds", lambda: jax.jit(train).lower(keys))

    JAX's cache, which has to be on (`enable_cache`), saves compiling alone. What is kept here is
    used again under the same name, but only while the files of all modules loaded, versions,
    devices and settings are what they were when it was compiled. Not in notebooks, whose cells are
    in no file, nor over several processes: there it is compiled.

    Args:
      name: all of the program that is not written in those files, such as the arguments that the
        script was given.
      lower: makes it, where it was not kept or may not be used.
      devices: which it runs on; JAX's default by default.

    Returns:
      What `lower().compile()` would.
    """
    devices = jax.devices()[:1] if devices is None else list(devices)
    found = _programs.find(name, devices)
    if found is None:
        found = _programs.compile_all(name, devices, {"program": lower})
    return found["program"]
