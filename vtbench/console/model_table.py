"""One table of the scores of several models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vtbench.console.formatting import asked_as, interval_text, number
from vtbench.console.tables import (
    carriers_of,
    print_line,
    print_table,
    score_table,
    show_flags,
    table_console,
    table_width,
)

if TYPE_CHECKING:
    from rich.table import Table

    from vtbench.engine.multi_model import MultiModelResult
    from vtbench.runs.results import RunResult


Key = tuple[str, str]
"""Task and score."""


def model_rows(found: MultiModelResult) -> dict[Key, dict[str, dict[str, Any]]]:
    """Return the rows of each score by model, for every score that any model has, ordered as in the first model."""
    scores: dict[Key, dict[str, dict[str, Any]]] = {}
    for row in found.rows():
        if row["n"] or row["value"] is not None:  # a score of which the task has no sample says nothing
            scores.setdefault((row["task"], row["score"]), {})[row["model"]] = row
    # keep the scores of a task together, also those that only some models have
    tasks = list(dict.fromkeys(task for task, _ in scores))
    return {key: scores[key] for key in sorted(scores, key=lambda key: tasks.index(key[0]))}


def _cell(row: Mapping[str, Any] | None, between: str) -> str:
    """Return value and 95 % interval; nothing if the model lacks the score. A flagged score ends in an asterisk."""
    if row is None:
        return ""
    value = number(row["value"], row["percent"]) + " %" * (row["percent"] and row["value"] is not None)
    interval = interval_text(None if row["low"] is None else (row["low"], row["high"]), row["percent"])
    return between.join(filter(None, (value, interval))) + "*" * bool(row["flags"])


def _chance(rows: Iterable[Mapping[str, Any]]) -> str:
    return next((number(row["chance"], row["percent"]) for row in rows if row["chance"] is not None), "")


def _asked(result: RunResult) -> str:
    """Say how a model's questions were put; a task without a text of its format is asked in another."""
    return ", ".join(
        dict.fromkeys(asked_as(task, result.config.system) for task in result.document["configs"].values())
    )


def _table(found: MultiModelResult, between: str) -> Table:
    """Return the table; in its cells `between` stands between value and interval."""
    table = score_table("", ["task", "score"], ["chance", *found.results])
    table.add_row("", "asked", "", *map(_asked, found.results.values()))
    table.add_section()
    before = None
    for (task, score), rows in model_rows(found).items():
        if before not in (None, task):
            table.add_section()
        cells = (_cell(rows.get(model), between) for model in found.results)
        table.add_row(task if task != before else "", score, _chance(rows.values()), *cells)
        before = task
    return table


def show_models(found: MultiModelResult, stderr: bool, meanings: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print the table, what its flags mean, the runs' paths, the models that failed, and the command that compares.

    Args:
        found: results of the models.
        stderr: print on standard error.
        meanings: sentences by flag, as `Registry.flags` returns them.
    """
    console = table_console(stderr)
    if found.results:
        table = _table(found, " ")
        print_table(console, table if table_width(console, table) <= console.width else _table(found, "\n"))
    show_flags(console, carriers_of((row["score"], row["flags"].split()) for row in found.rows()), meanings)
    for model, result in found.results.items():
        print_line(console, f"written  {result.path}")
        for task, failed in result.document["failed"].items():
            if failed:
                text = f"{model} · {task}: {failed} samples failed; samples.jsonl has the errors"
                print_line(console, text, style="red")
    for model, why in found.failed.items():
        print_line(console, f"{model} failed: {why}", style="red")
    if len(found.results) > 1:
        paths = " ".join(str(result.path) for result in found.results.values())
        print_line(console, f"compare  vtbench compare {paths}")
