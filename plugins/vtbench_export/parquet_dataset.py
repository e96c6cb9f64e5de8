"""Parquet files as `datasets` reads them, with typed image columns; memory is bounded and bytes are reproducible.

`write_parquet_dataset` adds a dataset card and Croissant metadata: `datasets.load_dataset(DIR, TASK)` reads the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vtbench_export.croissant import write_croissant
from vtbench_export.dataset_card import write_card
from vtbench_export.sample_rows import Column, Row, TaskExport, columns

GROUP_ROWS, GROUP_BYTES = 500, 32 << 20
"""A row group, the part that is held in memory, ends at whichever limit is reached first."""
_BYTES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_ARROW = {
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "integer": pa.int64(),
    "image": _BYTES,
    "images": pa.list_(_BYTES),
}
_TEXT = {"dtype": "string", "_type": "Value"}
_FEATURE: dict[str, Any] = {
    "text": _TEXT,
    "texts": {"feature": _TEXT, "_type": "Sequence"},
    "integer": {"dtype": "int64", "_type": "Value"},
    "image": {"_type": "Image"},
    "images": {"feature": {"_type": "Image"}, "_type": "Sequence"},
}
"""Column types as every version of `datasets` reads them; since version 4 it writes `List`, unknown to older ones."""


class _NotSingleImageError(Exception):
    """A sample has no image or several."""


def write_parquet_dataset(tasks: Sequence[TaskExport], directory: Path, shard_bytes: int) -> None:
    """Write `directory/TASK/SPLIT-00000-of-0000N.parquet`, README.md and croissant.json."""
    written = {task.name: write_table(task, directory / task.name, task.split, shard_bytes) for task in tasks}
    globs = {task.name: f"{task.name}/{task.split}-*.parquet" for task in tasks}
    write_card(directory, tasks, globs, "parquet")
    write_croissant(directory, tasks, written)


def write_table(task: TaskExport, directory: Path, stem: str, shard_bytes: int) -> tuple[list[Path], bool]:
    """Write a task as `directory/STEM-00000-of-0000N.parquet`; the directory holds nothing else.

    Returns:
        the files, and whether each sample has exactly one image (column `image`; else `images`).
    """
    directory.mkdir(parents=True, exist_ok=True)
    for single in (True, False):
        try:
            return _write(task, directory, stem, shard_bytes, single), single
        except _NotSingleImageError:
            for path in directory.iterdir():
                path.unlink()
    raise AssertionError("a table of `images` takes any number")


def schema(single: bool) -> pa.Schema:
    """Return the schema, with the features that tell `datasets` which columns are images."""
    info = {"info": {"features": {column.name: _FEATURE[column.kind] for column in columns(single)}}}
    fields = [(column.name, _ARROW[column.kind]) for column in columns(single)]
    return pa.schema(fields, metadata={"huggingface": json.dumps(info)})


def _write(task: TaskExport, directory: Path, stem: str, shard_bytes: int, single: bool) -> list[Path]:
    paths: list[Path] = []
    writer: pq.ParquetWriter | None = None
    left = 0
    try:
        for group, size in _groups(task.rows()):
            if writer is None or left <= 0:
                if writer is not None:
                    writer.close()
                paths.append(directory / f"{stem}-{len(paths):05}.parquet")
                writer, left = pq.ParquetWriter(paths[-1], schema(single)), shard_bytes
            cells = [_cells(row, columns(single)) for row in group]
            writer.write_table(pa.Table.from_pylist(cells, schema(single)))
            left -= size
    finally:
        if writer is not None:
            writer.close()
    return [path.rename(path.with_name(f"{path.stem}-of-{len(paths):05}.parquet")) for path in paths]


def _groups(rows: Iterable[Row]) -> Iterator[tuple[list[Row], int]]:
    """Yield rows in groups, with the number of bytes of their images."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(map(len, row.images))
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size


def _cells(row: Row, table: tuple[Column, ...]) -> dict[str, Any]:
    images = [{"bytes": image, "path": None} for image in row.images]
    if table[0].kind == "image" and len(images) != 1:
        raise _NotSingleImageError
    return {table[0].name: images[0] if table[0].kind == "image" else images, **row.fields}
