"""Rows of the split that a task config evaluates, read by the `datasets` library as the harnesses read them.

`dataset_path` names a file format, a local directory, or a data set on the Hugging Face hub. Only the latter is
fetched. Paths are relative to the task config. `datasets` copies what it reads to its cache (`HF_DATASETS_CACHE`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vtbench.errors import SampleError, TaskError
from vtbench.task.files import digest_files
from vtbench.task.images import image_path, images_in, open_image
from vtbench_import.code_loader import CodeLoader
from vtbench_import.task_config import Function, TaskConfig

Row = Mapping[str, Any]

FILE_FORMATS = ("parquet", "arrow", "csv", "json", "imagefolder")
"""Values of `dataset_path` that name a reader of `datasets`; the files are named in `dataset_kwargs`."""
_TABLE_SUFFIXES = frozenset({".parquet", ".arrow", ".csv", ".json", ".jsonl"})
_READER_OPTIONS = ("field", "sep", "delimiter")
"""Entries of `dataset_kwargs` that a reader takes."""
_USED = frozenset({"data_files", "data_dir", "load_from_disk", "revision", *_READER_OPTIONS})
_IGNORED = {
    *("token", "use_auth_token", "trust_remote_code", "cache_dir", "local_files_only", "num_proc", "max_retries"),
    *("force_download", "keep_in_memory", "verification_mode"),
}
"""Entries that decide how data is fetched, not which rows it has."""
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_URL = re.compile(r"\w+://")


@dataclass(frozen=True)
class Rows:
    """Rows of one split. An image is opened when its cell is read."""

    rows: Sequence[Row]
    """A `datasets.Dataset`, or what the task's own code made."""
    columns: tuple[str, ...]
    folder: Path
    """What relative image paths are relative to."""
    fingerprint: Callable[[], str]
    """Returns the sha256 of the files that hold the rows, or the commit of a hub data set."""
    image_columns: frozenset[str] = frozenset()
    """Columns of undecoded images, `{bytes, path}` or lists of them."""

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Row:
        row = self.rows[index]
        return _ImageRow(row, self.image_columns, self.folder) if self.image_columns else row

    def named_images(self, columns: Iterable[str]) -> Iterator[Path]:
        """Yield the files that image columns of texts name; columns of bytes are part of the fingerprint."""
        features: Mapping[str, Any] = getattr(self.rows, "features", None) or {}
        for name in columns:
            inner: Any = features.get(name)
            while hasattr(inner, "feature"):
                inner = inner.feature
            if getattr(inner, "dtype", None) in ("string", "large_string"):
                for value in self.rows[name]:  # type: ignore[call-overload]
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


@dataclass(frozen=True, slots=True)
class _Split:
    """The split to evaluate, and the key that names it; None for `--split`."""

    name: str
    key: str | None
    config: TaskConfig

    def select(self, splits: Mapping[str, Any]) -> Any:
        """Return the entry of the split.

        Raises:
            TaskError: there is no such split.
        """
        if self.name in splits:
            return splits[self.name]
        found = f"the data has {', '.join(map(repr, map(str, splits))) or 'no splits'}"
        if self.key:
            raise self.config.error(f"no split {self.name!r}; {found}", self.key)
        raise self.config.error(f"no split {self.name!r}, as --split says; {found}", "dataset_path")


def load_split(config: TaskConfig, split: str | None, code: CodeLoader) -> tuple[Rows, str]:
    """Return the rows of the split to evaluate, and its name: `split`, else `test_split`, else `validation_split`.

    lm-eval's `custom_dataset` is called where `dataset_path` names no file format.

    Raises:
        TaskError: the data is not there or cannot be read, or there is no such split.
    """
    key = next((key for key in ("test_split", "validation_split") if config.get(key)), None)
    if split is None and key is None:
        raise config.error("no split to evaluate; name one in test_split, or with --split", "task")
    wanted = _Split(split or str(config.get(str(key))), None if split else key, config)
    options, path, make = _options(config), config.get("dataset_path"), config.get("custom_dataset")
    if path not in FILE_FORMATS and isinstance(make, Function):
        return _call_custom(code.load(make, "custom_dataset"), wanted, options), wanted.name
    if path is None:
        raise config.error("no data: the task config has no dataset_path", "task")
    directory = config.path.parent / path
    with _quiet_datasets(config):
        if path not in FILE_FORMATS and not directory.is_dir():
            rows = _read_hub(path, wanted, options)
        elif any((directory / name).is_file() for name in ("dataset_dict.json", "state.json")):
            rows = _load_saved(directory, wanted)
        else:
            rows = _read_local(path, wanted, options)
    return rows, wanted.name


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


