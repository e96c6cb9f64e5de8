"""Tables on the terminal: the scores of a run, and listings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
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
from vtbench.console.terminal import open_console, say, single_line, visible
from vtbench.scoring.breakdown import LESS_TWIN, stored_breakdowns

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from vtbench.runs.results import RunResult


def table_console(stderr: bool, width: int = 120) -> Console:
    """Return a console; its width is `width` columns if the output is not a terminal."""
    return open_console(stderr, width)


def score_table(title: str = "") -> Table:
    """Return an empty table in the style of all tables of vtbench."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=title or None, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)


def print_line(console: Console, text: str, style: str | None = None) -> None:
    """Print one line verbatim, without wrapping."""
    console.print(text, style=style, highlight=False, soft_wrap=True)


def show_listing(rows: list[dict[str, Any]], as_json: bool, header: bool = False) -> None:
    """Print rows as a JSON list, or in columns, below their names if `header`; None becomes a blank cell."""
    if as_json:
        say(json.dumps(rows, allow_nan=False))
        return
    if header and rows:
        rows = [{name: name for name in rows[0]}, *rows]
    texts = [["" if value is None else single_line(visible(str(value))) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for cells in texts:
        say("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


def show_scores(result: RunResult, stderr: bool, meanings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print a table of scores for each task, what their flags mean, and the run's path.

    Args:
        result: of the run.
        stderr: print on standard error.
        meanings: sentences by flag, as `Registry.flags` returns them.
    """
    console = table_console(stderr, width=80)
    for task, reasons in result.document["left_out"].items():
        asked = asked_as(result.document["configs"][task], result.config.system)
        table = score_table(f"{result.config.model} · {task} · {asked}")
        for column in ("score", "value", "95 %", "chance", "majority", "n"):
            table.add_column(column, justify="left" if column == "score" else "right", no_wrap=True)
        # a score of which the task has no sample says nothing
        rows = [row for row in result.rows() if row["task"] == task and (row["n"] or row["value"] is not None)]
        for row in rows:
            table.add_row(row["score"], *_score_cells(row))
        console.print(table)
        for part in _breakdown_tables(result.document["scores"][task]):
            console.print(part)
        for property_name, words in stored_breakdowns(result.document["scores"][task]).items():
            if len(words) > MOST_WORDS and property_name != "kind":
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
    """Return tables of the first score by what the samples vary in, beside the kind of question."""
    for property_name, words in stored_breakdowns(scores).items():
        if property_name == "kind" or len(words) > MOST_WORDS:
            continue
        first = next(iter(next(iter(words.values()))))
        found = {word: cells[first] for word, cells in words.items() if first in cells}
        table = score_table()
        tested = ("p",) if any(LESS_TWIN in cell for cell in found.values()) else ()
        for column in (property_name, first, "95 %", "chance", "n", *tested):
            table.add_column(column, justify="left" if column == property_name else "right", no_wrap=True)
        for word, cell in found.items():
            percent = cell["percent"]
            chance = "" if cell["chance"] is None else number(cell["chance"], percent)
            table.add_row(
                word, number(cell["value"], percent), interval_text(cell["interval"], percent), chance, str(cell["n"])
            )
            if paired := cell.get(LESS_TWIN):
                change, ends = signed(paired["value"], percent), interval_text(paired["interval"], percent)
                name = f"{word} less {paired['twin']}"
                table.add_row(name, change, ends, "", str(paired["n"]), p_text(paired["p"]))
        yield table


def show_plugin_tables(
    tables: Mapping[str, Callable[[Path, Mapping[str, Any]], Iterable[RenderableType]]],
    result: RunResult,
    stderr: bool,
) -> None:
    """Print the plugins' tables below the table of scores; a table that fails becomes one line with its error."""
    for name, table in tables.items():
        try:
            found = list(table(result.path, result.document))
        except Exception as error:  # an error of a third party's table must not cost the result
            found = [f"{name}: {' '.join(f'{type(error).__name__}: {error}'.split())}"]
        for part in found:
            console = table_console(stderr)
            if isinstance(part, str):
                print_line(console, part)
            else:
                console.print(part)
