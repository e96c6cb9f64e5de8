"""Images and questions of a file, a directory or the hub: rows become samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from vtbench.errors import SampleError, TaskError
from vtbench.scoring.breakdown import BY
from vtbench.task import cells
from vtbench.task.cells import CellError
from vtbench.task.data_source import open_data
from vtbench.task.fetched_images import fetch_image, url_of
from vtbench.task.files import check_file, digest_files
from vtbench.task.images import OpenedImage, image_path, images_in, open_image
from vtbench.task.row_reader import RowReader
from vtbench.task.row_template import RowTemplate
from vtbench.task.rows import Row
from vtbench.task.sources import FileTask
from vtbench.types import Sample

if TYPE_CHECKING:
    from vtbench.task.schema import TaskFile


class DataTask(FileTask):
    """Images and questions of a file, a directory or the hub.

    Args:
        spec: the checked task file.
        file: its path.

    Raises:
        TaskError: the data is not there or cannot be read, has no rows, lacks a column that the task names, or has
            images by URL that the task does not ask for.
    """

    def __init__(self, spec: TaskFile, file: Path) -> None:
        super().__init__(spec)
        assert spec.data is not None
        self.columns = spec.data
        source = open_data(spec.data, file)
        self.place, self._folder, self._rows = source.place, source.folder, source.rows
        self._source_digests = source.digests
        self._reader = RowReader(spec.data)
        self.split = ""
        if spec.data.path is None and not spec.data.urls and any(map(url_of, self._first_images())):
            named = ", ".join(spec.data.image_columns)
            raise TaskError(f"{self.place}: the column {named} has URLs; write `urls: true` under `data` to fetch them")

    def _first_images(self) -> list[Any]:
        try:
            return self._reader.images(self._rows[0])
        except SampleError:  # the row's sample fails
            return []

    def __len__(self) -> int:
        return min(self.spec.items or len(self._rows), len(self._rows))

    @property
    def limit(self) -> int:
        """Number of samples that there are."""
        return len(self)

    def config(self) -> dict[str, Any]:
        """Return the settings, what tells the data from changed data, and its images from changed ones."""
        caption = {"caption_column": self.columns.caption} if self.columns.caption else {}
        return {**super().config(), **caption, **self._digests}

    @cached_property
    def _digests(self) -> dict[str, Any]:
        images = digest_files(self._image_files(), self._folder)
        return self._source_digests() | ({"image_files": images} if images else {})

    def _image_files(self) -> Iterator[Path]:
        for name in filter(self._rows.has_paths, self.columns.image_columns):
            for cell in self._rows.column(name):
                for source in images_in(cell):
                    path = image_path(source, self._folder)
                    if path is not None:
                        yield path

    @cached_property
    def _group_sizes(self) -> Mapping[str, int]:
        """Rows of each cluster: a group that a limit cut, or of which a sample failed, is not taken for whole."""
        key, template = self.columns.cluster, self.columns.template("cluster")
        if key is None:
            return {}
        if isinstance(key, int):
            return {str(number): key for number in range(-(-len(self._rows) // key))}
        return Counter(filter(None, self._texts_of(key, template)))

    @cached_property
    def _ids(self) -> list[str]:
        """Names of all rows, each unique: of rows with the same name, the second is `NAME#2`."""
        names = list(self._named_rows())
        taken, seen = set(names), Counter[str]()
        for index, name in enumerate(names):
            seen[name] += 1
            if seen[name] > 1:
                while (unique := f"{name}#{seen[name]}") in taken:
                    seen[name] += 1
                taken.add(unique)
                names[index] = unique
        return names

    def _named_rows(self) -> Iterator[str]:
        """Yield the name of each row, its index where it has none or one that is no text: the row's sample fails."""
        if self.columns.id is not None:
            texts = self._texts_of(self.columns.id, self.columns.template("id"))
            yield from (name or str(index) for index, name in enumerate(texts))

    def _texts_of(self, column: str, template: RowTemplate | None) -> Iterator[str]:
        """Yield what a column or a template says of each row; "" where that is nothing, or no text."""
        columns = {name: self._rows.column(name) for name in (template.columns if template else (column,))}
        for _ in range(len(self._rows)):
            row = {name: next(values) for name, values in columns.items()}
            try:
                yield template.render(row.get) if template else cells.optional_text(row[column])
            except CellError:
                yield ""

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
            failed = SampleError(f"{self.place}, row {index + 1}: {error}")
            failed.sample_id = self._id(index)
            raise failed from None

    def _sample(self, index: int, row: Row) -> Sample:
        texts = self._texts(row, index)
        opened = [self._opened(source) for source in self._reader.placed_images(row, texts["choices"])]
        side = self.spec.image_size
        told: dict[str, Any] = {
            "caption": self._reader.caption(row),
            "pair": self._reader.name(row, "pair"),
            "group_size": self._group_sizes.get(texts["cluster"]),
            BY: self._reader.words(row),
        }
        return Sample(
            id=self._id(index),
            index=index,
            images=tuple(o.image.resize((side, side), Image.Resampling.BICUBIC) if side else o.image for o in opened),
            meta={"image_modes": [o.mode for o in opened], **{name: text for name, text in told.items() if text}},
            **texts,
        )

    def _opened(self, source: Any) -> OpenedImage:
        url = url_of(source)
        if url is None:
            return open_image(source, self._folder)
        if not self.columns.urls:
            raise SampleError(
                f"the image {url:.100} is on the network, and nothing is fetched; download it and give its path, or "
                "write `urls: true` under `data`"
            )
        try:
            return open_image(fetch_image(url), self._folder)
        except SampleError as error:
            raise SampleError(f"{url:.100}: {error}") from None

    def _texts(self, row: Row, index: int) -> dict[str, Any]:
        """Return what a sample has beside its images."""
        self._reader.name(row, "id")  # a name that is no text fails its row
        return {"synonyms": self.spec.synonyms, **self._reader.texts(row, index)}

    def draft(self, index: int) -> Sample:
        """Return sample `index` without its images, which must be there but are neither opened nor fetched.

        Raises:
            SampleError: as `sample`.
        """
        place = f"{self.place}, row {index + 1}"
        try:
            row = self._rows[index]
            texts = self._texts(row, index)
            for source in self._reader.images(row):
                if path := image_path(source, self._folder):
                    check_file(path)
        except SampleError as error:
            raise SampleError(f"{place}: {error}") from None
        except (OSError, ValueError) as error:
            raise SampleError(f"{place}: the image {path}: {getattr(error, 'strerror', None) or error}") from None
        return Sample(id=self._id(index), index=index, images=(), **texts)
