"""The three sources of samples: synthetic scenes, other tasks in turn, and a user's own files."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, UnidentifiedImageError

from vtbench.errors import SampleError, TaskError
from vtbench.scenes.corruption import corrupt
from vtbench.scenes.items import BENCHMARK, ItemSource
from vtbench.scenes.render import render
from vtbench.types import Sample, Task

if TYPE_CHECKING:
    from vtbench.task.schema import TaskFile

DEFAULT_ITEMS = 2000
DEFAULT_SIZE = 224
"""Side in pixels of rendered images if neither the task nor the model sets one."""


class _FileTask:
    """Base of the three: the settings of a checked task file."""

    def __init__(self, spec: TaskFile) -> None:
        self.spec = spec
        self.name = spec.task
        self.version = spec.version
        self.description = spec.description
        self.split: str = spec.split
        self.metrics = spec.metrics
        self.max_new_tokens = spec.max_new_tokens

    def config(self) -> dict[str, Any]:
        """Return the resolved settings, JSON-able."""
        return {"benchmark": BENCHMARK, **self.spec.model_dump(mode="json")}


class SceneTask(_FileTask):
    """Samples from synthetic scenes."""

    def __init__(self, spec: TaskFile, source: ItemSource) -> None:
        super().__init__(spec)
        self.source = source

    def __len__(self) -> int:
        return self.spec.items or DEFAULT_ITEMS

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`, rendered at the task's image size, else at `image_size`, else at 224 pixels."""
        item = self.source.item(index)
        image = render(item.scene, self.spec.image_size or image_size or DEFAULT_SIZE)
        if item.corruption:
            image = corrupt(image, item.corruption)
        noise = {"corruption": item.corruption.kind, "severity": item.corruption.severity} if item.corruption else {}
        return Sample(
            id=f"{self.name}/{self.split}/{self.spec.seed}/{index}",
            index=index,
            images=(image,),
            prompt=item.prompt,
            target=item.question.target,
            choices=item.question.choices,
            kind=item.question.kind,
            cluster=item.cluster,
            scene_hash=item.scene.hash,
            scene=item.scene,
            meta={**item.meta, **noise},
            answer_type=item.question.answer_type,
        )


class MixTask(_FileTask):
    """The samples of other tasks in turn."""

    def __init__(self, spec: TaskFile, parts: Sequence[Task]) -> None:
        super().__init__(spec)
        self.parts = parts
        self.max_new_tokens = max(part.max_new_tokens for part in parts)

    def __len__(self) -> int:
        return self.spec.items or DEFAULT_ITEMS

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`: that of part `index % parts`."""
        turn, part = divmod(index, len(self.parts))
        sample = self.parts[part].sample(turn, image_size)
        return replace(sample, id=f"{self.name}/{index}/{sample.id}", index=index)

    def config(self) -> dict[str, Any]:
        """Return the resolved settings of the mix and of its parts."""
        return {**super().config(), "parts": [part.config() for part in self.parts]}


class DataTask(_FileTask):
    """A user's own images and questions, from JSONL or Parquet."""

    def __init__(self, spec: TaskFile, directory: Path) -> None:
        super().__init__(spec)
        assert spec.data is not None
        self.columns = spec.data
        self.path = directory / spec.data.path
        self.split = ""
        self._rows  # noqa: B018 - a file that cannot be read is an error now, not in the middle of a run

    @cached_property
    def _rows(self) -> list[Mapping[str, Any]]:
        try:
            if self.path.suffix == ".parquet":
                return _read_parquet(self.path)
            if self.path.suffix == ".jsonl":
                return _read_jsonl(self.path)
        except OSError as problem:
            raise TaskError(f"{self.path}: cannot be read: {problem.strerror or problem}") from None
        raise TaskError(f"{self.path}: data must be a .jsonl or .parquet file")

    def __len__(self) -> int:
        return min(self.spec.items or len(self._rows), len(self._rows))

    def config(self) -> dict[str, Any]:
        """Return the settings and the data file's hash, so that changed data prevent a resume."""
        return {**super().config(), "data_sha256": hashlib.sha256(self.path.read_bytes()).hexdigest()}

    def sample(self, index: int, image_size: int | None = None) -> Sample:
        """Make sample `index`; the image keeps its own size unless the task file sets one."""
        row, columns = self._rows[index], self.columns
        sources = self._field(row, index, columns.image)
        images = tuple(self._open(s, index) for s in (sources if isinstance(sources, list) else [sources]))
        choices = self._field(row, index, columns.choices) if columns.choices else ()
        if not isinstance(choices, list | tuple):
            raise SampleError(f"{self.path}, row {index + 1}: {columns.choices!r} must be a list of answers")
        name = str(row.get(columns.id, index)) if columns.id else str(index)
        return Sample(
            id=f"{self.name}/{name}",
            index=index,
            images=images,
            prompt=str(self._field(row, index, columns.prompt)),
            target=str(self._field(row, index, columns.target)),
            choices=tuple(str(choice) for choice in choices),
            kind=str(row.get(columns.kind, "")) if columns.kind else "",
            cluster=str(row.get(columns.cluster, "")) if columns.cluster else "",
        )

    def _field(self, row: Mapping[str, Any], index: int, column: str) -> Any:
        if row.get(column) is None:
            raise SampleError(f"{self.path}, row {index + 1}: no {column!r}; it has {', '.join(sorted(row))}")
        return row[column]

    def _open(self, source: Any, index: int) -> Image.Image:
        if isinstance(source, Mapping):  # the form of image columns that `datasets` writes
            source = source.get("bytes") or source.get("path")
        file = io.BytesIO(source) if isinstance(source, bytes) else self.path.parent / str(source)
        try:
            with Image.open(file) as opened:
                image = opened.convert("RGB")
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as problem:
            what = "an image" if isinstance(source, bytes) else f"the image {source}"
            raise SampleError(f"{self.path}, row {index + 1}: cannot read {what}: {problem}") from None
        side = self.spec.image_size
        return image.resize((side, side), Image.Resampling.BICUBIC) if side else image


def _read_jsonl(path: Path) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as problem:
            raise TaskError(f"{path}, line {number}: not valid JSON: {problem.msg}") from None
        if not isinstance(row, dict):
            raise TaskError(f"{path}, line {number}: must be an object with keys, but is {type(row).__name__}")
        rows.append(row)
    if not rows:
        raise TaskError(f"{path}: no rows in it")
    return rows


def _read_parquet(path: Path) -> list[Mapping[str, Any]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise TaskError(f"{path}: reading Parquet needs pyarrow: pip install 'vtbench[parquet]'") from None
    try:
        rows: list[Mapping[str, Any]] = []
        rows.extend(parquet.read_table(path).to_pylist())
    except (ValueError, parquet.lib.ArrowException) as problem:
        raise TaskError(f"{path}: not a Parquet file: {problem}") from None
    return rows
