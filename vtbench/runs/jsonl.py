"""Files of JSON lines that a crash of the machine may have damaged.

After a crash each file may lack its end, or have zeros where data was not yet written. A line counts if it is a whole
JSON object that ends in a newline; all others are damaged, wherever they stand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def scan(path: Path, sound: Callable[[Line], bool]) -> Iterator[tuple[int, Line | None]]:
    """Yield the number (from 0) of each line with its object, or None where the line is damaged or not `sound`."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for number, raw in enumerate(file):
            line = _object(raw)
            yield number, line if line is not None and sound(line) else None


def lines(path: Path, sound: Callable[[Line], bool] = lambda line: True) -> Iterator[Line]:
    """Yield the objects of a file in order; damaged lines are skipped, and a missing file has none."""
    return (line for _, line in scan(path, sound) if line is not None)


def without(path: Path, numbers: Collection[int]) -> tuple[int, Iterator[bytes]]:
    """Return what is left of a file without some of its lines.

    Args:
        path: of the file.
        numbers: of the lines to leave out, as `scan` counts them; at least one.

    Returns:
        The number of bytes before the first line that is left out, and the lines after it that stay.
    """
    first = min(numbers)
    with path.open("rb") as file:
        head = sum(len(raw) for number, raw in enumerate(file) if number < first)

    def rest() -> Iterator[bytes]:
        with path.open("rb") as file:
            for number, raw in enumerate(file):
                if number > first and number not in numbers:
                    yield raw

    return head, rest()


def _object(raw: bytes) -> Line | None:
    if not raw.endswith(b"\n"):
        return None
    try:
        found = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
