"""Locations of tasks: the path of a task file, or `SOURCE:WHERE` for a format that a plugin reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from vtbench.errors import TaskError, VtbenchError, nearest
from vtbench.registry import Registry
from vtbench.task.catalog import find_task_files, summary
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
            hint = f"{nearest(source, list(loaders), 'vtbench ls formats')}{registry.broken_note(source)}"
            raise VtbenchError(f"{location}: nothing here reads tasks of the format {source!r}.{hint}")
        task: Task = loaders[source].factory(where, split=split, seed=seed, allow_code=allow_code)
    else:
        from vtbench.task.loading import load_task

        families = {name: named.factory for name, named in registry.named("scene family").items()}
        task = load_task(Path(location), registry.task_dirs(), families, split=split, seed=seed)
    check_name(task.name, f"{location}: task", TaskError)
    return task


def task_locations(wanted: Sequence[str], registry: Registry) -> list[str]:
    """Return the locations of tasks given by name, group (`all`), path, glob or `SOURCE:WHERE`.

    The order is that of `wanted`, without repeats.

    Raises:
        VtbenchError: no task has this name.
    """
    files = find_task_files(registry.task_dirs())
    found: dict[str, None] = {}
    for name in wanted:
        matching: list[str | Path]
        if split_location(name):
            matching = [name]
        elif grouped := [file for file in files.values() if name in summary(file)["groups"]]:
            if name in files:
                raise VtbenchError(f"{name!r} is a task ({files[name]}) and a group of tasks: give the task's file")
            matching = [*grouped]
        elif name in files:
            matching = [files[name]]
        elif name.endswith((".yaml", ".yml")) or "/" in name:
            if not Path(name).is_file():
                raise VtbenchError(f"{name}: no such task file")
            matching = [Path(name)]
        else:
            matching = [file for key, file in files.items() if fnmatchcase(key, name)]
        if not matching:
            near = nearest(name, [*files, "all"], "vtbench ls tasks")
            raise VtbenchError(f"unknown task {name!r}.{near}{registry.broken_note(name)}")
        found |= dict.fromkeys(map(str, matching))
    return list(found)