def _call_custom(make: Callable[..., Any], wanted: _Split, options: Mapping[str, Any]) -> Rows:
    """Let the task's code make the rows by split, as lm-eval does."""
    config = wanted.config
    metadata = config.get("metadata", {})
    try:
        made = make(**(metadata if isinstance(metadata, Mapping) else {}), **options)
        rows: Sequence[Row] = wanted.select(made)
        columns = tuple(rows[0])
    except TaskError:
        raise
    except Exception as error:  # whatever the task's code raises
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise config.error(f"makes no rows by split: {text}", "custom_dataset") from error
    return Rows(rows, columns, config.path.parent, lambda: "")


@contextmanager
def _quiet_datasets(config: TaskConfig) -> Iterator[None]:
    """Import `datasets`, and keep its progress bars and log lines off the terminal: an error is one line."""
    try:
        import datasets
    except ImportError:
        raise config.error("reading data needs `datasets`: pip install 'vtbench[data]'", "dataset_path") from None
    silent, level = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(level)
        if not silent:
            datasets.enable_progress_bars()


def _read_local(source: str, wanted: _Split, options: Mapping[str, Any]) -> Rows:
    """Read one split of local files; those of other splits are not copied to the cache.

    Args:
        source: one of `FILE_FORMATS`, whose files `data_files` or `data_dir` name; or a directory, whose dataset card
            or file names say which file belongs to which split.
        wanted: the split.
        options: `dataset_kwargs`.

    Raises:
        TaskError: no such file or split, or a file that cannot be read.
    """
    import datasets

    config, named = wanted.config, options.get("data_files")
    chosen = {name: options[name] for name in _READER_OPTIONS if name in options}
    subset, subfolder = config.get("dataset_name"), str(options.get("data_dir") or "")
    key: tuple[str, ...] = ("dataset_path",)
    if source not in FILE_FORMATS:
        folder = config.path.parent / source / subfolder
        source = str((config.path.parent / source).resolve())
    elif named is None and not subfolder:
        raise config.error(f"{source} needs dataset_kwargs.data_files or dataset_kwargs.data_dir", *key)
    else:
        folder = config.path.parent / subfolder
    if subfolder or source in FILE_FORMATS:
        chosen["data_dir"] = str(folder.resolve())
    patterns: list[Any] = []
    if named is not None:
        key = ("dataset_kwargs", "data_files")
        found = wanted.select(named if isinstance(named, Mapping) else {"train": named})
        patterns = found if isinstance(found, list) else [found]
        for pattern in patterns:
            if not isinstance(pattern, str) or _URL.match(pattern):
                raise config.error(f"must be paths of local files, not {pattern!r:.60}", *key)
    files: list[str] = []
    reader = source
    try:
        if not patterns:
            builder = datasets.load_dataset_builder(source, subset, **chosen)
            patterns = files = list(wanted.select(builder.config.data_files))
        builder = datasets.load_dataset_builder(source, subset, data_files={wanted.name: patterns}, **chosen)
        files, reader = list(builder.config.data_files[wanted.name]), builder.name
        rows = _prepare(builder, wanted.name, verification_mode="no_checks")
    except TaskError:
        raise
    except FileNotFoundError as error:
        raise config.error(f"there is no file: {_reason(error)}", *key) from None
    except Exception as error:
        files = files or [str(folder / pattern) for pattern in patterns]
        fault = _fault(error, reader, files, chosen)
        raise TaskError(fault) if fault else config.error(f"cannot be read: {_reason(error)}", *key) from None
    folder = folder / wanted.name if (folder / wanted.name).is_dir() else folder
    rows, images = _undecoded(rows)
    fingerprint = partial(_sha256, files, folder.resolve())
    return Rows(rows, tuple(rows.column_names), Path(files[0]).parent, fingerprint, images)


def _read_hub(name: str, wanted: _Split, options: Mapping[str, Any]) -> Rows:
    """Read a data set of the hub, or of the cache; all its splits are fetched, so that the harnesses find them too."""
    import datasets

    config, revision = wanted.config, str(options.get("revision") or "main")
    if not _HUB_NAME.fullmatch(name):
        raise config.error(f"{config.path.parent / name} is no directory, and {name!r} no hub name", "dataset_path")
    chosen = {key: options[key] for key in ("data_files", "data_dir", *_READER_OPTIONS) if options.get(key)}
    try:
        builder = datasets.load_dataset_builder(name, config.get("dataset_name"), revision=revision, **chosen)
        wanted.select(builder.config.data_files or builder.info.splits or {})
        rows = _prepare(builder, wanted.name)
    except TaskError:
        raise
    except Exception as error:
        raise config.error(
            f"{name!r} is no directory beside the task config, and the hub does not give it: {_reason(error)}. "
            f"Fetch it where there is a network, with datasets.load_dataset({name!r}), or save it with save_to_disk "
            "and name that directory",
            "dataset_path",
        ) from None
    commit = str(builder.hash)
    if _COMMIT.fullmatch(revision) and commit != revision:
        raise config.error(f"the cache has commit {commit}, not {revision}", "dataset_kwargs", "revision")
    rows, images = _undecoded(rows)
    return Rows(rows, tuple(rows.column_names), config.path.parent, lambda: commit, images)


