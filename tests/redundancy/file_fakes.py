"""What comes of opening a file that may be broken."""

from __future__ import annotations

from collections.abc import Callable

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.inputs.rows import Rows


def outcome(opener: Callable[[str], Rows], place: str) -> str | None:
    """The one-line error, or None where all rows are there."""
    try:
        opened = opener(place)
        found = opened[:]
    except InputError as error:
        return str(error)
    assert (found.shape, found.dtype) == (opened.shape, opened.dtype)
    return None
