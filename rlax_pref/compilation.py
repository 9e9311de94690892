"""Keeping compiled programs from one process to the next: compile time is what users wait for."""

import os
import pathlib
import stat

import jax


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
    if hasattr(os, "getuid"):
        status = path.stat()
        if status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(
                f"{path}: others could put code into this compilation cache. Make it yours alone "
                f"(chmod 700), or name another in JAX_COMPILATION_CACHE_DIR."
            )
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", min_seconds)
    return path
