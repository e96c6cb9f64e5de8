"""What a task file leaves out: the keys of the task that it extends, and its family's questions and prompt formats.

Paths are made absolute here, where it is known which file they stand in.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from vtbench.errors import TaskError, nearest
from vtbench.task.catalog import builtin_tasks, find_task_files
from vtbench.task.yaml_lines import load_yaml

MERGED = frozenset({"scene", "relations", "questions", "formats", "data"})
"""Keys whose own keys are taken one by one; another key of the file stands for all of the included one."""
_DIRECTORIES = ("cast", "backgrounds")
_NOT_TAKEN = frozenset({"task", "groups"})
"""What names a task is its own: a variant of `relational` is not one of `all`."""


def included(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the keys of a task file with those of the file that it includes.

    Args:
        data: the file's own keys.
        path: the file; it may include a built-in task, or a file beside it, by name.

    Raises:
        TaskError: there is no such task, it cannot be read, or files include each other.
    """
    return _merged(data, Path(path), ())


def _merged(data: Mapping[str, Any], path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    data, name = _located(data, path), data.get("include")
    if name is None:
        return data
    if not isinstance(name, str):
        raise TaskError(f"{path}: include: must be the name of one task, but is {type(name).__name__}")
    files = {**find_task_files(), **{file.stem: file for file in path.parent.glob("*.yaml")}}
    source = files.get(name.removesuffix(".yaml"))
    if source is None:
        near = nearest(name, list(files), "vtbench ls tasks")
        raise TaskError(f"{path}: include: there is no task {name!r}, built-in or beside it.{near}")
    source, chain = source.resolve(), (*chain, path.resolve())
    if source in chain:
        raise TaskError(f"{path}: include: {' -> '.join(file.stem for file in (*chain, source))} include each other")
    base = _merged(load_yaml(source, TaskError)[0], source, chain)
    found = {key: value for key, value in base.items() if key not in _NOT_TAKEN}
    return merged(found, {key: value for key, value in data.items() if key != "include"}, MERGED)


def _located(data: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the keys of a file with the directories of its scenes as absolute paths."""
    scene = data.get("scene")
    if not isinstance(scene, Mapping):
        return dict(data)
    named = {key: scene[key] for key in _DIRECTORIES if isinstance(scene.get(key), str) and scene[key]}
    return {**data, "scene": {**scene, **{key: str(path.parent.absolute() / value) for key, value in named.items()}}}


def merged(below: Mapping[str, Any], above: Mapping[str, Any], one_by_one: Collection[str]) -> dict[str, Any]:
    """Return the keys of both, those of `above` in place of those of `below`.

    Args:
        below: keys that may be replaced.
        above: keys that replace them.
        one_by_one: keys whose own keys are taken one by one.
    """
    found = dict(below)
    for key, value in above.items():
        old = below.get(key)
        both = key in one_by_one and isinstance(value, Mapping) and isinstance(old, Mapping)
        found[key] = {**old, **value} if both else value  # type: ignore[dict-item]
    return found


def with_family_defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a task file, with the built-in questions of its family for the kinds that have none.

    The prompt formats of the family's built-in task are taken likewise, those that the file does not define itself.
    """
    builtin = _builtin(data["family"]) if isinstance(data.get("family"), str) else {}
    found = dict(data)
    own, kinds, default = data.get("questions", {}), data.get("kinds"), builtin.get("questions", {})
    if isinstance(own, Mapping) and default:
        asked = {kind for kind, weight in kinds.items() if weight} if isinstance(kinds, Mapping) else set(default)
        missing = {kind: texts for kind, texts in default.items() if kind in asked and kind not in own}
        found |= {"questions": {**own, **missing}} if missing else {}
    formats = data.get("formats", {})
    if isinstance(formats, Mapping) and builtin.get("formats"):
        found["formats"] = {**builtin["formats"], **formats}
    return found


@lru_cache(maxsize=32)
def _builtin(family: str) -> Mapping[str, Any]:
    """Return the keys of the built-in task of a family's own name; none if there is no such task."""
    path = find_task_files().get(family)
    if path is None or path.parent != builtin_tasks().resolve():
        return {}
    data = load_yaml(path, TaskError)[0]
    return data if data.get("family") == family else {}
