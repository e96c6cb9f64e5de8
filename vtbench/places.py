"""Where a task is: the path of a task file, or `SOURCE:WHERE` for what a plugin reads. A place in, its task out."""

from __future__ import annotations

import re
from pathlib import Path

from vtbench.errors import VtbenchError, nearest
from vtbench.registry import Registry
from vtbench.types import Task

_SOURCED = re.compile(r"([A-Za-z][\w-]+):(?![\\/]{2})(.+)")
"""A single letter before the colon is a drive, not a source."""


def source_of(place: str) -> tuple[str, str] | None:
    """Split a place into its source and the rest; None where it names no source.

    >>> source_of("lmms:DIR/task.yaml"), source_of("DIR/task.yaml")
    (('lmms', 'DIR/task.yaml'), None)
    """
    found = _SOURCED.fullmatch(place)
    return (found[1], found[2]) if found and not Path(place).exists() else None


def resolved(place: str) -> str:
    """Return a place that holds from every directory."""
    source, where = source_of(place) or ("", place)
    where = str(Path(where).resolve()) if Path(where).exists() else where
    return f"{source}:{where}" if source else where


def open_task(
    place: str, registry: Registry, *, split: str | None = None, seed: int | None = None, allow_code: bool = False
) -> Task:
    """Load the task at a place.

    Args:
        place: a task file's path, or `SOURCE:WHERE`.
        registry: brings the sources, and the directories in which a mix finds its parts.
        split: instead of the one that the task names.
        seed: instead of the one that the task names.
        allow_code: whether code that the task names may run. A task file of vtbench never names any.

    Raises:
        VtbenchError: no plugin brings this source.
        TaskError: the task cannot be used.
    """
    if sourced := source_of(place):
        source, where = sourced
        loaders = registry.task_sources()
        if source not in loaders:
            hint = f"{nearest(source, list(loaders))}{registry.broken_note(source)}"
            raise VtbenchError(f"{place}: nothing here reads tasks of the format {source!r}.{hint}")
        task: Task = loaders[source].factory(where, split=split, seed=seed, allow_code=allow_code)
        return task
    from vtbench.task import load_task

    return load_task(Path(place), registry.task_dirs(), split=split, seed=seed)
