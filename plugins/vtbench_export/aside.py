"""A directory that is there whole or not at all: written beside its place as NAME.partial, and renamed when done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vtbench_export.errors import ExportError


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Give a directory to write into, which becomes `target` at the end; after an error there is nothing.

    What a killed export left as NAME.partial is thrown away by the next one to the same place.

    Raises:
        ExportError: `target` holds something, cannot be written to, or is being written by another process.
    """
    target = target.resolve()
    _refuse_filled(target)
    partial = target.with_name(target.name + ".partial")
    with _told(target):
        partial.mkdir(parents=True, exist_ok=True)
        lock = os.open(partial, os.O_RDONLY)
        try:
            _lock(lock, target)
            _empty(partial)
            try:
                yield partial
                partial.replace(target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        finally:
            os.close(lock)


def _refuse_filled(target: Path) -> None:
    with _told(target):
        if target.exists() and not target.is_dir():
            raise ExportError(f"{target}: a file, not a directory; choose another --output")
        if target.is_dir() and any(target.iterdir()):
            raise ExportError(f"{target}: not empty; an export makes a new directory, so choose another --output")


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _lock(directory: int, target: Path) -> None:
    """Refuse to write where another process writes; a killed process leaves no lock."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExportError(
            f"{target}: another export is writing here; wait for it, or choose another --output"
        ) from None
    except OSError:  # a file system without locks
        return


@contextmanager
def _told(target: Path) -> Iterator[None]:
    """Turn what the operating system says, at any time of the export, into one line."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error.strerror or error}; nothing is left there") from error
