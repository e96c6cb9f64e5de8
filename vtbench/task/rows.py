"""Reads the rows of a user's data file: JSONL as a whole, Parquet a few rows at a time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vtbench.errors import SampleError, TaskError, install_command
from vtbench.task.files import check_file, stand_in

Row = Mapping[str, Any]
ROWS_AT_ONCE = 16
"""Rows of Parquet in memory at a time: an image may take some megabytes."""


class Rows(Protocol):
    """The rows of a file."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of all columns."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Row:
        """Return one row.

        Raises:
            SampleError: its part of the file is broken.
        """
        ...

    def has_paths(self, name: str) -> bool:
        """Return whether the cells of a column may name files."""
        ...

    def column(self, name: str) -> Iterator[Any]:
        """Yield the cells of one column, in the order of the rows; of images in Parquet their paths alone.

        Raises:
            TaskError: the file is broken.
        """
        ...


def read_rows(path: Path, wanted: Sequence[str]) -> Rows:
    """Open a data file.

    Args:
        path: a .jsonl or .parquet file.
        wanted: the columns that rows must have; of a Parquet file, others are not read.

    Raises:
        TaskError: it is not there, cannot be read, or has no rows; the message names file and line.
    """
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".parquet"):
        raise TaskError(f"{path}: data must be a .jsonl or .parquet file")
    try:
        check_file(path)
        with path.open("rb") as file:
            head = file.read(512)
        if wrong := stand_in(head):
            raise TaskError(f"{path}: {wrong}")
        rows: Rows = JsonRows(path) if suffix == ".jsonl" else ParquetRows(path, wanted)
    except OSError as problem:
        if problem.strerror == "the file is empty":
            raise TaskError(f"{path}: no rows in it") from None
        raise TaskError(f"{path}: cannot be read: {problem.strerror or problem}") from None
    except ValueError as problem:
        raise TaskError(f"{path}: cannot be read: {problem}") from None
    if not len(rows):
        raise TaskError(f"{path}: no rows in it")
    return rows


class JsonRows:
    """The rows of a JSONL file: UTF-8, one object a line. Lines end in a newline only, whatever else is in a text."""

    def __init__(self, path: Path) -> None:
        self._rows: list[Row] = []
        columns: dict[str, None] = {}
        for number, line in enumerate(_utf8_lines(path), 1):
            if line.strip(" \t\r\n"):
                row = _json_object(line, f"{path}, line {number}")
                columns.update(dict.fromkeys(row))
                self._rows.append(row)
        self.columns = tuple(columns)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Row:
        return self._rows[index]

    def has_paths(self, name: str) -> bool:
        """Return whether the cells of a column may name files."""
        return name in self.columns

    def column(self, name: str) -> Iterator[Any]:
        """Yield the cells of one column, None where a row has none."""
        return (row.get(name) for row in self._rows)


def _utf8_lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number == 1:
                if line.startswith((b"\xff\xfe", b"\xfe\xff")) or line[:4].count(b"\0") >= 2:
                    raise TaskError(f"{path}: is UTF-16 or UTF-32, not UTF-8; save it as UTF-8 (`iconv -t UTF-8`)")
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError as problem:
                raise TaskError(
                    f"{path}, line {number}: not UTF-8 (byte 0x{problem.object[problem.start]:02x}); save it as UTF-8, "
                    "for example with `iconv -f LATIN1 -t UTF-8`"
                ) from None


def _json_object(line: str, place: str) -> Row:
    def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise TaskError(f"{place}: the key {twice[:60]!r} occurs twice; leave one out")
        return found

    try:
        row = json.loads(line, object_pairs_hook=unrepeated)
    except json.JSONDecodeError as problem:
        zeros = "; the line has zero bytes, as after a copy that stopped" if "\0" in line else ""
        raise TaskError(f"{place}: not valid JSON: {problem.msg}{zeros}") from None
    except RecursionError:
        raise TaskError(f"{place}: its JSON is nested too deeply") from None
    except ValueError as problem:  # a number of more than 4,300 digits
        raise TaskError(f"{place}: cannot be read: {str(problem).partition(';')[0]}") from None
    if not isinstance(row, dict):
        raise TaskError(f"{place}: must be an object with keys, but is {type(row).__name__}")
    return row


