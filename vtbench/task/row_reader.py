"""Reads rows as the key `data` says: a row's cells in, the texts and image sources of a sample out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import Any, TypeVar

from vtbench.errors import SampleError
from vtbench.scenes.rng import HashRng
from vtbench.task import cells
from vtbench.task.cells import CellError, Choices
from vtbench.task.data_spec import TEMPLATES, DataSpec
from vtbench.task.images import images_in
from vtbench.task.placeholders import (
    begins_with_images,
    image_order,
    with_image_places,
    with_numbered_images,
    without_placeholders,
)
from vtbench.task.rows import Row
from vtbench.types import IMAGE_PLACE

T = TypeVar("T")


class RowReader:
    """Reads rows.

    Args:
        spec: which column holds what.
    """

    def __init__(self, spec: DataSpec) -> None:
        self._spec = spec
        self._templates = {key: template for key in TEMPLATES if (template := spec.template(key))}

    def texts(self, row: Row, index: int) -> dict[str, Any]:
        """Return what a sample has beside its images and its id: prompt, target, references, choices and more.

        Args:
            row: its cells.
            index: its place among all rows, from 0.

        Raises:
            SampleError: a cell is missing, or not what it must be; the line names its column.
        """
        images = len(self.images(row))
        kind = self.name(row, "kind")
        closed = self._choices(row, kind)
        right = self._right(row, closed)
        texts = closed.texts
        if self._spec.shuffle:
            texts = tuple(HashRng("order of choices", index).sample(texts, len(texts)))
        cluster = self._spec.cluster
        labels = tuple(ascii_uppercase[: len(texts)]) if self._spec.has_letters else ()
        return {
            "labels": labels,
            "answer": labels[texts.index(right[0])] if labels and right[0] in texts else "",
            "prompt": self._prompt(row, texts, images),
            "target": right[0],
            "references": right[1:],
            "choices": texts,
            "kind": kind,
            "cluster": str(index // cluster) if isinstance(cluster, int) else self.name(row, "cluster"),
        }

    def name(self, row: Row, key: str) -> str:
        """Return the text of a key that a task may leave out (`kind`, `cluster`, `pair`, `id`); "" where it does.

        Raises:
            SampleError: the cell is no text.
        """
        column = getattr(self._spec, key)
        if column is None:
            return ""
        return self._filled(row, key) if key in self._templates else self.read(row, column, cells.optional_text)

    def words(self, row: Row) -> dict[str, str]:
        """Return the words that the row is broken down by, by column; without those that are empty."""
        found = {column: self.read(row, column, cells.optional_text) for column in self._spec.by}
        return {column: word for column, word in found.items() if word}

    def caption(self, row: Row) -> str:
        """Return what the image shows, in words; "" without a caption."""
        column = self._spec.caption
        return self.read(row, column, cells.optional_text) if column else ""

    def images(self, row: Row) -> list[Any]:
        """Return the images of a row, at least one, in the forms that `open_image` takes.

        Raises:
            SampleError: there is none, or one is missing among others of its column.
        """
        if not self._spec.images:
            return self.read(row, self._spec.image, _some_images)
        found = [source for name in self._spec.images for source in self.read(row, name, _any_images)]
        if not found:
            raise SampleError(f"no image in any of {', '.join(map(repr, self._spec.images))}")
        return found

    def read(self, row: Row, column: str, read: Callable[[Any], T]) -> T:
        """Read one cell.

        Raises:
            SampleError: the cell is missing, or not what it must be.
        """
        try:
            return read(row.get(column))
        except CellError as problem:
            if column not in row:
                raise SampleError(f"no {column!r}; it has {', '.join(sorted(row)[:20])}") from None
            raise SampleError(f"{column!r} {problem}") from None

    def placed_images(self, row: Row, choices: Sequence[str]) -> list[Any]:
        """Return the images of a row in the order in which its question shows them.

        Args:
            row: its cells.
            choices: of the question, as the sample has them.

        Raises:
            SampleError: as `images` and `texts`.
        """
        images = self.images(row)
        if not self._spec.interleave_images:
            return images
        order = self._question(row, choices, lambda text: image_order(text, len(images)))
        return [images[number] for number in order]

    def _prompt(self, row: Row, choices: Sequence[str], images: int) -> str:
        def cleaned(text: str) -> str:
            if begins_with_images(text, images):
                return without_placeholders(text, images)
            if self._spec.interleave_images:
                return with_image_places(text, images)
            return (with_numbered_images if self._spec.number_images else without_placeholders)(text, images)

        return self._question(row, choices, cleaned)

    def _question(self, row: Row, choices: Sequence[str], read: Callable[[str], T]) -> T:
        """Read the text of a row's question, in which the data's own `IMAGE_PLACE`s say nothing."""
        if "prompt" not in self._templates:
            return self.read(row, self._spec.prompt, lambda cell: read(_needed(cell).replace(IMAGE_PLACE, "")))
        text = self._filled(row, "prompt", choices).replace(IMAGE_PLACE, "")
        try:
            return read(text)
        except CellError as problem:
            raise SampleError(f"prompt {problem}") from None

    def _right(self, row: Row, closed: Choices) -> tuple[str, ...]:
        by = self._spec.target_as
        if "target" not in self._templates:
            return self.read(row, self._spec.target, lambda cell: cells.match(cell, closed, by))
        text = self._filled(row, "target")
        try:
            return cells.match(text, closed, by)
        except CellError as problem:
            raise SampleError(f"target {problem}") from None

    def _filled(self, row: Row, key: str, choices: Sequence[str] = ()) -> str:
        try:
            return self._templates[key].render(row.get, choices)
        except CellError as problem:
            raise SampleError(f"{key} {problem}") from None

    def _choices(self, row: Row, kind: str) -> Choices:
        named, fixed = self._spec.choices, self._spec.answers
        if isinstance(fixed, dict):
            if kind not in fixed:
                raise SampleError(f"answers: none for the kind {kind!r}; there are {', '.join(map(repr, fixed))}")
            return Choices(fixed[kind])
        if fixed:
            return Choices(fixed)
        if isinstance(named, tuple):
            return cells.labelled((name, self.read(row, name, cells.optional_text)) for name in named)
        return self.read(row, named, cells.choices) if named else Choices()


def _some_images(cell: Any) -> list[Any]:
    sources = images_in(cell)
    if not sources or any(source is None for source in sources):
        raise CellError("has no image" if not any(sources) else "lacks one of its images")
    return sources


def _any_images(cell: Any) -> list[Any]:
    empty = isinstance(cell, dict) and not any(cell.values())
    return [] if empty or cells.is_missing(cell) else _some_images(cell)


def _needed(cell: Any) -> str:
    if cells.is_missing(cell):
        raise CellError("is missing")
    return cells.as_text(cell)
