"""The samples that several runs share: same task, id, question, right answers and images, and answered by every run.

The image of a sample is what the task shows: its scene, whatever the size at which a model has it drawn, or the
photograph. A control that shows a model something else still answers about that sample.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

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
    n_other_questions: int = 0
    """Samples with the same id and images but another question, target, reference or choice; they are not shared."""
    n_other_sizes: int = 0
    """Shared samples whose scene was drawn at another size, or by another renderer, in some run."""

    def __len__(self) -> int:
        return len(self.records[0])

    def observed(self, metric: str) -> SharedSamples:
        """Return those of the samples that a metric could observe in every run."""
        rows = [each for each in zip(*self.records, strict=True) if all(metric in record.scores for record in each)]
        if len(rows) == len(self):
            return self
        return replace(self, records=tuple(tuple(each[i] for each in rows) for i in range(len(self.records))))


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
        remarks = [text for task in common for run in runs for text in run.remarks(task)]
        raise AnalysisError("these runs share no sample: " + "; ".join([*remarks, *map(_why_none, found)]))
    return [each for each in found if len(each)]


def check_versions(task: str, runs: Sequence[StoredRun]) -> None:
    """Check that all runs used the same version of a task.

    Raises:
        AnalysisError: the benchmark or the task has another version in another run.
    """
    for what, key in (("benchmark", "benchmark"), ("task", "version")):
        versions = [run.facts["keys"].get("tasks", {}).get(task, {}).get(key) for run in runs]
        for run, version in zip(runs, versions, strict=True):
            if version != versions[0]:
                raise AnalysisError(
                    f"{run.path}: {task} is of {what} version {version}, and of {versions[0]} in {runs[0].path}: their "
                    "scores do not compare; run the older one again"
                )


def match_samples(task: str, runs: Sequence[StoredRun]) -> SharedSamples:
    """Match the answered records of one task by id, question, right answers, and scene or image hashes.

    Ids that a run has several times (of older versions) pair the samples that agree in all of these, in their order.
    """
    answered = [[record for record in run.records(task) if record.error is None] for run in runs]
    images = [_numbered(records, _images) for records in answered]
    by_id = [_numbered(records, lambda record: record.id) for records in answered]
    by_all = [_numbered(records, _contents) for records in answered]
    named, pictured, shared = (_in_all(found) for found in (by_id, images, by_all))
    rows = [[records[key] for records in by_all] for key in shared]
    return SharedSamples(
        task,
        tuple(tuple(records[key] for key in shared) for records in by_all),
        tuple(run.samples(task) for run in runs),
        tuple(sum(record.error is not None for record in run.records(task)) for run in runs),
        len(named) - len(pictured),
        len(pictured) - len(shared),
        sum(len({record.image_sha256 for record in row}) > 1 for row in rows),
    )


def _images(record: Record) -> Hashable:
    # a scene is drawn at the size that a model takes, and a photograph has its own
    return record.id, record.scene_hash or record.image_sha256


def _contents(record: Record) -> Hashable:
    question = record.question or record.prompt  # prompt formats put one question in different words
    return _images(record), question, record.target, record.references, record.choices


def _numbered(records: Sequence[Record], key: Callable[[Record], Hashable]) -> dict[tuple[Hashable, int], Record]:
    """Return records by key; the second of one key is numbered 1, and so on."""
    seen: Counter[Hashable] = Counter()
    found = {}
    for record in records:
        name = key(record)
        found[name, seen[name]] = record
        seen[name] += 1
    return found


def _in_all(each: Sequence[dict[tuple[Hashable, int], Record]]) -> list[tuple[Hashable, int]]:
    """Return the keys that all have, in the order of the first."""
    return [key for key in each[0] if all(key in found for found in each)]


def _why_none(none: SharedSamples) -> str:
    if none.n_other_images:
        why = "the same questions about other images; run both on one version of the data"
    elif none.n_other_questions:
        why = "the same ids with other questions or right answers; run both on one version of the data"
    elif any(none.n_failed):
        why = f"failed samples: {', '.join(map(str, none.n_failed))}"
    else:
        why = "other samples; choose the same split and seed"
    return f"{none.task} has {why}"
