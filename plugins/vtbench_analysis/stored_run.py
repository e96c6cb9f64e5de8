"""A finished run, opened for analysis: run.json, results.json and the records of each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from vtbench.console.formatting import asked_as
from vtbench.runs.reader import StoredTask, read_results, read_run, read_task
from vtbench.types import Record
from vtbench_analysis.errors import AnalysisError


@dataclass(frozen=True)
class StoredRun:
    """A finished run."""

    path: Path
    facts: Mapping[str, Any]
    """Contents of run.json."""
    _read: dict[str, StoredTask] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def results(self) -> Mapping[str, Any]:
        """Contents of results.json.

        Raises:
            ResultsError: the file is missing or broken.
        """
        return read_results(self.path)

    @property
    def tasks(self) -> list[str]:
        """Names of the run's tasks."""
        return list(self.facts["tasks"])

    def records(self, task: str) -> list[Record]:
        """Return the task's whole records sorted by index, failed ones included."""
        return list(self._stored(task).records)

    def samples(self, task: str) -> int:
        """Return the number of the task's samples, those without whole records included."""
        number: int = self.facts["tasks"][task]["samples"]
        return number

    def remarks(self, task: str) -> list[str]:
        """Say in one line each which samples are missing from the run's files, or there twice."""
        return self._stored(task).remarks(self.samples(task))

    def _stored(self, task: str) -> StoredTask:
        if task not in self._read:
            self._read[task] = read_task(self.path, task)
        return self._read[task]

    def scores(self, task: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the task's scores as results.json stores them."""
        found: Mapping[str, Mapping[str, Any]] | None = self.results["scores"].get(task)
        if found is None:
            raise AnalysisError(f"{self.path / 'results.json'}: no scores of {task}; --resume makes it again")
        return found

    def asked(self, task: str) -> str:
        """Say how the task's questions were put."""
        return asked_as(self.results.get("configs", {}).get(task, {}), self.facts["config"].get("system"))

    def summary(self) -> dict[str, Any]:
        """Return what identifies the run: id, path, model, arguments, checkpoint, dtype and config digest."""
        model, config = self.facts["model"], self.facts["config"]
        return {
            "run": self.facts["run_id"],
            "path": str(self.path),
            "model": config["model"],
            "model_args": config["model_args"],
            "checkpoint": model.get("checkpoint"),
            "dtype": model.get("dtype"),
            "digest": self.facts["digest"],
        }


def open_run(path: Path) -> StoredRun:
    """Open the run at `path`.

    Raises:
        ResultsError: there is no run.
        AnalysisError: the run is not finished.
    """
    facts = read_run(path)
    if not facts.get("finished"):
        command = f"vtbench run ... --resume {path}"
        raise AnalysisError(f"{path}: this run is not finished; resume it with `{command}`, or choose another one")
    if facts["config"].get("predict_only"):
        raise AnalysisError(f"{path}: this run has answers without scores; `vtbench rescore {path}` scores them")
    return StoredRun(path, facts)
