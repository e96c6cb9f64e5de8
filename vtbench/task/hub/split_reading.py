"""Reads one split of a data set with the `datasets` library.

    SplitRequest -> StoredRows

Only data sets of the hub are fetched. `datasets` copies what it reads to its cache (`HF_DATASETS_CACHE`).
"""

from __future__ import annotations

import hashlib
import logging
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from vtbench.errors import TaskError, install_command
from vtbench.task.files import digest_files
from vtbench.task.hub.file_faults import fault_in, reason_of
from vtbench.task.hub.moved_paths import moved_to
from vtbench.task.hub.split_request import FILE_FORMATS, Part, SplitRequest
from vtbench.task.hub.stored_rows import StoredRows

_TABLE_SUFFIXES = frozenset({".parquet", ".arrow", ".csv", ".tsv", ".json", ".jsonl"})
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_URL = re.compile(r"\w+://")


def read_local(request: SplitRequest) -> StoredRows:
    """Read one split of local files, or of a directory.

    A directory is one of `save_to_disk`, or one whose dataset card or file names say which file belongs to which split.

    Raises:
        TaskError: no such file or split, or a file that cannot be read.
    """
    directory = request.folder / request.source
    with _quiet_datasets(request):
        if request.source not in FILE_FORMATS:
            if not directory.is_dir():
                raise request.fail(f"there is no directory {directory}", "source")
            if any((directory / name).is_file() for name in ("dataset_dict.json", "state.json")):
                return _load_saved(directory, request)
        return _read_files(request)


def read_hub(request: SplitRequest) -> StoredRows:
    """Read one split of a data set of the hub, or of the cache.

    All its splits are fetched, so that other tools find them in the cache too.

    Raises:
        TaskError: the hub does not give it and the cache does not have it, or it has no such configuration, revision or
            split.
    """
    with _quiet_datasets(request), _offline_without_a_network():
        return _read_hub(request)


@contextmanager
def _offline_without_a_network() -> Iterator[None]:
    """Ask nobody where the hub's name cannot be resolved: a minute of attempts would end in the cache too."""
    import datasets

    known = datasets.config.HF_HUB_OFFLINE or "https" in getproxies()
    if known or _resolves(urlsplit(datasets.config.HF_ENDPOINT).hostname or ""):
        yield
        return
    datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = False


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


@contextmanager
def _quiet_datasets(request: SplitRequest) -> Iterator[None]:
    """Import `datasets`, and keep its progress bars and log lines off the terminal: an error is one line."""
    try:
        import datasets
    except ImportError:
        raise request.fail(f"reading data needs `datasets`: {install_command('data')}", "source") from None
    silent, level = datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    hub = logging.getLogger("huggingface_hub")  # it tells of each attempt
    hub_level = hub.level
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    hub.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        hub.setLevel(hub_level)
        datasets.logging.set_verbosity(level)
        if not silent:
            datasets.enable_progress_bars()


def _read_files(request: SplitRequest) -> StoredRows:
    """Read one split of files; those of other splits are not copied to the cache."""
    import datasets

    source, named, folder = request.source, request.data_files, request.folder
    chosen = dict(request.reader)
    if source not in FILE_FORMATS:
        folder = folder / source / request.data_dir
        source = str((request.folder / source).resolve())
    elif named is None and not request.data_dir:
        raise request.fail(f"{source} needs dataset_kwargs.data_files or dataset_kwargs.data_dir", "source")
    else:
        folder = folder / request.data_dir
    if request.data_dir or source in FILE_FORMATS:
        chosen["data_dir"] = str(folder.resolve())
    patterns: list[Any] = []
    split = ""
    if named is not None:
        by_split = named if isinstance(named, dict) else {"train": named}
        split = request.select(by_split)
        found = by_split[split]
        patterns = found if isinstance(found, list) else [found]
        for pattern in patterns:
            if not isinstance(pattern, str) or _URL.match(pattern):
                raise request.fail(f"must be paths of local files, not {pattern!r:.60}", "files")
    part: Part = "source" if named is None else "files"
    files: list[str] = []
    reader = source
    try:
        if not patterns:
            builder = datasets.load_dataset_builder(source, request.config, **chosen)
            split = request.select(builder.config.data_files)
            patterns = files = list(builder.config.data_files[split])
        builder = datasets.load_dataset_builder(source, request.config, data_files={split: patterns}, **chosen)
        files, reader = list(builder.config.data_files[split]), builder.name
        rows = _prepare(builder, split, verification_mode="no_checks")
    except TaskError:
        raise
    except FileNotFoundError as error:
        raise request.fail(f"there is no file: {reason_of(error)}", part) from None
    except Exception as error:
        files = files or [str(folder / pattern) for pattern in patterns]
        fault = fault_in(error, reader, files, chosen)
        raise TaskError(fault) if fault else request.fail(f"cannot be read: {reason_of(error)}", part) from None
    folder = folder / split if (folder / split).is_dir() else folder
    rows, images = _undecoded(rows)
    fingerprint = partial(_sha256, files, folder.resolve())
    columns = tuple(rows.column_names)
    return StoredRows(rows, columns, Path(files[0]).parent, fingerprint, split=split, image_columns=images)


