"""A task in, its samples as rows out: plain fields as in `columns.FIELDS`, and PNG bytes. One at a time, in order."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from vtbench.scoring.credit import GRAPH
from vtbench.types import Sample, Task


@dataclass(frozen=True, slots=True)
class Row:
    """One sample. Equal samples give equal bytes."""

    fields: dict[str, Any]
    pictures: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A task to export."""

    task: Task
    image_size: int
    """Side in pixels of pictures that vtbench draws."""
    advance: Callable[[int], None]
    """Is told of samples as they are made."""

    def rows(self) -> Iterator[Row]:
        """Yield every sample.

        Raises:
            SampleError: one cannot be made (an unreadable picture): no dataset silently lacks one.
        """
        for index in range(len(self.task)):
            yield row(self.task, self.task.sample(index, self.image_size))
            self.advance(1)

    @property
    def side(self) -> int | None:
        """Side in pixels of the pictures; None where vtbench does not draw them."""
        first = self.task.sample(0, self.image_size)
        return first.images[0].width if first.scene is not None else None

    @property
    def split(self) -> str:
        """The task's split; `test` for a user's own data, which has none."""
        return self.task.split or "test"


def row(task: Task, sample: Sample) -> Row:
    """Return a sample of a task as a row."""
    fields = {
        "id": sample.id,
        "task": task.name,
        "split": task.split or "test",
        "index": sample.index,
        "prompt": sample.prompt,
        "target": sample.target,
        "choices": list(sample.choices),
        "answer_type": "graph" if sample.kind == GRAPH else "choice" if sample.choices else "text",
        "kind": sample.kind,
        "cluster": sample.cluster,
        "scene_hash": sample.scene_hash,
        "image_sha256": [hashlib.sha256(image.tobytes()).hexdigest() for image in sample.images],
        "scene": None if sample.scene is None else _json(sample.scene.canonical()),
        "meta": _json(dict(sample.meta)),
    }
    return Row(fields, tuple(_png(image) for image in sample.images))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
