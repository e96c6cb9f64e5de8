"""Tables on the terminal: the scores of a run, and the style that all tables share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vtbench.console.formatting import (
    asked_as,
    interval_text,
    left_out_scores,
    number,
    p_text,
    signed,
    spending,
    unobserved_samples,
    unusable_answers,
)
from vtbench.console.terminal import open_console
from vtbench.scoring.breakdown import LESS_TWIN, stored_breakdowns

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from vtbench.runs.results import RunResult


def table_console(stderr: bool) -> Console:
    """Return a console for tables, of 80 columns if the output is not a terminal."""
    return open_console(stderr, width=80)


def score_table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    """Return an empty table in the style of all tables of vtbench.

    Args:
        title: above it; may be empty.
        names: columns at the left; where the table is too wide, the first of them is folded.
        numbers: columns at the right, which are never cut.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=title or None,
        title_justify="left",
        header_style="bold",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place, column in enumerate(names):
        table.add_column(column, no_wrap=place > 0, overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table under its title, which is one line however narrow the table is.

    In a terminal that is too narrow for its numbers it goes beyond the edge, and none is cut.
    """
    if table.title is not None:
        print_line(console, str(table.title), "table.title")
        table.title = None
    width = console.width
    console.width = max(width, table_width(console, table))
    console.print(table)
    console.width = width


def table_width(console: Console, table: Table) -> int:
    """Return the fewest columns in which no number of a table is cut; of its first column, names may be folded."""
    from rich.cells import cell_len
    from rich.measure import Measurement

    names = max((cell_len(str(cell)) for cell in table.columns[0].cells), default=0)
    whole = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    return whole - max(0, names - SHORTEST)


SHORTEST = 12
"""Columns that a folded name has at least."""


def print_line(console: Console, text: str, style: str | None = None) -> None:
    """Print one line verbatim, without wrapping."""
    console.print(text, style=style, highlight=False, soft_wrap=True)


def show_scores(result: RunResult, stderr: bool, meanings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print a table of scores for each task, what their flags mean, and the run's path.

    Args:
        result: of the run.
        stderr: print on standard error.
        meanings: sentences by flag, as `Registry.flags` returns them.
    """
    console = table_console(stderr)
    for task, reasons in result.document["left_out"].items():
        asked = asked_as(result.document["configs"][task], result.config.system)
        title = f"{result.config.model} · {task} · {asked}"
        table = score_table(title, ["score"], ["value", "95 %", "chance", "majority", "n"])
        # a score of which the task has no sample says nothing
        rows = [row for row in result.rows() if row["task"] == task and (row["n"] or row["value"] is not None)]
        for row in rows:
            table.add_row(row["score"], *_score_cells(row))
        print_table(console, table)
        for part in _breakdown_tables(result.document["scores"][task]):
            print_table(console, part)
        for property_name, words in stored_breakdowns(result.document["scores"][task]).items():
            if len(words) > MOST_WORDS:
                print_line(console, f"by {property_name}: {len(words)} values; report.html has their table")
        show_flags(console, carriers_of((row["score"], row["flags"].split()) for row in rows), meanings)
        for name, reason in {**reasons, **left_out_scores(result.document["scores"][task])}.items():
            print_line(console, f"left out {name}: {reason}")
        for metric, part in result.document.get("unobserved", {}).get(task, {}).items():
            print_line(console, f"{metric} {unobserved_samples(part)}", style="yellow")
    for task, shares in result.document.get("answers", {}).items():
        limit = result.document["configs"][task].get("max_new_tokens")
        print_line(console, f"{task}: {unusable_answers(shares, limit)}", style="yellow")
    for task, spent in result.document.get("spent", {}).items():
        print_line(console, f"{task}: {spending(spent)}")
    for task, failed in result.document["failed"].items():
        if failed:
            again = result.document.get("transient", {}).get(task)
            cure = f"; {again} of them may be answered later: --resume asks them again" if again else ""
            print_line(console, f"{task}: {failed} samples failed; samples.jsonl has the errors{cure}", style="red")
    print_line(console, f"written  {result.path}")


def _score_cells(row: Mapping[str, Any]) -> list[str]:
    """Return value, interval, chance, majority and number of samples; the value of a flagged score ends in `*`."""
    percent = row["percent"]
    value = number(row["value"], percent) + " %" * (percent and row["value"] is not None)
    interval = interval_text(None if row["low"] is None else (row["low"], row["high"]), percent)
    baselines = ["" if row[key] is None else number(row[key], percent) for key in ("chance", "majority")]
    return [value + ("*" if row["flags"] else " "), interval, *baselines, f"{row['n']:,}"]


def show_flags(console: Console, carriers: Mapping[str, Iterable[str]], meanings: Mapping[str, str]) -> None:
    """Print each flag once, with the scores that carry it and what it means.

    Args:
        console: to print on.
        carriers: names of scores by flag.
        meanings: sentences by flag, as `Registry.flags` returns them.
    """
    from rich.table import Table

    if not carriers:
        return
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for flag, scores in carriers.items():
        table.add_row(f"* {flag}", f"{', '.join(scores)}: {meanings.get(flag, 'see the details of the scores')}")
    console.print(table)
    console.print()


def carriers_of(scores: Iterable[tuple[str, Iterable[str]]]) -> dict[str, list[str]]:
    """Return names of scores by the flags that they carry.

    >>> carriers_of([("rs", ["reduced"]), ("discarded", ["reduced", "subset"]), ("rs", ["reduced"])])
    {'reduced': ['rs', 'discarded'], 'subset': ['discarded']}
    """
    carriers: dict[str, list[str]] = {}
    for score, flags in scores:
        for flag in flags:
            if score not in carriers.setdefault(flag, []):
                carriers[flag].append(score)
    return carriers


MOST_WORDS = 30
"""A breakdown of more is in the report alone."""


def _breakdown_tables(scores: Mapping[str, Mapping[str, Any]]) -> Iterable[Table]:
    """Return tables of the first score by the kind of question, and by what else the samples vary in."""
    for property_name, words in stored_breakdowns(scores).items():
        if len(words) > MOST_WORDS:
            continue
        first = next(iter(next(iter(words.values()))))
        found = {word: cells[first] for word, cells in words.items() if first in cells}
        tested = ["p"] if any(LESS_TWIN in cell for cell in found.values()) else []
        table = score_table("", [property_name], [first, "95 %", "chance", "n", *tested])
        for word, cell in found.items():
            percent = cell["percent"]
            chance = "" if cell["chance"] is None else number(cell["chance"], percent)
            interval = interval_text(cell["interval"], percent)
            table.add_row(word, number(cell["value"], percent) + " %" * percent, interval, chance, str(cell["n"]))
            if paired := cell.get(LESS_TWIN):
                change, ends = signed(paired["value"], percent), interval_text(paired["interval"], percent)
                name = f"difference to {paired['twin']}"
                table.add_row(name, change, ends, "", str(paired["n"]), p_text(paired["p"]))
        yield table


def show_plugin_tables(
    tables: Mapping[str, Callable[[Path, Mapping[str, Any]], Iterable[RenderableType]]],
    result: RunResult,
    stderr: bool,
) -> None:
    """Print the plugins' tables below the table of scores; a table that fails becomes one line with its error."""
    from rich.table import Table

    console = table_console(stderr)
    for name, table in tables.items():
        try:
            found = list(table(result.path, result.document))
        except Exception as error:  # an error of a third party's table must not cost the result
            found = [f"{name}: {' '.join(f'{type(error).__name__}: {error}'.split())}"]
        for part in found:
            if isinstance(part, str):
                print_line(console, part)
            elif isinstance(part, Table):
                print_table(console, part)
            else:
                console.print(part)
