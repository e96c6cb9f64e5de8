"""What a leaderboard needs of a run's samples: which they were, and the terms of its scores for paired tests.

In: samples.jsonl of a run. Out: for each task two fingerprints of its samples, and for each score that is a ratio of
sums the numerators and denominators of its units. The records themselves are dropped: those of hundreds of runs would
fill the memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vtbench.runs.reader import index_ranges, read_answers
from vtbench.stats import RatioTerms
from vtbench.types import Record
from vtbench_analysis.comparison.ratio_terms import RATIO_METRICS


@dataclass(frozen=True, slots=True)
class StoredAnswers:
    """One run's samples of one task."""

    path: Path
    task: str
    questions: str
    """Fingerprint of ids, questions, right answers, choices and scenes (or images, where there are no scenes)."""
    images: str
    """Fingerprint of the images. One scene may be drawn at several sizes, as models ask for it."""
    missing: str
    """Which indices have no record; empty if none is missing."""
    observed: Mapping[str, frozenset[int]]
    """By metric of `RATIO_METRICS`, the indices that it observed."""
    terms: Mapping[str, Mapping[str, RatioTerms]]
    """By metric, the terms of its scores on these samples."""

    def terms_on(self, metric: str, indices: frozenset[int]) -> Mapping[str, RatioTerms]:
        """Return the terms of a metric's scores on some of the samples that it observed."""
        if indices == self.observed[metric]:
            return self.terms[metric]
        records = [record for record in _records(self.path).get(self.task, ()) if record.index in indices]
        return _terms(metric, records)


def read_stored_answers(path: Path, samples: Mapping[str, int]) -> dict[str, StoredAnswers]:
    """Read the samples of all tasks of a run.

    Args:
        path: the run's directory.
        samples: by task, its number of samples.
    """
    records = read_answers(path)
    return {task: _of_task(path, task, records.get(task, ()), count) for task, count in samples.items()}


@lru_cache(maxsize=2)  # the leader's, and that of the run it is compared with
def _records(path: Path) -> dict[str, tuple[Record, ...]]:
    return read_answers(path)


def _of_task(path: Path, task: str, records: Sequence[Record], count: int) -> StoredAnswers:
    questions, images = hashlib.sha256(), hashlib.sha256()
    for record in records:
        questions.update(_question(record))
        images.update(repr(record.image_sha256).encode())
    there = {record.index for record in records}
    missing = index_ranges([index for index in range(count) if index not in there])
    seen = {metric: _observed(metric, records) for metric in RATIO_METRICS}
    return StoredAnswers(
        path,
        task,
        questions.hexdigest(),
        images.hexdigest(),
        missing,
        {metric: frozenset(record.index for record in found) for metric, found in seen.items() if found},
        {metric: _terms(metric, found) for metric, found in seen.items() if found},
    )


def _observed(metric: str, records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.error is None and metric in record.scores]


def _terms(metric: str, records: Sequence[Record]) -> dict[str, RatioTerms]:
    return RATIO_METRICS[metric](records, [record.scores[metric] for record in records])


def _question(record: Record) -> bytes:
    """Return what makes a sample the same in two runs, whatever the prompt format and the size of the image."""
    shown = record.scene_hash or record.image_sha256
    asked = record.question or record.prompt
    truth = record.target, record.references, record.choices, record.answer_type
    return repr((record.index, record.id, record.repeat, asked, truth, shown)).encode("utf-8", "backslashreplace")
