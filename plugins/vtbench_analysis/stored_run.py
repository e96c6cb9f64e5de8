"""A finished run, opened for analysis: run.json, results.json and the records of each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vtbench.runs.json_file import read_object
from vtbench.runs.reader import read_records, read_run
from vtbench.types import Record
from vtbench_analysis.errors import AnalysisError


@dataclass(frozen=True)
class StoredRun:
    """A finished run."""

    path: Path
    facts: Mapping[str, Any]
    """Contents of run.json."""

    @cached_property
    def results(self) -> Mapping[str, Any]:
        """Contents of results.json.

        Raises:
            AnalysisError: the file is missing or broken.
        """
        return read_object(self.path / "results.json", AnalysisError, "--resume makes it again")

    @property
    def tasks(self) -> list[str]:
        """Names of the run's tasks."""
        return list(self.facts["tasks"])

    def records(self, task: str) -> list[Record]:
        """Return the task's records sorted by index, failed ones included."""
        return sorted(read_records(self.path, task), key=lambda record: record.index)

    def scores(self, task: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the task's scores as results.json stores them."""
        found: Mapping[str, Mapping[str, Any]] = self.results["scores"][task]
        return found

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
    return StoredRun(path, facts)
