"""Samples of a task as rows of plain fields and PNG images, and the columns that every format writes."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from vtbench.runs.provenance import strict
from vtbench.scoring.answers import answer_type
from vtbench.types import Sample, Task, readable


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `kind` is the type of its cells, of which only `text` may be null."""

    name: str
    kind: Literal["text", "texts", "integer", "image", "images"]
    about: str


IMAGE = Column("image", "image", "The image, a PNG.")
IMAGES = Column("images", "images", "The images, PNGs, in the order that the model sees them.")
FIELDS = (
    Column("id", "text", "Unique: task/split/seed/index."),
    Column("task", "text", "Name of the task."),
    Column("split", "text", "Split of the task."),
    Column("index", "integer", "Index within the split."),
    Column("prompt", "text", "The question, without placeholder or chat template."),
    Column("target", "text", "The true answer."),
    Column("references", "texts", "Further right answers beside the target; mostly empty."),
    Column("choices", "texts", "The closed set of answers; empty where the answer is open."),
    Column("answer_type", "text", "choice, graph (a scene graph in vtbench's line grammar) or text (free)."),
    Column("kind", "text", "What is asked, e.g. colour or left."),
    Column("cluster", "text", "Samples of one cluster share a scene: the two of a minimal pair, say."),
    Column("scene_hash", "text", "sha256 of the scene's canonical JSON."),
    Column("image_sha256", "texts", "sha256 of each image's decoded RGB bytes."),
    Column("scene", "text", "The scene as JSON: background and objects; null for images that vtbench did not render."),
    Column("meta", "text", "Further facts as JSON, e.g. the offset of a precise_offset item."),
)
"""All columns but the images."""


def columns(single: bool) -> tuple[Column, ...]:
    """Return the columns of a table, with one image per sample (`image`) or any number (`images`)."""
    return (IMAGE if single else IMAGES, *FIELDS)


@dataclass(frozen=True, slots=True)
class Row:
    """A sample. Equal samples have equal bytes."""

    fields: dict[str, Any]
    """Cells of the columns `FIELDS`."""
    images: tuple[bytes, ...]
    """PNG files."""


@dataclass(frozen=True, slots=True)
class TaskExport:
    """A task to export."""

    task: Task
    image_size: int
    """Side in pixels of images that vtbench renders."""
    advance: Callable[[int], None]
    """Called with the number of samples made since the last call."""

    def rows(self) -> Iterator[Row]:
        """Yield every sample in order, made one at a time.

        Raises:
            SampleError: a sample cannot be made, e.g. an unreadable image. No sample is left out.
        """
        for index in range(len(self.task)):
            yield to_row(self.task, self.task.sample(index, self.image_size))
            self.advance(1)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task.name

    @property
    def side(self) -> int | None:
        """Side in pixels of the images; None where vtbench does not render them."""
        first = self.task.sample(0, self.image_size)
        return first.images[0].width if first.scene is not None else None

    @property
    def split(self) -> str:
        """Split of the task; `test` for data of a user, which has none."""
        return self.task.split or "test"


def to_row(task: Task, sample: Sample) -> Row:
    """Return a sample of a task as a row."""
    fields = {
        "id": sample.id,
        "task": task.name,
        "split": task.split or "test",
        "index": sample.index,
        "prompt": readable(sample.prompt),
        "target": sample.target,
        "references": list(sample.references),
        "choices": list(sample.choices),
        "answer_type": answer_type(sample),
        "kind": sample.kind,
        "cluster": sample.cluster,
        "scene_hash": sample.scene_hash,
        "image_sha256": [hashlib.sha256(image.tobytes()).hexdigest() for image in sample.images],
        "scene": None if sample.scene is None else _json(sample.scene.canonical()),
        "meta": _json(dict(sample.meta)),
    }
    return Row(strict(fields), tuple(_png(image) for image in sample.images))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