def _load_saved(directory: Path, wanted: _Split) -> Rows:
    """Load what `save_to_disk` wrote."""
    import datasets

    try:
        found = datasets.load_from_disk(str(directory.resolve()))
    except Exception as error:
        message = f"{directory} is not what save_to_disk writes: {_reason(error)}"
        raise wanted.config.error(message, "dataset_path") from None
    rows = wanted.select(found) if isinstance(found, datasets.DatasetDict) else found
    files = [file["filename"] for file in rows.cache_files]
    rows = rows.with_format("python", lazy=True)
    rows, images = _undecoded(rows)
    return Rows(rows, tuple(rows.column_names), directory, partial(_sha256, files, directory), images)


def _undecoded(rows: Any) -> tuple[Any, frozenset[str]]:
    """Return a `datasets.Dataset` that leaves its images undecoded, and the names of its image columns."""
    import datasets

    plain, images = datasets.Image(decode=False), set()
    for name, feature in rows.features.items():
        inner = feature
        while inner is not None and not isinstance(inner, datasets.Image):
            inner = getattr(inner, "feature", None) if not isinstance(inner, dict) else None
        if isinstance(feature, datasets.Image):
            rows = rows.cast_column(name, plain)
        elif inner is not None:
            rows = rows.cast_column(name, type(feature)(plain))
        else:
            continue
        images.add(name)
    return rows, frozenset(images)


def _prepare(builder: Any, split: str, **settings: Any) -> Any:
    """Return a split as a `datasets.Dataset` whose cells are decoded one by one, when they are read."""
    import datasets

    builder.download_and_prepare(**settings)
    if not builder.info.splits[split].num_examples:
        return datasets.Dataset.from_dict({})
    return builder.as_dataset(split).with_format("python", lazy=True)


def _sha256(files: Sequence[str], folder: Path) -> str:
    """Return the sha256 of the tables among the files, and what tells the images among them from changed ones."""
    paths = [Path(file) for file in files]
    tables = [path for path in paths if path.suffix.lower() in _TABLE_SUFFIXES]
    digest = hashlib.sha256()
    for path in tables:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    digest.update((digest_files(set(paths).difference(tables), folder) or "").encode())
    return digest.hexdigest()


def _reason(error: BaseException) -> str:
    """Return what went wrong in one line: `datasets` puts the error of a reader under one of its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}".split("\n")[0][:300]


def _fault(error: Exception, reader: str, files: Sequence[str], options: Mapping[str, Any]) -> str | None:
    """Return a line that names the file, and in JSON the line, that cannot be read: `datasets` names neither."""
    for file in files:
        if reader == "json" and (message := _json_fault(Path(file), options.get("field"))):
            return message
        if len(files) == 1 or not _readable(file, reader, options):
            return f"{file}: cannot be read as {reader}: {_reason(error)}"
    return None


def _readable(file: str, reader: str, options: Mapping[str, Any]) -> bool:
    import datasets

    try:
        rows = datasets.load_dataset(reader, data_files=file, split="train", streaming=True, **options)
        deque(rows.with_format("arrow"), maxlen=0)
    except Exception:
        return False
    return True


def _json_fault(file: Path, field: str | None) -> str | None:
    """Say what is wrong with a JSON file: one document, a list of rows, or a row a line; None where nothing is."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}"
    try:
        document = json.loads(text)
        rows = document[field] if field else document
    except (KeyError, TypeError):
        return f"{file}: there is no {field!r} at its top"
    except json.JSONDecodeError:
        rows = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                rows += [json.loads(line)] if line.strip() else []
            except json.JSONDecodeError as error:
                return f"{file}, line {number}: not valid JSON: {error.msg}"
    wrong = next((row for row in (rows if isinstance(rows, list) else [rows]) if not isinstance(row, dict)), None)
    return wrong and f"{file}: a row must be an object with keys, but is {type(wrong).__name__}"
