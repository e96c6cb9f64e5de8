"""A user's own images and questions: the rows of a file become samples."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from vtbench.errors import SampleError, TaskError, nearest
from vtbench.task import cells
from vtbench.task.cells import CellError, Choices
from vtbench.task.files import check_file, digest_files
from vtbench.task.images import image_path, images_in, open_image
from vtbench.task.rows import Row, read_rows
from vtbench.task.sources import FileTask
from vtbench.types import Sample

if TYPE_CHECKING:
    from vtbench.task.schema import TaskFile

T = TypeVar("T")


class DataTask(FileTask):
    """A user's own images and questions, from JSONL or Parquet.

    Raises:
        TaskError: the file cannot be read, has no rows, or lacks a column that the task names.
    """

    def __init__(self, spec: TaskFile, directory: Path) -> None:
        super().__init__(spec)
        assert spec.data is not None
        self.columns = spec.data
        self.path = directory / spec.data.path
        self.split = ""
        self._rows = read_rows(self.path, self.columns.columns)
        for name in self.columns.columns:
            if name not in self._rows.columns:
                near = nearest(name, list(self._rows.columns))
                raise TaskError(f"{self.path}: no row has a column {name!r}.{near}")

    def __len__(self) -> int:
        return min(self.spec.items or len(self._rows), len(self._rows))

    @property
    def limit(self) -> int:
        """Number of samples that there are."""
        return len(self)

    def config(self) -> dict[str, Any]:
        """Return the settings, the data file's hash, and what tells its images from changed ones."""
        caption = {"caption_column": self.columns.caption} if self.columns.caption else {}
        return {**super().config(), **caption, **self._digests}

    @cached_property
    def _digests(self) -> dict[str, Any]:
        with self.path.open("rb") as file:
            found = {"data_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
        images = digest_files(self._image_files(), self.path.parent)
        return found | ({"image_files": images} if images else {})

    def _image_files(self) -> Iterator[Path]:
        if self._rows.has_paths(self.columns.image):
            for cell in self._rows.column(self.columns.image):
                for source in images_in(cell):
                    path = image_path(source, self.path.parent)
                    if path is not None:
                        yield path

    @cached_property
    def _ids(self) -> list[str]:
        """Names of all rows, each unique: of rows with the same name, the second is `NAME#2`."""
        column = self.columns.id
        names = []
        for index, cell in enumerate(self._rows.column(column) if column else ()):
            try:
                names.append(cells.optional_text(cell) or str(index))
            except CellError:  # the row's sample fails
                names.append(str(index))
        taken, seen = set(names), Counter[str]()
        for index, name in enumerate(names):
            seen[name] += 1
            if seen[name] > 1:
                while (unique := f"{name}#{seen[name]}") in taken:
                    seen[name] += 1
                taken.add(unique)
                names[index] = unique
        return names

    def _id(self, index: int) -> str:
        return f"{self.name}/{self._ids[index] if self.columns.id else index}"

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`; the image keeps its own size unless the task file sets one.

        Raises:
            SampleError: the row lacks something, has it in a form that it cannot have, or its image cannot be opened;
                the line names row and column.
        """
        try:
            return self._sample(index, self._rows[index])
        except SampleError as error:
            failed = SampleError(f"{self.path}, row {index + 1}: {error}")
            failed.sample_id = self._id(index)
            raise failed from None

    def _sample(self, index: int, row: Row) -> Sample:
        texts = self._texts(row)
        sources = self._images(row)
        opened = [open_image(source, self.path.parent) for source in sources]
        side = self.spec.image_size
        return Sample(
            id=self._id(index),
            index=index,
            images=tuple(o.image.resize((side, side), Image.Resampling.BICUBIC) if side else o.image for o in opened),
            meta={"image_modes": [o.mode for o in opened], **self._caption(row)},
            **texts,
        )

    def _caption(self, row: Row) -> dict[str, str]:
        """Return the caption as a fact of the sample; nothing where the row has none."""
        column = self.columns.caption
        told = self._read(row, column, cells.optional_text) if column else ""
        return {"caption": told} if told else {}

    def _texts(self, row: Row) -> dict[str, Any]:
        """Return what a sample has beside its images."""
        columns = self.columns
        if columns.id:
            self._read(row, columns.id, cells.optional_text)
        images = len(self._images(row))
        prompt = self._read(row, columns.prompt, lambda cell: cells.without_placeholders(_needed(cell), images))
        closed = self._choices(row)
        right = self._read(row, columns.target, lambda cell: cells.match(cell, closed, columns.target_as))
        return {
            "synonyms": self.spec.synonyms,
            "prompt": prompt,
            "target": right[0],
            "references": right[1:],
            "choices": closed.texts,
            "kind": self._read(row, columns.kind, cells.optional_text) if columns.kind else "",
            "cluster": self._read(row, columns.cluster, cells.optional_text) if columns.cluster else "",
        }

    def _images(self, row: Row) -> list[Any]:
        """Return the images of a row, at least one, in the forms that `open_image` takes."""
        return self._read(row, self.columns.image, _some_images)

    def _choices(self, row: Row) -> Choices:
        named = self.columns.choices
        if isinstance(named, tuple):
            several = [(name, self._read(row, name, cells.optional_text)) for name in named]
            return cells.labelled(several)
        return self._read(row, named, cells.choices) if named else Choices()

    def _read(self, row: Row, column: str, read: Callable[[Any], T]) -> T:
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

    def draft(self, index: int) -> Sample:
        """Return sample `index` without its images, which must be there but are not opened.

        Raises:
            SampleError: as `sample`.
        """
        place = f"{self.path}, row {index + 1}"
        try:
            row = self._rows[index]
            texts = self._texts(row)
            for source in self._images(row):
                if path := image_path(source, self.path.parent):
                    check_file(path)
        except SampleError as error:
            raise SampleError(f"{place}: {error}") from None
        except (OSError, ValueError) as error:
            raise SampleError(f"{place}: the image {path}: {getattr(error, 'strerror', None) or error}") from None
        return Sample(id=self._id(index), index=index, images=(), **texts)


def _some_images(cell: Any) -> list[Any]:
    sources = images_in(cell)
    if not sources or any(source is None for source in sources):
        raise CellError("has no image" if not any(sources) else "lacks one of its images")
    return sources


def _needed(cell: Any) -> str:
    if cells.is_missing(cell):
        raise CellError("is missing")
    return cells.as_text(cell)
