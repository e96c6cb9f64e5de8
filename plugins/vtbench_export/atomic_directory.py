"""Atomic creation of a directory: it is written as NAME.partial beside its target and renamed when complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vtbench.runs.disk import lock
from vtbench_export.errors import ExportError


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Yield a directory to write into. It is renamed to `target` at the end, or removed after an error.

    A NAME.partial that a killed process left is emptied first.

    Raises:
        ExportError: `target` is not empty, cannot be written to, or is being written by another process.
    """
    target = target.resolve()
    _require_empty(target)
    partial = target.with_name(target.name + ".partial")
    with _os_errors(target):
        partial.mkdir(parents=True, exist_ok=True)
        opened = os.open(partial, os.O_RDONLY)
        try:
            if not lock(opened):
                raise ExportError(f"{target}: another export is writing here; wait for it, or choose another --output")
            _empty(partial)
            try:
                yield partial
                partial.replace(target)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
        finally:
            os.close(opened)


def _require_empty(target: Path) -> None:
    with _os_errors(target):
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


@contextmanager
def _os_errors(target: Path) -> Iterator[None]:
    """Raise an error of the operating system as a one-line `ExportError`."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"{target}: cannot be written: {error.strerror or error}; nothing is left there") from error
