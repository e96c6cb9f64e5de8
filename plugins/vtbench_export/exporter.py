"""`export`: loads tasks by name and writes them in one of four formats to a new directory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.adapter import PLAIN
from vtbench.errors import SampleError, VtbenchError, install_command, nearest
from vtbench.registry import Registry
from vtbench.task.locations import open_task, task_locations
from vtbench.task.names import check_name
from vtbench.task.prepared import Limited, in_format
from vtbench.types import Sample, Task
from vtbench_export.atomic_directory import atomic_directory
from vtbench_export.defaults import IMAGE_SIZE, RUN_FORMATS, SHARD_BYTES
from vtbench_export.errors import ExportError
from vtbench_export.sample_rows import TaskExport

Writer = Callable[[Sequence[TaskExport], Path, int], None]
"""Writes tasks into an empty directory; the last argument is the approximate maximum of image bytes per file."""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What an export wrote."""

    path: Path
    format: str
    samples: dict[str, int]
    """Number of samples by task."""
    files: int
    bytes: int
    seconds: float
    notes: tuple[str, ...] = ()
    """What a user should know, e.g. images that cannot be shown."""

    @property
    def rate(self) -> float:
        """Samples per second."""
        return sum(self.samples.values()) / self.seconds

    def document(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""
        facts = {"output": str(self.path), "format": self.format, "samples": self.samples, "files": self.files}
        times = {"seconds": round(self.seconds, 3), "samples_per_second": round(self.rate, 1)}
        return facts | {"bytes": self.bytes} | times | ({"notes": list(self.notes)} if self.notes else {})


def export(
    tasks: str | Sequence[str],
    format: str,
    output: str | Path,
    *,
    limit: int | None = None,
    split: str | None = None,
    seed: int | None = None,
    prompt_format: str = PLAIN,
    image_size: int = IMAGE_SIZE,
    shard_bytes: int = SHARD_BYTES,
    registry: Registry | None = None,
    on_start: Callable[[int], Callable[[int], None]] = lambda total: lambda written: None,
) -> ExportResult:
    """Write tasks for other tools, e.g. `export(["relational"], "parquet", "relational")`.

    Args:
        tasks: names, globs, groups (`all`) or task files, as `vtbench run --tasks` takes them; a list, or with commas.
        format: `lm-eval`, `lmms-eval`, `parquet` or `webdataset`.
        output: the directory to make; it must not be there, or be empty.
        limit: number of samples of each task, from its first.
        split: in place of the one that each task names.
        seed: in place of the one that each task names.
        prompt_format: how questions are put: `plain`, `instruct` for models that have not seen the benchmark, or a
            task's own format, but for those with letters, which exported rules of scoring do not know.
        image_size: side in pixels of rendered images, where a task does not set its own.
        shard_bytes: approximate maximum of image bytes per file.
        registry: plugins to use; the installed ones by default.
        on_start: is called with the number of samples; returns a function that is called with the number of samples
            written since its last call.

    Raises:
        VtbenchError: unknown task or format, an output directory that is not empty, or a sample that cannot be made;
            nothing is left behind then.
    """
    for name, value, least, most in (("limit", limit, 1, None), ("image-size", image_size, 16, 4096)):
        if value is not None and not least <= value <= (most or value):
            raise ExportError(f"--{name}: must be {f'{least} to {most}' if most else 'above 0'}, not {value}")
    write = find_writer(format)
    names = tasks.split(",") if isinstance(tasks, str) else tasks
    wanted = [name.strip() for name in names if name.strip()]
    if not wanted:
        raise ExportError("--tasks: names no task; `vtbench ls tasks` lists what there is")
    loaded = _load(wanted, registry or Registry(), limit, split, seed, prompt_format)
    samples = {task.name: len(task) for task in loaded}
    with atomic_directory(Path(output)) as directory:
        advance = on_start(sum(samples.values()))
        start = time.perf_counter()
        write([TaskExport(task, image_size, advance) for task in loaded], directory, shard_bytes)
        seconds = time.perf_counter() - start
        sizes = [path.stat().st_size for path in directory.rglob("*") if path.is_file()]
    return ExportResult(Path(output), format, samples, len(sizes), sum(sizes), seconds)


def _load(
    names: Sequence[str],
    registry: Registry,
    limit: int | None,
    split: str | None,
    seed: int | None,
    prompt_format: str,
) -> list[Task]:
    tasks: dict[str, Task] = {}
    for place in task_locations(names, registry):
        task = open_task(place, registry, split=split, seed=seed)
        if task.name in tasks:
            raise VtbenchError(f"{place}: a second task called {task.name!r} in one export; rename one")
        if not len(task):
            raise VtbenchError(f"{place}: task {task.name!r} has no samples in split {task.split!r}")
        if task.split:
            check_name(task.split, f"{place}: split", ExportError)  # it becomes a part of file names
        task = in_format(task, prompt_format)
        first = _first(task)
        if first.synonyms:
            raise ExportError(
                f"{place}: task {task.name!r} has synonyms, which no other tool would score; leave them out"
            )
        if first.labels:
            raise ExportError(f"--prompt-format: {prompt_format!r} has letters, which no other tool would score")
        tasks[task.name] = Limited(task, limit) if limit else task
    return list(tasks.values())


def _first(task: Task) -> Sample:
    """Return the first sample that can be made; an empty one if none of the first can, which the export then says."""
    for index in range(min(8, len(task))):
        with suppress(SampleError):
            return task.sample(index)
    return Sample("", 0, (), "", "")


def _lm_eval() -> Writer:
    from vtbench_export.harness_tasks import write_lm_eval

    return write_lm_eval


def _lmms_eval() -> Writer:
    from vtbench_export.harness_tasks import write_lmms_eval

    return write_lmms_eval


def _parquet() -> Writer:
    from vtbench_export.parquet_dataset import write_parquet_dataset

    return write_parquet_dataset


def _webdataset() -> Writer:
    from vtbench_export.webdataset_shards import write_webdataset

    return write_webdataset


# Imported when asked for: all but `webdataset` need pyarrow.
FORMATS: dict[str, Callable[[], Writer]] = {
    "lm-eval": _lm_eval,
    "lmms-eval": _lmms_eval,
    "parquet": _parquet,
    "webdataset": _webdataset,
}


def find_writer(name: str) -> Writer:
    """Return the writer of a format.

    Raises:
        ExportError: there is no such format, or a package that it needs is not installed.
    """
    if name in RUN_FORMATS:
        raise ExportError(f"--format {name} is of a finished run: vtbench export RUN --format {name} --output DIR")
    if name not in FORMATS:
        raise ExportError(f"unknown format {name!r}.{nearest(name, [*FORMATS, *RUN_FORMATS])}")
    try:
        return FORMATS[name]()
    except ImportError as error:
        raise ExportError(f"--format {name} needs {error.name}: {install_command('parquet')}") from error
