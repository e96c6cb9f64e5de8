"""One wording for the errors of every backend: the first line of a message, and out of memory as one exception type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory")
"""How torch words it on CPUs and on accelerators for which it has no exception type."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type where it has no message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def out_of_memory_as(kind: type[Exception], message: str) -> Iterator[None]:
    """Raise a backend's out-of-memory error as `kind(message)`."""
    import torch

    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise kind(message) from error
    except RuntimeError as error:
        if any(text in str(error) for text in _OUT_OF_MEMORY):
            raise kind(message) from error
        raise
