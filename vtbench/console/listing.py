"""Listings on the terminal: rows in columns, or as a JSON list."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vtbench.console.json_document import say_json
from vtbench.console.terminal import say, single_line, visible

NARROWEST = 30
"""Columns of a wrapped text at least; with less room it stands below."""


def show_listing(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows as a JSON list, or in columns."""
    if as_json:
        say_json(rows)
        return
    for line in column_lines(rows):
        say(line)


def column_lines(
    rows: Sequence[Mapping[str, Any]], aligned_with: Sequence[Mapping[str, Any]] | None = None
) -> Iterator[str]:
    """Yield the lines of rows in columns; the last is wrapped at the terminal's width, or at 80 columns.

    Args:
        rows: of the same keys; None becomes a blank cell, and numbers stand at the right.
        aligned_with: the rows that decide the widths of the columns; `rows` themselves by default.
    """
    widths = [max(map(len, column)) for column in zip(*map(_texts, aligned_with or rows), strict=True)]
    room = shutil.get_terminal_size((80, 24)).columns - 1
    for row in rows:
        cells = _texts(row)
        aligned = (
            cell.rjust(width) if isinstance(value, int) else cell.ljust(width)
            for value, cell, width in zip(row.values(), cells[:-1], widths, strict=False)
        )
        before = "".join(f"{cell}  " for cell in aligned)
        width = room - len(before)
        if width >= min(NARROWEST, len(cells[-1])):
            first, *rest = textwrap.wrap(cells[-1], width, break_on_hyphens=False) or [""]
            indent = " " * len(before)
        else:
            first, rest, indent = "", textwrap.wrap(cells[-1], room - 4, break_on_hyphens=False), " " * 4
        yield (before + first).rstrip()
        yield from (indent + line for line in rest)


def _texts(row: Mapping[str, Any]) -> list[str]:
    return ["" if value is None else single_line(visible(str(value))) for value in row.values()]
