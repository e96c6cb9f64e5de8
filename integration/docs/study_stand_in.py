"""Studies whose models are neither trained nor measured: their results are given. `make study-resume` has real ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fake_models import fake_results, score

from vtbench.executor import Job, JobResult
from vtbench_study.plan import Cell, Plan


def study_of_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the jobs of a study do nothing, and their models have results from then on."""
    from vtbench_study import measured_models, study

    done: set[str] = set()

    def run(self: object, jobs: Sequence[Job]) -> Iterator[JobResult]:
        for job in jobs:
            done.add(job.name)
            yield JobResult(job.name, 0.0, None)

    def results(directory: Path, cell: Cell, tests: Sequence[str] = ()) -> dict[str, Any] | None:
        if cell.name not in done:
            return None
        on_test = {"score": "acc", **score(0.5, chance=0.1), "ranking": None, "rs": 0.6}
        return fake_results(cell, plans[-1], 0.6) | {"tests": dict.fromkeys(tests, on_test)}

    plans: list[Plan] = []
    claim = study.claim_directory

    def claimed(plan: Plan, directory: Path, *, measured: bool) -> dict[str, Any]:
        plans.append(plan)
        return claim(plan, directory, measured=measured)

    monkeypatch.setattr(study.Local, "run", run)
    monkeypatch.setattr(study, "claim_directory", claimed)
    monkeypatch.setattr(measured_models, "read_model_results", results)
