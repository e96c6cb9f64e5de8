"""The rows of `vtbench ls runs`: what each run asked of which checkpoint, and the first score of each task."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vtbench.console.formatting import asked_as, number
from vtbench.console.listing import column_lines
from vtbench.console.terminal import single_line, visible
from vtbench.errors import ResultsError
from vtbench.runs.reader import read_results, runs


def run_rows(parent: Path, skipped: Callable[[Path, str], None]) -> list[dict[str, Any]]:
    """Return a row for each run in `parent`, newest first; those that cannot be read come last, as `broken`.

    Args:
        parent: directory of runs.
        skipped: called with the directory and the error of each run that cannot be read.
    """
    broken: list[Path] = []

    def left_out(path: Path, why: str) -> None:
        skipped(path, why)
        broken.append(path)

    rows = [_row(run) for run in runs(parent, left_out)]
    empty = dict.fromkeys(("begun", "model", "checkpoint", "asked", "limit", "samples"))
    return rows + [{"run": str(path), **empty, "state": "broken", "scores": None} for path in broken]


def run_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table that fits the terminal, or 80 columns; below each run its directory and its scores."""
    if not rows:
        return
    table = [{name: name for name in _COLUMNS}, *({name: row[name] for name in _COLUMNS} for row in rows)]
    width = shutil.get_terminal_size((80, 24)).columns - 1
    yield from column_lines(table[:1], table)
    for row, line in zip(rows, table[1:], strict=True):
        yield from column_lines([line], table)
        yield f"    {row['run']}"  # whole, to be copied
        scores = single_line(visible(row["scores"] or ""))
        yield from textwrap.wrap(scores, width, initial_indent="    ", subsequent_indent="    ")


_COLUMNS = ("begun", "state", "samples", "limit", "model", "asked", "checkpoint")


def _row(run: Mapping[str, Any]) -> dict[str, Any]:
    config, tasks = run["config"], run.get("keys", {}).get("tasks", {})
    asked = dict.fromkeys(asked_as(tasks.get(name, {}), config.get("system")) for name in run["tasks"])
    return {
        "run": run["path"],
        "begun": str(run.get("created", ""))[:16].replace("T", " "),
        "model": config["model"],
        "checkpoint": run.get("model", {}).get("checkpoint"),
        "asked": ", ".join(asked),
        "limit": config.get("limit"),
        "samples": sum(task["samples"] for task in run["tasks"].values()),
        "state": "done" if run.get("finished") else "unfinished",
        "scores": _first_scores(run) if run.get("finished") else None,
    }


def _first_scores(run: Mapping[str, Any]) -> str | None:
    """Return the first score of each task; None where results.json cannot be read."""
    try:
        found = read_results(Path(run["path"]))["scores"]
    except ResultsError:
        return None
    firsts = {task: next(iter(scores.items())) for task, scores in found.items() if scores}
    return ", ".join(
        f"{task} {name} {number(score['value'], score['percent'])}{' %' * bool(score['percent'])}"
        for task, (name, score) in firsts.items()
    )