def _read_hub(request: SplitRequest) -> StoredRows:
    import datasets

    name, revision = request.source, request.revision or "main"
    if not _HUB_NAME.fullmatch(name):
        raise request.fail(f"{name!r} is no name of a hub data set, which is OWNER/NAME", "source")
    options = {"data_files": request.data_files, "data_dir": request.data_dir, **request.reader}
    chosen = {key: value for key, value in options.items() if value}
    try:
        builder = datasets.load_dataset_builder(name, request.config, revision=revision, **chosen)
        split = request.select(builder.config.data_files or builder.info.splits or {})
        rows = _prepare(builder, split)
    except TaskError:
        raise
    except Exception as error:
        raise _hub_fault(error, request, revision) from None
    commit = str(builder.hash)
    if _COMMIT.fullmatch(revision) and commit != revision:
        raise request.fail(f"the cache has commit {commit}, not {revision}", "revision")
    rows, images = _undecoded(rows)
    columns = tuple(rows.column_names)
    return StoredRows(rows, columns, request.folder, lambda: commit, commit, split, images)


def _hub_fault(error: Exception, request: SplitRequest, revision: str) -> TaskError:
    """Return the error of a data set that the hub does not give: what is wrong, and what to do."""
    name, reason = request.source, reason_of(error)
    if "BuilderConfig" in reason or "Config name is missing" in reason:
        return request.fail(f"{name}: {reason}", "config")
    if "evision" in reason:
        page = f"https://huggingface.co/datasets/{name}/commits/main"
        return request.fail(f"{name} has no revision {revision!r}; {page} lists its commits", "revision")
    if new := moved_to(name):
        return request.fail(f"{name!r} moved to {new!r}: write that name. ({reason})", "source")
    config = f", {request.config!r}" if request.config else ""
    pinned = f", revision={request.revision!r}" if request.revision else ""
    return request.fail(
        f"the hub does not give {name!r}, and the cache does not have it: {reason}. Where there is a network, run "
        f'`python -c "import datasets; datasets.load_dataset({name!r}{config}{pinned})"`, and copy the cache '
        "(HF_HOME) here; or save it with save_to_disk and name that directory",
        "source",
    )


def _load_saved(directory: Path, request: SplitRequest) -> StoredRows:
    """Load what `save_to_disk` wrote."""
    import datasets

    try:
        found = datasets.load_from_disk(str(directory.resolve()))
    except Exception as error:
        message = f"{directory} is not what save_to_disk writes: {reason_of(error)}"
        raise request.fail(message, "source") from None
    split = request.select(found) if isinstance(found, datasets.DatasetDict) else request.split or ""
    rows = found[split] if isinstance(found, datasets.DatasetDict) else found
    files = [file["filename"] for file in rows.cache_files]
    rows, images = _undecoded(rows.with_format("python", lazy=True))
    columns = tuple(rows.column_names)
    fingerprint = partial(_sha256, files, directory)
    return StoredRows(rows, columns, directory, fingerprint, split=split, image_columns=images)


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
