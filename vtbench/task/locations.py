"""Locations of tasks: the path of a task file, or `SOURCE:WHERE` for a format that a plugin reads."""

from __future__ import annotations

import re
from pathlib import Path

from vtbench.errors import TaskError, VtbenchError, nearest
from vtbench.registry import Registry
from vtbench.task.names import check_name
from vtbench.types import Task

_SOURCED = re.compile(r"([A-Za-z][\w-]+):(?![\\/]{2})(.+)")
"""A single letter before the colon is a drive letter, not a source."""


def split_location(location: str) -> tuple[str, str] | None:
    """Split a location into its source and the rest; return None if it names no source.

    >>> split_location("lmms:DIR/task.yaml"), split_location("DIR/task.yaml")
    (('lmms', 'DIR/task.yaml'), None)
    """
    found = _SOURCED.fullmatch(location)
    return (found[1], found[2]) if found and not Path(location).exists() else None


def absolute_location(location: str) -> str:
    """Return the location with an absolute path."""
    source, where = split_location(location) or ("", location)
    where = str(Path(where).resolve()) if Path(where).exists() else where
    return f"{source}:{where}" if source else where


def open_task(
    location: str, registry: Registry, *, split: str | None = None, seed: int | None = None, allow_code: bool = False
) -> Task:
    """Load the task at a location.

    Args:
        location: a task file's path, or `SOURCE:WHERE`.
        registry: has the sources, and the directories in which a mix finds its tasks.
        split: overrides the task's split.
        seed: overrides the task's seed.
        allow_code: whether code that the task names may run. vtbench's own task files never name any.

    Raises:
        VtbenchError: no plugin brings this source.
        TaskError: the task cannot be used.
    """
    if sourced := split_location(location):
        source, where = sourced
        loaders = registry.named("format")
        if source not in loaders:
            hint = f"{nearest(source, list(loaders))}{registry.broken_note(source)}"
            raise VtbenchError(f"{location}: nothing here reads tasks of the format {source!r}.{hint}")
        task: Task = loaders[source].factory(where, split=split, seed=seed, allow_code=allow_code)
    else:
        from vtbench.task.loading import load_task

        families = {name: named.factory for name, named in registry.named("scene family").items()}
        task = load_task(Path(location), registry.task_dirs(), families, split=split, seed=seed)
    check_name(task.name, f"{location}: task", TaskError)
    return task
