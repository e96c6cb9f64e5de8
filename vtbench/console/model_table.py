"""One table of the scores of several models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vtbench.console.formatting import asked_as, interval_text, number
from vtbench.console.tables import print_line, score_table, table_console

if TYPE_CHECKING:
    from vtbench.engine.multi_model import MultiModelResult
    from vtbench.runs.results import RunResult


def model_rows(found: MultiModelResult) -> list[tuple[str, str, list[str]]]:
    """Return (task, score, one cell per model) for every score that any model has, ordered as in the first model.

    A cell holds the value and its 95 % interval, `-` for a score without a value, and nothing if the model lacks the
    score. A flagged score ends in an asterisk.
    """
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in found.rows():
        cells.setdefault((row["task"], row["score"]), {})[row["model"]] = _cell(row)
    # keep the scores of a task together, also those that only some models have
    order = sorted(cells, key=lambda key: [task for task, _ in cells].index(key[0]))
    return [(task, score, [cells[task, score].get(m, "") for m in found.results]) for task, score in order]


def _cell(row: dict[str, Any]) -> str:
    text = number(row["value"], row["percent"])
    if row["low"] is not None:
        text += f" {interval_text((row['low'], row['high']), row['percent'])}"
    return text + "*" * bool(row["flags"])


def _asked(result: RunResult) -> str:
    """Say how a model's questions were put; a task without a text of its format is asked in another."""
    return ", ".join(
        dict.fromkeys(asked_as(task, result.config.system) for task in result.document["configs"].values())
    )


def show_models(found: MultiModelResult, stderr: bool) -> None:
    """Print the table, the runs' paths, the models that failed, and the command that compares the runs."""
    console = table_console(stderr, width=160)
    table = score_table()
    for column in ("task", "score"):
        table.add_column(column, no_wrap=True)
    for model in found.results:
        table.add_column(model, justify="right")
    if found.results:
        table.add_row("", "asked", *map(_asked, found.results.values()))
        table.add_section()
    before = None
    for task, score, cells in model_rows(found):
        if before not in (None, task):
            table.add_section()
        table.add_row(task if task != before else "", score, *cells)
        before = task
    if found.results:
        console.print(table)
    if flags := sorted({flag for row in found.rows() for flag in row["flags"].split()}):
        print_line(console, f"*  flagged ({', '.join(flags)}): each run's results.json has the flags")
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
