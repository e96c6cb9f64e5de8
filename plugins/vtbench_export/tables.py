"""Rows in, Parquet files out, as `datasets` writes and reads them: pictures typed, memory bounded, bytes repeatable."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vtbench_export.columns import Column, columns
from vtbench_export.rows import Row, Source

GROUP_ROWS, GROUP_BYTES = 500, 32 << 20
"""A row group, which is what is held in memory, ends with whichever comes first."""
_BYTES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_ARROW = {
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "integer": pa.int64(),
    "picture": _BYTES,
    "pictures": pa.list_(_BYTES),
}
_TEXT = {"dtype": "string", "_type": "Value"}
_FEATURE: dict[str, Any] = {
    "text": _TEXT,
    "texts": {"feature": _TEXT, "_type": "Sequence"},
    "integer": {"dtype": "int64", "_type": "Value"},
    "picture": {"_type": "Image"},
    "pictures": {"feature": {"_type": "Image"}, "_type": "Sequence"},
}
"""As `datasets` of any version reads it; it writes `List` since its version 4, which older ones do not know."""


class _Several(Exception):
    """A sample has not exactly one picture."""


def write_table(source: Source, directory: Path, stem: str, shard_bytes: int) -> tuple[list[Path], bool]:
    """Write a task as `directory/STEM-00000-of-0000N.parquet`; the directory is the task's own.

    Returns:
        the files, and whether each sample has one picture (the column `image`; else `images`).
    """
    directory.mkdir(parents=True, exist_ok=True)
    for single in (True, False):
        try:
            return _write(source, directory, stem, shard_bytes, single), single
        except _Several:
            for path in directory.iterdir():
                path.unlink()
    raise AssertionError("a table of `images` takes any number")


def schema(single: bool) -> pa.Schema:
    """Return the schema, with the features that tell `datasets` which columns are pictures."""
    info = {"info": {"features": {column.name: _FEATURE[column.kind] for column in columns(single)}}}
    fields = [(column.name, _ARROW[column.kind]) for column in columns(single)]
    return pa.schema(fields, metadata={"huggingface": json.dumps(info)})


def _write(source: Source, directory: Path, stem: str, shard_bytes: int, single: bool) -> list[Path]:
    paths: list[Path] = []
    writer: pq.ParquetWriter | None = None
    left = 0
    try:
        for group, size in _groups(source.rows()):
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
    """Yield rows in groups, with the bytes of their pictures."""
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(map(len, row.pictures))
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size


def _cells(row: Row, into: tuple[Column, ...]) -> dict[str, Any]:
    pictures = [{"bytes": picture, "path": None} for picture in row.pictures]
    if into[0].kind == "picture" and len(pictures) != 1:
        raise _Several
    return {into[0].name: pictures[0] if into[0].kind == "picture" else pictures, **row.fields}
