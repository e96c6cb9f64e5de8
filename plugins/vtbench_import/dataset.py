"""Rows of the split that a task config evaluates, read by the `datasets` library as the harnesses read them.

`dataset_path` names a file format, a local directory, or a data set on the Hugging Face hub; `vtbench.task.hub` reads
it. Paths are relative to the task config.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.errors import SampleError, TaskError
from vtbench.task.hub.split_reading import read_hub, read_local
from vtbench.task.hub.split_request import FILE_FORMATS, Part, SplitRequest
from vtbench.task.hub.stored_rows import Row, StoredRows
from vtbench.task.images import image_path, images_in, open_image
from vtbench_import.code_loader import CodeLoader
from vtbench_import.task_config import Function, TaskConfig

_READER_OPTIONS = ("field", "sep", "delimiter")
"""Entries of `dataset_kwargs` that a reader takes."""
_USED = frozenset({"data_files", "data_dir", "load_from_disk", "revision", *_READER_OPTIONS})
_IGNORED = {
    *("token", "use_auth_token", "trust_remote_code", "cache_dir", "local_files_only", "num_proc", "max_retries"),
    *("force_download", "keep_in_memory", "verification_mode"),
}
"""Entries that decide how data is fetched, not which rows it has."""
_KEYS: Mapping[Part, tuple[str, ...]] = {
    "source": ("dataset_path",),
    "config": ("dataset_name",),
    "revision": ("dataset_kwargs", "revision"),
    "files": ("dataset_kwargs", "data_files"),
}


@dataclass(frozen=True)
class Rows:
    """Rows of one split. An image is opened when its cell is read."""

    stored: StoredRows

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return self.stored.columns

    @property
    def folder(self) -> Path:
        """What relative image paths are relative to."""
        return self.stored.folder

    def fingerprint(self) -> str:
        """Return the sha256 of the files that hold the rows, or the commit of a hub data set."""
        return self.stored.fingerprint()

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: int) -> Row:
        row, images = self.stored.rows[index], self.stored.image_columns
        return _ImageRow(row, images, self.folder) if images else row

    def named_images(self, columns: Iterable[str]) -> Iterator[Path]:
        """Yield the files that image columns of texts name; columns of bytes are part of the fingerprint."""
        for name in filter(self.stored.has_paths, columns):
            for value in self.stored.column(name):
                paths = (image_path(source, self.folder) for source in images_in(value))
                yield from (path for path in paths if path is not None)


class _ImageRow(Mapping[str, Any]):
    """A row whose images are opened as those of tasks, and not by `datasets`, which turns no image upright."""

    def __init__(self, row: Row, images: frozenset[str], folder: Path) -> None:
        self.stored, self._images, self._folder = row, images, folder

    def __getitem__(self, name: str) -> Any:
        value = self.stored[name]
        return self._opened(value) if name in self._images else value

    def _opened(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, list | tuple):
            return [self._opened(one) for one in value]
        return open_image(value, self._folder).image

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)


def stored_cell(row: Row, name: str) -> Any:
    """Return one cell of a row as it is stored, an image undecoded."""
    return cell(row.stored if isinstance(row, _ImageRow) else row, name)


def load_split(config: TaskConfig, split: str | None, code: CodeLoader) -> tuple[Rows, str]:
    """Return the rows of the split to evaluate, and its name: `split`, else `test_split`, else `validation_split`.

    lm-eval's `custom_dataset` is called where `dataset_path` names no file format.

    Raises:
        TaskError: the data is not there or cannot be read, or there is no such split.
    """
    key = next((key for key in ("test_split", "validation_split") if config.get(key)), None)
    if split is None and key is None:
        raise config.error("no split to evaluate; name one in test_split, or with --split", "task")
    wanted = split or str(config.get(str(key)))
    options, path, make = _options(config), config.get("dataset_path"), config.get("custom_dataset")

    local = path in FILE_FORMATS or (path is not None and (config.path.parent / path).is_dir())

    def fail(message: str, part: Part) -> TaskError:
        if part == "source" and not local:
            message = f"{path!r} is no directory beside the task config, and {message}"
        if part != "split":
            return config.error(message, *_KEYS[part])
        if split is None:
            return config.error(message, str(key))
        return config.error(message.replace("; ", ", as --split says; ", 1), "dataset_path")

    request = SplitRequest(
        source=path or "",
        folder=config.path.parent,
        split=wanted,
        fail=fail,
        config=config.get("dataset_name"),
        revision=str(options["revision"]) if options.get("revision") else None,
        data_files=options.get("data_files"),
        data_dir=str(options.get("data_dir") or ""),
        reader={name: options[name] for name in _READER_OPTIONS if name in options},
    )
    if path not in FILE_FORMATS and isinstance(make, Function):
        return Rows(_call_custom(code.load(make, "custom_dataset"), request, config, options)), wanted
    if path is None:
        raise config.error("no data: the task config has no dataset_path", "task")
    return Rows(read_local(request) if local else read_hub(request)), wanted


def cell(row: Row, name: str) -> Any:
    """Return one cell of a row, an image decoded.

    Raises:
        SampleError: it cannot be decoded; the message names its column.
    """
    try:
        return row[name]
    except Exception as error:  # whatever PIL raises for a broken image
        raise SampleError(f"column {name!r} cannot be read: {' '.join(str(error).split())}") from error


def _options(config: TaskConfig) -> Mapping[str, Any]:
    options: Mapping[str, Any] = config.get("dataset_kwargs", {})
    for name, value in options.items():
        if name not in _USED | _IGNORED and value:
            raise config.error("not an option that vtbench passes on to `datasets`", "dataset_kwargs", name)
    return options


def _call_custom(
    make: Callable[..., Any], request: SplitRequest, config: TaskConfig, options: Mapping[str, Any]
) -> StoredRows:
    """Let the task's code make the rows by split, as lm-eval does."""
    metadata = config.get("metadata", {})
    try:
        made = make(**(metadata if isinstance(metadata, Mapping) else {}), **options)
        rows: Sequence[Row] = made[request.select(made)]
        columns = tuple(rows[0])
    except TaskError:
        raise
    except Exception as error:  # whatever the task's code raises
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise config.error(f"makes no rows by split: {text}", "custom_dataset") from error
    return StoredRows(rows, columns, config.path.parent, lambda: "")
