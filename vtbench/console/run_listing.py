"""The rows of `vtbench ls runs`: what each run asked of which checkpoint, and the first score of each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vtbench.console.formatting import asked_as, number
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
