"""Errors of input arrays and files, as one line that says where and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vtbench.errors import VtbenchError


class InputError(VtbenchError, ValueError):
    """Arrays that cannot be scored: the message says which, where and why."""


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn any error of a file's reader into an `InputError` that names the file; each format raises its own kinds.

    >>> with file_errors(Path("tokens.npz")):
    ...     raise EOFError("ended early")
    Traceback (most recent call last):
    vtbench_redundancy.errors.InputError: tokens.npz: not a whole .npz file (ended early); copy or save it again
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:
        what = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(f"{path}: not a whole {path.suffix} file ({what}); copy or save it again") from error
