"""The one call behind `vtbench export`: tasks by name in, a finished directory out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.engine.setup import LimitedTask, task_places
from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench.task.locations import open_task
from vtbench.types import Task
from vtbench_export import IMAGE_SIZE
from vtbench_export.aside import written_aside
from vtbench_export.errors import ExportError
from vtbench_export.formats import writer
from vtbench_export.rows import Source

SHARD_BYTES = 500_000_000
"""Pictures of so many bytes go into one file."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    path: Path
    format: str
    samples: dict[str, int]
    """By task."""
    files: int
    bytes: int
    seconds: float

    @property
    def rate(self) -> float:
        """Samples per second."""
        return sum(self.samples.values()) / self.seconds

    def document(self) -> dict[str, Any]:
        """Return it JSON-able."""
        facts = {"output": str(self.path), "format": self.format, "samples": self.samples, "files": self.files}
        times = {"seconds": round(self.seconds, 3), "samples_per_second": round(self.rate, 1)}
        return facts | {"bytes": self.bytes} | times


def export(
    tasks: str | Sequence[str],
    format: str,
    output: str | Path,
    *,
    limit: int | None = None,
    split: str | None = None,
    seed: int | None = None,
    image_size: int = IMAGE_SIZE,
    shard_bytes: int = SHARD_BYTES,
    registry: Registry | None = None,
    begin: Callable[[int], Callable[[int], None]] = lambda total: lambda made: None,
) -> Exported:
    """Write tasks for other tools: `export(["relational"], "parquet", "relational")`.

    Args:
        tasks: names, globs, groups (`all`) or task files, as `vtbench run --tasks` takes them; a list, or with commas.
        format: `lm-eval`, `lmms-eval`, `parquet` or `webdataset`.
        output: the directory to make; it must not be there, or be empty.
        limit: only the first so many samples of each task.
        split: instead of the one that each task names.
        seed: likewise.
        image_size: side in pixels of drawn pictures, where a task does not set its own.
        shard_bytes: a file ends at about so many bytes of pictures.
        registry: plugins to use; the installed ones by default.
        begin: is told the number of samples, and returns what is told of each as it is made.

    Raises:
        VtbenchError: unknown task or format, a place that holds something, a sample that cannot be made; one line.
            Nothing is left behind then.
    """
    for name, value, least, most in (("limit", limit, 1, None), ("image-size", image_size, 16, 4096)):
        if value is not None and not least <= value <= (most or value):
            raise ExportError(f"--{name}: must be {f'{least} to {most}' if most else 'above 0'}, not {value}")
    write = writer(format)
    names = tasks.split(",") if isinstance(tasks, str) else tasks
    loaded = _load([name.strip() for name in names if name.strip()], registry or Registry(), limit, split, seed)
    samples = {task.name: len(task) for task in loaded}
    with written_aside(Path(output)) as directory:
        advance = begin(sum(samples.values()))
        began = time.perf_counter()
        write([Source(task, image_size, advance) for task in loaded], directory, shard_bytes)
        seconds = time.perf_counter() - began
        sizes = [path.stat().st_size for path in directory.rglob("*") if path.is_file()]
    return Exported(Path(output), format, samples, len(sizes), sum(sizes), seconds)


def _load(
    names: Sequence[str], registry: Registry, limit: int | None, split: str | None, seed: int | None
) -> list[Task]:
    tasks: dict[str, Task] = {}
    for place in task_places(names, registry):
        task = open_task(place, registry, split=split, seed=seed)
        if task.name in tasks:
            raise VtbenchError(f"{place}: a second task called {task.name!r} in one export; rename one")
        if not len(task):
            raise VtbenchError(f"{place}: task {task.name!r} has no samples in split {task.split!r}")
        tasks[task.name] = LimitedTask(task, limit) if limit else task  # type: ignore[assignment]
    return list(tasks.values())
