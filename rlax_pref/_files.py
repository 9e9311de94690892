"""Files that have to last, and files that one process holds."""

import errno
import hashlib
import os
import stat
import sys
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class HeldError(Exception):
    """Another process holds this file."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_private(path: Path) -> bool:
    """Whether nobody else may write to a folder, or the system has no such thing as owners."""
    if not hasattr(os, "getuid"):
        return True
    status = path.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def flush(path: Path, *, deep: bool = True) -> None:
    """Has the disk write all that is below `path`, so that a power cut cannot undo it."""
    for one in [*path.rglob("*"), path] if deep else [path]:
        if os.name == "nt" and one.is_dir():
            continue
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def hold(path: Path) -> IO[str]:
    """Locks a file until it is closed. A process that dies lets go of it, however it dies.

    Raises:
      HeldError: another process holds it; the message is that process's id.
    """
    file = path.open("a+")
    try:
        if sys.platform == "win32":
            file.seek(1 << 30)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise
        raise HeldError(owner) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
