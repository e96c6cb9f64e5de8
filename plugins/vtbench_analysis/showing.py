"""A comparison as rich tables on standard output."""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING

from vtbench.console.formatting import number

if TYPE_CHECKING:
    from vtbench_analysis.comparing import Comparison, Table
    from vtbench_analysis.paired import Difference


def p_text(p: float | None) -> str:
    """Write a p-value.

    >>> p_text(0.04213), p_text(1e-9), p_text(None)
    ('0.042', '<0.001', '')
    """
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def interval_text(interval: tuple[float, float] | None, percent: bool) -> str:
    """Write an interval as tables show it."""
    return " to ".join(number(end, percent) for end in interval) if interval else ""


def signed(value: float | None, percent: bool) -> str:
    """Write a difference with its sign.

    >>> signed(0.021, percent=True), signed(-0.1, percent=False), signed(None, percent=True)
    ('+2.1', '-0.100', '-')
    """
    return "-" if value is None else ("+" if value >= 0 else "") + number(value, percent)


def remarks(apart: Difference, flags: tuple[str, ...]) -> str:
    """Name the test, and what must be known of the numbers."""
    return " ".join(dict.fromkeys((*([apart.method] if apart.method else ()), *apart.flags, *flags)))


def sharing_text(table: Table) -> str:
    """Say how many samples are shared, of how many."""
    shared = table.shared
    parts = [f"{len(shared):,} shared samples of {', '.join(f'{n:,}' for n in shared.of)}"]
    if any(shared.failed):
        parts.append(f"failed: {', '.join(f'{n:,}' for n in shared.failed)}")
    if shared.other_pictures:
        parts.append(f"with other pictures, left out: {shared.other_pictures:,}")
    return "; ".join(parts)


def show(comparison: Comparison) -> None:
    """Print which run has which letter, and a table for each task."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as Rows

    console = Console()
    if not console.is_terminal:
        console.width = 120
    for letter, run in zip(ascii_uppercase, comparison.runs, strict=False):
        console.print(f"{letter}  {run.path}", highlight=False, markup=False, soft_wrap=True)
    for task, table in comparison.tables.items():
        rows = Rows(title=escape(task), title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        left = ("score", "run", "test, flags")
        for column in ("score", "run", "value", "95 %", "less A", "95 %", "p", "p Holm", "test, flags"):
            rows.add_column(column, justify="left" if column in left else "right", no_wrap=column not in left[2:])
        for line, adjusted in zip(table.lines, table.adjusted, strict=True):
            first, percent = line.values[0], line.percent
            value = [number(first.value, percent), interval_text(first.interval, percent)]
            rows.add_row(escape(line.score), "A", *value, "", "", "", "", " ".join(first.flags))
            others = zip(ascii_uppercase[1:], line.values[1:], line.differences, adjusted, strict=False)
            for letter, found, apart, p_holm in others:
                value = [number(found.value, percent), interval_text(found.interval, percent)]
                less = [signed(apart.value, percent), interval_text(apart.interval, percent)]
                rows.add_row("", letter, *value, *less, p_text(apart.p), p_text(p_holm), remarks(apart, found.flags))
        console.print(rows)
        console.print(sharing_text(table), highlight=False, markup=False, soft_wrap=True)
        for name, reason in table.not_compared.items():
            console.print(f"not compared {name}: {reason}", highlight=False, markup=False, soft_wrap=True)
