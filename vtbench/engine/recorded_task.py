"""A task as a stored run has asked it: its questions, from the task that is there now or from the records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from vtbench.engine.validation import image_hashes
from vtbench.metric import Metric, TaskWithMetrics
from vtbench.types import Record, Sample, Task

_ASKED = ("id", "prompt", "target", "references", "choices", "labels", "synonyms", "answer_type", "kind")
"""What tells whether a task still asks the question that a record is of, beside its images."""


class RecordedTask:
    """A task with the settings and the number of samples that a run has stored.

    Args:
        name: of the task.
        run: content of run.json.
        settings: of the task, as results.json has them; None without results, which takes those of run.json.
        source: the task as it is now; None if it cannot be opened any more.
    """

    description = ""

    def __init__(
        self, name: str, run: Mapping[str, Any], settings: Mapping[str, Any] | None, source: Task | None
    ) -> None:
        stored = run["keys"].get("tasks", {}).get(name, {})
        self._settings = {key: v for key, v in stored.items() if key != "samples"} if settings is None else settings
        self._length, self._source = int(run["tasks"][name]["samples"]), source
        self._image_size: int | None = run["model"].get("image_size")
        self.name, self.version = name, int(stored.get("version", 1))
        self.split = str(self._settings.get("split") or "")
        self.metrics: tuple[str, ...] = (*run["metrics"][name], *run.get("left_out", {}).get(name, {}))
        self.max_new_tokens = int(self._settings.get("max_new_tokens") or 1)

    def __len__(self) -> int:
        return self._length

    @property
    def opened(self) -> bool:
        """Whether the task is still there."""
        return self._source is not None

    @property
    def metric_factories(self) -> Mapping[str, Callable[[], Metric]]:
        """The task's own metrics."""
        return self._source.metric_factories if isinstance(self._source, TaskWithMetrics) else {}

    def config(self) -> dict[str, Any]:
        """Return the settings that the run has stored."""
        return dict(self._settings)

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index` as the task is now.

        Raises:
            LookupError: it cannot be opened.
        """
        if self._source is None:
            raise LookupError(self.name)
        return self._source.sample(index, image_size)

    def recorded(self, record: Record) -> tuple[Sample, bool]:
        """Return the sample that a record is of, and whether the task still makes it.

        Args:
            record: of an answered sample.

        Returns:
            what the task makes, if question, right answers and images are those of the record; else what the record
            says, without images and scene.
        """
        try:
            made = self.sample(record.index, self._image_size)
        except Exception:  # the task is another now, or an image is gone
            return _from_record(record), False
        same = all(getattr(made, name) == getattr(record, name) for name in _ASKED)
        same = same and image_hashes(made) == record.image_sha256
        return (made, True) if same else (_from_record(record), False)


def _from_record(record: Record) -> Sample:
    known = {f.name for f in fields(Sample)} & {f.name for f in fields(Record)}
    return Sample(images=(), **{name: getattr(record, name) for name in known})
