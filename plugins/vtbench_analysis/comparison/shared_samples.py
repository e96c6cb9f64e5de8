"""The samples that several runs share: same task, same id, same image hashes, and answered by every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtbench.types import Record
from vtbench_analysis.errors import AnalysisError
from vtbench_analysis.stored_run import StoredRun


@dataclass(frozen=True, slots=True)
class SharedSamples:
    """The shared samples of one task."""

    task: str
    records: tuple[tuple[Record, ...], ...]
    """For each run its records of the shared samples, in the same order."""
    n_samples: tuple[int, ...]
    """For each run its number of samples."""
    n_failed: tuple[int, ...]
    """For each run its number of samples without an answer."""
    n_other_images: int
    """Samples with the same id but different images; they are not shared."""

    def __len__(self) -> int:
        return len(self.records[0])


def shared_tasks(runs: Sequence[StoredRun]) -> list[SharedSamples]:
    """Return the shared samples of every task that all runs have; tasks without any are left out.

    Raises:
        AnalysisError: no task is common, a task's version differs, or no sample is shared.
    """
    common = [task for task in runs[0].tasks if all(task in run.tasks for run in runs)]
    if not common:
        each = "; ".join(f"{run.path} has {', '.join(run.tasks)}" for run in runs)
        raise AnalysisError(f"these runs have no task in common: {each}")
    for task in common:
        check_versions(task, runs)
    found = [match_samples(task, runs) for task in common]
    if not any(map(len, found)):
        raise AnalysisError("these runs share no sample: " + "; ".join(map(_why_none, found)))
    return [each for each in found if len(each)]


def check_versions(task: str, runs: Sequence[StoredRun]) -> None:
    """Check that all runs used the same version of a task.

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


def match_samples(task: str, runs: Sequence[StoredRun]) -> SharedSamples:
    """Match the records of one task by id and image hashes."""
    by_id = [{record.id: record for record in run.records(task)} for run in runs]
    named = [name for name in by_id[0] if all(name in records for records in by_id)]
    same = [name for name in named if len({records[name].image_sha256 for records in by_id}) == 1]
    answered = [name for name in same if all(records[name].error is None for records in by_id)]
    return SharedSamples(
        task,
        tuple(tuple(records[name] for name in answered) for records in by_id),
        tuple(len(records) for records in by_id),
        tuple(sum(record.error is not None for record in records.values()) for records in by_id),
        len(named) - len(same),
    )


def _why_none(none: SharedSamples) -> str:
    if none.n_other_images:
        why = "the same questions about other images; runs compare at one image size and one version of the data"
    elif any(none.n_failed):
        why = f"failed samples: {', '.join(map(str, none.n_failed))}"
    else:
        why = "other samples; choose the same split and seed"
    return f"{none.task} has {why}"
