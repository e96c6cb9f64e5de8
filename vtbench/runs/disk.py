"""Files of a run on disk: atomic and durable writes, locks, and errors of the operating system as one line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from vtbench.errors import ResultsError


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn an `OSError` about a file into a `ResultsError` of one line."""
    try:
        yield
    except OSError as error:
        what = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "your disk quota is used up",
            errno.EACCES: "no permission to write here; choose another --output",
            errno.EPERM: "no permission to write here; choose another --output",
            errno.EROFS: "the file system is read-only; choose another --output",
            errno.ENOTDIR: "a part of this path is a file, not a directory; choose another --output",
            errno.EEXIST: "this is a file, not a directory; choose another --output",
        }.get(error.errno or 0, error.strerror or str(error))
        kept = "; finished samples are kept, --resume continues" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise ResultsError(f"{path}: {what}{kept}") from error


def write_file(path: Path, text: str, durable: bool = False) -> Path:
    r"""Write a file atomically (through a temporary file), and return its path.

    Args:
        path: of the file.
        text: its content; lone surrogates, which UTF-8 cannot hold, are written as `\udxxx`.
        durable: whether a crash of the machine leaves this file or the one before it, and never a damaged one.
    """
    with disk(path):
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))
        publish_file(temporary, path, durable)
    return path


def publish_file(temporary: Path, path: Path, durable: bool) -> None:
    """Rename a file that is written in full to its place.

    Without `durable`, a crash of the machine may leave an empty file at `path`: a rename can reach the disk before the
    data does.
    """
    if durable:
        sync_file(temporary)
    temporary.replace(path)


def sync_file(path: Path) -> None:
    """Write a file's data to the disk; ignored where the file system cannot."""
    with suppress(OSError):
        opened = os.open(path, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def lock(file: FileIO | int) -> bool:
    """Lock an open file or directory against other processes; a killed process leaves no lock.

    Returns:
        False where another process holds it; True where it is locked now, or where there are no locks.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
