"""Rows of local data files: a format and paths in, rows by number out, read when asked for.

Arrow and Parquet tables stay as they are in memory; a row becomes a dictionary when a sample is made of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from vtbench.errors import TaskError

if TYPE_CHECKING:
    import pyarrow

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Listed:
    """Rows that are at hand."""

    rows: Sequence[Row]
    columns: tuple[str, ...]
    folder: Path
    """What paths of pictures are relative to."""
    fingerprint: Callable[[], str]
    """sha256 of what the rows are read from."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        return self.rows[index]


@dataclass(frozen=True)
class Tabled:
    """Rows of an Arrow table."""

    table: pyarrow.Table
    folder: Path
    fingerprint: Callable[[], str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.table.column_names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, index: int) -> Row:
        row: Row = self.table.slice(index, 1).to_pylist()[0]
        return row


Rows: TypeAlias = Listed | Tabled


def read_rows(format_: str, files: Sequence[Path], settings: Mapping[str, Any]) -> Rows:
    """Read files of one of `FORMATS`.

    Args:
        format_: as `datasets` calls it.
        files: in order.
        settings: `field` (json), `sep` or `delimiter` (csv).

    Raises:
        TaskError: a file cannot be read.
    """
    folder, fingerprint = files[0].parent, partial(_sha256, tuple(files))
    if format_ == "json":
        rows = [row for file in files for row in _json(file, settings.get("field"))]
        columns = tuple(dict.fromkeys(key for row in rows for key in row))
        return Listed([dict.fromkeys(columns) | dict(row) for row in rows], columns, folder, fingerprint)
    pyarrow = _pyarrow(files[0])
    tables = []
    for file in files:
        try:
            tables.append(_TABLES[format_](file, settings))
        except (OSError, ValueError, pyarrow.ArrowException) as problem:
            raise TaskError(f"{file}: cannot be read as {format_}: {problem}") from None
    try:
        return Tabled(pyarrow.concat_tables(tables, promote_options="default"), folder, fingerprint)
    except pyarrow.ArrowException as problem:
        raise TaskError(f"{files[0]}: its columns are not those of the files beside it: {problem}") from None


def _pyarrow(file: Path) -> Any:
    try:
        import pyarrow
    except ImportError:
        raise TaskError(f"{file}: reading it needs pyarrow: pip install 'vtbench[parquet]'") from None
    return pyarrow


def _parquet(file: Path, settings: Mapping[str, Any]) -> pyarrow.Table:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(file)


def _arrow(file: Path, settings: Mapping[str, Any]) -> pyarrow.Table:
    """Read what `datasets` writes: a stream of batches, mapped into memory."""
    import pyarrow

    return pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))).read_all()


def _csv(file: Path, settings: Mapping[str, Any]) -> pyarrow.Table:
    import pyarrow.csv

    separator = settings.get("sep") or settings.get("delimiter") or ","
    options = pyarrow.csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    return pyarrow.csv.read_csv(file, parse_options=options)


_TABLES: Mapping[str, Callable[[Path, Mapping[str, Any]], Any]] = {"parquet": _parquet, "arrow": _arrow, "csv": _csv}
FORMATS: Mapping[str, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "arrow": (".arrow",),
    "csv": (".csv",),
    "json": (".jsonl", ".json"),
}
"""Formats by the names that `datasets` gives them, with the endings of their files."""


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _json(file: Path, field: str | None) -> list[Row]:
    """Read one document (a list of rows, under `field` where that is given), or a row a line."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise TaskError(f"{file}: cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    try:
        found = json.loads(text)
        found = found[field] if field else found
        rows = found if isinstance(found, list) else [found]
    except (KeyError, TypeError):
        raise TaskError(f"{file}: there is no {field!r} at its top") from None
    except json.JSONDecodeError:
        rows = [_line(line, f"{file}, line {n}") for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if wrong := next((row for row in rows if not isinstance(row, dict)), None):
        raise TaskError(f"{file}: a row must be an object with keys, but is {type(wrong).__name__}")
    return rows


def _line(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as problem:
        raise TaskError(f"{where}: not valid JSON: {problem.msg}") from None
