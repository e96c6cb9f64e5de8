"""Finds the finished runs in a folder, and opens what a leaderboard needs of each.

In: a folder, whose runs may lie at any depth. Out: an entry for each task of each finished run, and the runs that are
left out, each with the reason in one line.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vtbench.console.formatting import asked_as
from vtbench.errors import ResultsError
from vtbench.runs.reader import read_results, read_run
from vtbench.scoring import SCORING_VERSION
from vtbench_board.stored_answers import StoredAnswers, read_stored_answers


@dataclass(frozen=True)
class Entry:
    """One finished run's results on one task: a row of a leaderboard."""

    run: Mapping[str, Any]
    """run.json, with `path`."""
    results: Mapping[str, Any]
    """results.json."""
    answers: StoredAnswers

    @property
    def path(self) -> Path:
        """The run's directory."""
        return Path(self.run["path"])

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.answers.task

    @cached_property
    def scores(self) -> Mapping[str, Mapping[str, Any]]:
        """The task's scores as results.json has them."""
        found: Mapping[str, Mapping[str, Any]] = self.results["scores"][self.task]
        return found

    @property
    def config(self) -> Mapping[str, Any]:
        """The task's settings."""
        found: Mapping[str, Any] = self.results.get("configs", {}).get(self.task, {})
        return found

    @property
    def asked(self) -> str:
        """How the task's questions were put."""
        return asked_as(self.config, self.run["config"].get("system"))

    @property
    def scoring(self) -> int | None:
        """Version of the scoring; None in runs from before it had one."""
        return self.run["versions"].get("scoring")


@dataclass
class FoundRuns:
    """The runs of a folder."""

    folder: Path
    entries: list[Entry] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)
    """By directory, why its run is in no leaderboard, and what to do."""

    def tasks(self) -> dict[str, list[Entry]]:
        """Return the entries by task."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.task, []).append(entry)
        return dict(sorted(found.items()))


def find_runs(folder: Path) -> FoundRuns:
    """Open every finished run in `folder`, or in folders within it. Only a run in `folder` itself is not sought."""
    found = FoundRuns(folder)
    for path in _directories(folder):
        try:
            found.entries += _entries(path)
        except ResultsError as error:
            found.left_out[path] = str(error).removeprefix(f"{path}: ").removeprefix(f"{path}/")
    return found


def _directories(folder: Path) -> Iterator[Path]:
    """Yield the directories of runs by path; a run has none within it."""
    try:
        within = sorted(entry.path for entry in os.scandir(folder) if not entry.name.startswith(".") and entry.is_dir())
    except OSError:
        return  # a folder that may not be read has no runs to read either
    for name in within:
        path = Path(name)
        if (path / "run.json").exists():
            yield path
        elif not path.is_symlink():  # a link may lead back up
            yield from _directories(path)


def _entries(path: Path) -> list[Entry]:
    """Open a run.

    Raises:
        ResultsError: it is unfinished, has no scores, is broken, or its scores do not follow from its samples.
    """
    run = read_run(path)
    again = f"the run's command with --resume {path}"
    if not run.get("finished"):
        raise ResultsError(f"{path}: not finished; {again} goes on")
    results = read_results(path)
    if results.get("predict_only"):
        raise ResultsError(f"{path}: answers without scores; `vtbench rescore {path}` scores them")
    if unknown := results["scores"].keys() - run["tasks"].keys():
        raise ResultsError(f"{path}: broken: results.json has the task {min(unknown)!r}, and run.json has not")
    samples = {task: run["tasks"][task]["samples"] for task in results["scores"]}
    answers = read_stored_answers(path, samples)
    for task, of_task in answers.items():
        if of_task.missing:
            raise ResultsError(f"{path}: samples of {task} are missing ({of_task.missing}); {again} asks them again")
    entries = [Entry(run, results, answers[task]) for task in samples]
    for entry in entries:
        if (name := _stray_score(entry)) is not None:
            raise ResultsError(
                f"{path}: results.json has another {name} of {entry.task} than its samples give; "
                f"`vtbench rescore {path} --in-place` writes it again"
            )
    return entries


def _stray_score(entry: Entry) -> str | None:
    """Return the name of a score that does not follow from the samples; of another scoring version none needs to."""
    if entry.scoring != SCORING_VERSION:
        return None
    for name, score in entry.scores.items():
        terms = entry.answers.terms.get(score["metric"], {}).get(name.removeprefix(f"{score['metric']}."))
        if terms is None or not terms.denominators.sum():
            continue
        if score["value"] is None or not math.isclose(score["value"], terms.value, abs_tol=1e-9):
            return name
    return None
