"""Opens the rows that the key `data` of a task file names: a JSONL or Parquet file, or what `datasets` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.errors import TaskError, did_you_mean
from vtbench.task.catalog import builtin_tasks
from vtbench.task.data_spec import DataSpec
from vtbench.task.hub.joined_rows import JoinedRows
from vtbench.task.hub.looked_up_rows import LookedUpRows
from vtbench.task.hub.split_reading import read_hub, read_local
from vtbench.task.hub.split_request import Part, SplitRequest
from vtbench.task.hub.stored_rows import StoredRows
from vtbench.task.rows import Rows, read_rows
from vtbench.task.yaml_lines import line_of, load_yaml

_OWN = (".jsonl", ".parquet")
"""Files that need no `datasets`, and of which a broken row fails alone."""
_READERS: dict[str, tuple[str, dict[str, str]]] = {
    ".csv": ("csv", {}),
    ".tsv": ("csv", {"sep": "\t"}),
    ".json": ("json", {}),
    ".arrow": ("arrow", {}),
}
_MOST_SHOWN = 30


@dataclass(frozen=True)
class DataSource:
    """Rows, and where they are."""

    rows: Rows
    place: str
    """What messages call it: the file, or the name of the hub data set."""
    folder: Path
    """What relative image paths are relative to."""
    digests: Callable[[], dict[str, Any]]
    """Returns what tells the rows from changed ones, for the run's digest."""


def open_data(spec: DataSpec, file: Path) -> DataSource:
    """Open the rows of a task.

    Args:
        spec: its key `data`.
        file: the task file.

    Raises:
        TaskError: the data is not there or cannot be read, has no rows, or lacks a column that the task names; the
            message names the file, and the line of the task file where that is at fault.
    """
    path = data_folder(file) / (spec.path or "")
    if spec.hub or (path.is_dir() and path.suffix.lower() not in _OWN) or path.suffix.lower() in _READERS:
        source = _stored(spec, file, path)
    else:
        if spec.split or spec.config:
            key = "split" if spec.split else "config"
            raise _error(file, f"a {path.suffix or 'single'} file has none; leave it out", key)
        rows = read_rows(path, spec.columns)
        source = DataSource(rows, str(path), path.parent, lambda: _sha256(path))
    for name in spec.columns:
        if name not in source.rows.columns:
            columns = list(source.rows.columns)
            shown = ", ".join(columns[:_MOST_SHOWN]) + (", ..." if len(columns) > _MOST_SHOWN else "")
            hint = did_you_mean(name, columns)
            raise TaskError(f"{source.place}: no row has a column {name!r}; there are {shown}.{hint}")
    return source


def data_folder(file: Path) -> Path:
    """Return what paths of a task file are relative to: its directory; for a task that ships, the working directory."""
    return Path.cwd() if builtin_tasks().resolve() in file.resolve().parents else file.parent


def _stored(spec: DataSpec, file: Path, path: Path) -> DataSource:
    kept = (spec.target,) if spec.target_as != "text" else ()
    parts: list[tuple[str, StoredRows]] = []
    for config in spec.config or (None,):
        for split in spec.split or (None,):
            parts.append((config or "", _read(spec, file, path, config, split)))
    questions = JoinedRows(parts, kept)
    rows = _looked_up(questions, spec, file, path) if spec.join else questions
    place = str(path) if spec.hub is None else spec.hub
    if not len(rows):
        raise TaskError(f"{place}: no rows in {', '.join(repr(part.split) for _, part in parts)}")
    folder = data_folder(file) / spec.image_dir if spec.image_dir else rows.folder
    return DataSource(rows, place, folder, rows.digests)


def _looked_up(rows: JoinedRows, spec: DataSpec, file: Path, path: Path) -> LookedUpRows:
    """Return the rows with the columns of the table that `join` names."""
    assert spec.join is not None
    join = spec.join
    table = JoinedRows([(join.config or "", _read(spec, file, path, join.config, join.split or spec.split[0]))])
    for key, name, columns in (("column", join.column, rows.columns), ("key", join.key, table.columns)):
        if name not in columns:
            raise _error(file, f"there is no column {name!r}, but {', '.join(columns)}", "join", key)
    return LookedUpRows(rows, table, join.column, join.key)


def _read(spec: DataSpec, file: Path, path: Path, config: str | None, split: str | None) -> StoredRows:
    def fail(message: str, part: Part) -> TaskError:
        source = "hub" if spec.hub else "path"
        return _error(file, message, {"source": source, "files": source}.get(part, part))

    def request(name: str, **more: Any) -> SplitRequest:
        return SplitRequest(name, data_folder(file), split, fail, config, spec.revision, **more)

    if spec.hub:
        return read_hub(request(spec.hub))
    if path.is_dir():
        return read_local(request(str(spec.path)))
    if not path.is_file():
        cure = f"; get it from {spec.download}, or include the task and name another path" if spec.download else ""
        raise fail(f"there is no file {path}{cure}", "source")
    reader, options = _READERS[path.suffix.lower()]
    return read_local(request(reader, data_files=spec.path, reader=options))


def _error(file: Path, message: str, *keys: str) -> TaskError:
    """Return an error that names file, line and key; a task file that includes another may lack the key itself."""
    _, node = load_yaml(file, TaskError)
    return TaskError(f"{file}, line {line_of(node, ['data', *keys])}: {'.'.join(('data', *keys))}: {message}")


def _sha256(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"data_sha256": hashlib.file_digest(file, "sha256").hexdigest()}
