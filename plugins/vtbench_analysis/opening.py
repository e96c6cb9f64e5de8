"""Opening finished runs: a path in, run.json, results.json and records out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from vtbench.runs.reader import read_records, read_run
from vtbench.types import Record
from vtbench_analysis.errors import AnalysisError


@dataclass(frozen=True)
class StoredRun:
    """A finished run."""

    path: Path
    facts: Mapping[str, Any]
    """run.json."""

    @cached_property
    def results(self) -> Mapping[str, Any]:
        """results.json.

        Raises:
            AnalysisError: it is not there, or broken.
        """
        file = self.path / "results.json"
        try:
            found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise AnalysisError(f"{file}: cannot be read: {error.strerror}; --resume makes it again") from error
        except ValueError as error:
            raise AnalysisError(f"{file}: broken: {error}; --resume makes it again") from error
        return found

    @property
    def tasks(self) -> list[str]:
        """Names of its tasks."""
        return list(self.facts["tasks"])

    def records(self, task: str) -> list[Record]:
        """Return the task's records by index, failed ones too."""
        return sorted(read_records(self.path, task), key=lambda record: record.index)

    def scores(self, task: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the scores of the task as results.json holds them."""
        found: Mapping[str, Mapping[str, Any]] = self.results["scores"][task]
        return found

    def about(self) -> dict[str, Any]:
        """Say which run it is."""
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
        AnalysisError: it is not finished.
    """
    facts = read_run(path)
    if not facts.get("finished"):
        command = f"vtbench run ... --resume {path}"
        raise AnalysisError(f"{path}: this run is not finished; go on with `{command}`, or choose another one")
    return StoredRun(path, facts)
