"""Which samples runs share: runs in, for each task the records of the same questions about the same pictures out.

Samples are shared when task, id and the hashes of the pictures agree and every run has answered them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtbench.types import Record
from vtbench_analysis.errors import AnalysisError
from vtbench_analysis.opening import StoredRun


@dataclass(frozen=True, slots=True)
class Shared:
    """The shared samples of one task."""

    task: str
    records: tuple[tuple[Record, ...], ...]
    """For each run, its records of the shared samples, in the same order."""
    of: tuple[int, ...]
    """How many samples each run has."""
    failed: tuple[int, ...]
    """How many of them have no answer."""
    other_pictures: int
    """Samples of one name that show different pictures."""

    def __len__(self) -> int:
        return len(self.records[0])


def shared_tasks(runs: Sequence[StoredRun]) -> list[Shared]:
    """Return the shared samples of every task that all runs have, those without any left out.

    Raises:
        AnalysisError: no task is common, a task's version differs, or not one sample is shared.
    """
    common = [task for task in runs[0].tasks if all(task in run.tasks for run in runs)]
    if not common:
        each = "; ".join(f"{run.path} has {', '.join(run.tasks)}" for run in runs)
        raise AnalysisError(f"these runs have no task in common: {each}")
    for task in common:
        check_versions(task, runs)
    found = [shared(task, runs) for task in common]
    if not any(map(len, found)):
        raise AnalysisError("these runs share no sample: " + "; ".join(map(_why_none, found)))
    return [each for each in found if len(each)]


def check_versions(task: str, runs: Sequence[StoredRun]) -> None:
    """Refuse a task that is not the same everywhere.

    Raises:
        AnalysisError: the benchmark or the task has another version in another run.
    """
    for what, key in (("benchmark", "benchmark"), ("task", "version")):
        versions = [run.facts["keys"]["tasks"][task].get(key) for run in runs]
        for run, version in zip(runs, versions, strict=True):
            if version != versions[0]:
                raise AnalysisError(
                    f"{run.path}: {task} is of {what} version {version}, and of {versions[0]} in {runs[0].path}: their "
                    "scores do not compare; run the older one again"
                )


def shared(task: str, runs: Sequence[StoredRun]) -> Shared:
    """Match the records of one task by id and pictures."""
    every = [{record.id: record for record in run.records(task)} for run in runs]
    named = [name for name in every[0] if all(name in records for records in every)]
    same = [name for name in named if len({records[name].image_sha256 for records in every}) == 1]
    answered = [name for name in same if all(records[name].error is None for records in every)]
    return Shared(
        task,
        tuple(tuple(records[name] for name in answered) for records in every),
        tuple(len(records) for records in every),
        tuple(sum(record.error is not None for record in records.values()) for records in every),
        len(named) - len(same),
    )


def _why_none(none: Shared) -> str:
    if none.other_pictures:
        why = "the same questions about other pictures; runs compare at one picture size and one version of the data"
    elif any(none.failed):
        why = f"failed samples: {', '.join(map(str, none.failed))}"
    else:
        why = "other samples; choose the same split and seed"
    return f"{none.task} has {why}"