class ParquetRows:
    """The rows of a Parquet file, of which only the wanted columns, and `ROWS_AT_ONCE` rows at a time, are read.

    Reading in order passes over the file once. The first step back within a row group loads the group as a whole.
    """

    def __init__(self, path: Path, wanted: Sequence[str]) -> None:
        try:
            import pyarrow.parquet as parquet
        except ImportError:
            raise TaskError(f"{path}: reading Parquet needs pyarrow: {install_command('parquet')}") from None
        self._path = path
        try:
            self._file = parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
            self.columns: Sequence[str] = tuple(self._file.schema_arrow.names)
            self._length = self._file.metadata.num_rows
            sizes = [self._file.metadata.row_group(i).num_rows for i in range(self._file.metadata.num_row_groups)]
        except Exception as problem:  # pyarrow's errors have several bases, among them `OSError` without a number
            what = "cannot be read" if getattr(problem, "errno", None) else "not a Parquet file"
            raise TaskError(f"{path}: {what}: {_line(problem)}") from None
        if sum(sizes) != self._length:
            raise TaskError(f"{path}: not a whole Parquet file: its groups have {sum(sizes)} rows of {self._length}")
        self._ends = np.cumsum(sizes)
        self._wanted = [name for name in self.columns if name in wanted]
        self._lock = threading.Lock()
        self._broken: dict[int, tuple[int, str]] = {}
        """By row group: the first row that cannot be read, and why."""
        self._batches: Iterator[Any] = iter(())
        self._group, self._start, self._batch = -1, 0, None

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Row:
        with self._lock:
            batch, position = self._batch_of(index)
        row = {}
        for i, name in enumerate(batch.schema.names):
            try:
                row[name] = _cell(batch.column(i)[position])
            except Exception as problem:  # a text that is not UTF-8, a date that Python has not
                raise SampleError(f"{name!r} cannot be read: {_line(problem)}") from None
        return row

    def _batch_of(self, index: int) -> tuple[Any, int]:
        """Return the batch that holds a row, and the row's position in it.

        Raises:
            SampleError: this part of the file is broken, or a part before it in the same row group.
        """
        group = int(np.searchsorted(self._ends, index, side="right"))
        start, reason = self._broken.get(group, (self._length, ""))
        if index >= start:
            raise SampleError(reason)
        try:
            return self._advance(group, index)
        except Exception as problem:  # a page may be broken in any way
            reason = f"the file is broken here: {_line(problem)}"
            self._broken[group] = (self._start + len(self._batch or ()) if group == self._group else index, reason)
            self._group = -1
            raise SampleError(reason) from None

    def _advance(self, group: int, index: int) -> tuple[Any, int]:
        if group == self._group and index < self._start and group not in self._broken:
            try:
                whole = self._file.read_row_group(group, columns=self._wanted).combine_chunks().to_batches()
                self._batches, self._batch, self._start = iter(whole), None, self._first(group)
            except Exception:  # a page is broken; the rows before it can be read
                self._group = -1
        if group != self._group or index < self._start:
            self._batches, self._batch = self._file.iter_batches(ROWS_AT_ONCE, [group], self._wanted), None
            self._group, self._start = group, self._first(group)
        while index >= self._start + len(self._batch or ()):
            self._start += len(self._batch or ())
            self._batch = next(self._batches)
        return self._batch, index - self._start

    def _first(self, group: int) -> int:
        return int(self._ends[group - 1]) if group else 0

    def column(self, name: str) -> Iterator[Any]:
        """Yield the cells of one column; of images with a `path`, the paths alone: `{path: ...}`."""
        schema = self._file.metadata.schema
        leaves = [schema.column(i).path for i in range(len(schema))]
        paths = [leaf for leaf in leaves if leaf.startswith(f"{name}.") and leaf.endswith(".path")]
        try:
            for batch in self._file.iter_batches(1024, columns=paths or [name]):
                yield from map(_cell, batch.column(0))
        except Exception as problem:
            raise TaskError(f"{self._path}: the column {name!r} cannot be read: {_line(problem)}") from None

    def has_paths(self, name: str) -> bool:
        """Return whether a column may name files: it has texts, or images that do not all come with their bytes."""
        import pyarrow

        kind = self._file.schema_arrow.field(name).type
        while hasattr(kind, "value_type"):  # lists, and texts in a dictionary
            kind = kind.value_type
        if not pyarrow.types.is_struct(kind):
            return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))
        return kind.get_field_index("path") >= 0 and not self._all_bytes(name)

    def _all_bytes(self, name: str) -> bool:
        """Return whether the file's statistics say that no row lacks the bytes of its image."""
        groups = [self._file.metadata.row_group(i) for i in range(self._file.metadata.num_row_groups)]
        chunks = [group.column(j) for group in groups for j in range(group.num_columns)]
        own = [c for c in chunks if c.path_in_schema.startswith(f"{name}.") and c.path_in_schema.endswith(".bytes")]
        return bool(own) and all(c.statistics is not None and c.statistics.null_count == 0 for c in own)


def _cell(scalar: Any) -> Any:
    """Return the value of a pyarrow scalar, floats of fewer than 64 bits as numpy's."""
    import pyarrow

    kind = scalar.type
    narrow = {pyarrow.float16(): np.float16, pyarrow.float32(): np.float32}
    value = scalar.as_py()
    if kind in narrow and value is not None:
        return narrow[kind](value)
    if getattr(kind, "value_type", None) in narrow and isinstance(value, list):
        return [None if part is None else narrow[kind.value_type](part) for part in value]
    return value


def _line(problem: BaseException) -> str:
    """Return an error's text on one short line."""
    return " ".join(f"{problem}".split())[:300] or type(problem).__name__
