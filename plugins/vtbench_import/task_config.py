"""Parses a task config of a harness: its keys, with file and line of each. Follows `include:`; runs no code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from vtbench.errors import TaskError, nearest
from vtbench.task.yaml_lines import line_of, load_yaml
from vtbench_import.harness import FIXED, IGNORED, READ, REFUSED, SHAPES, Harness


@dataclass(frozen=True, slots=True)
class Function:
    """`!function module.name`: a Python function that a task config names."""

    name: str
    folder: Path
    """Folder of the naming file, where the module is searched for first."""

    def __str__(self) -> str:
        return f"!function {self.name}"


@dataclass(frozen=True)
class TaskConfig:
    """The keys of a task config, merged over those of the files that it includes."""

    path: Path
    values: Mapping[str, Any]
    _files: Mapping[str, tuple[Path, yaml.Node]]

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key; `default` where the key is missing or null."""
        value = self.values.get(key)
        return default if value is None else value

    def functions(self) -> Iterator[tuple[Function, tuple[str | int, ...]]]:
        """Yield every function that a key in use names, with the path of keys to it."""
        for key, value in self.values.items():
            if key not in IGNORED and key not in REFUSED:
                yield from _functions(value, (key,))

    def error(self, message: str, *keys: str | int) -> TaskError:
        """Return an error that names file, line and key."""
        path, node = self._files.get(str(keys[0]), (self.path, None))
        line = f", line {line_of(node, keys)}" if node else ""
        return TaskError(f"{path}{line}: {'.'.join(map(str, keys))}: {message}")


def read_task_config(path: Path, harness: Harness) -> TaskConfig:
    """Read a task config.

    Raises:
        TaskError: it cannot be read, or has an unknown or unsupported key; the message names file, line and key.
    """
    values, files = _read(path, harness, ())
    config = TaskConfig(path, values, files)
    known = READ | IGNORED | REFUSED.keys() | FIXED.keys() | harness.extra_keys | {harness.image_key}
    for key, value in values.items():
        if key not in known:
            raise config.error(f"{harness.name} has no such key that is known here.{nearest(str(key), [*known])}", key)
        if key in REFUSED and value and not (key == "doc_to_messages" and config.get(harness.image_key)):
            raise config.error(REFUSED[key], key)
        if key in FIXED and value not in (None, FIXED[key]):
            raise config.error(f"must be {FIXED[key]}, as vtbench asks each sample once, zero-shot, not {value!r}", key)
        if key in SHAPES and value is not None and not isinstance(value, SHAPES[key][0]):
            raise config.error(f"must be {SHAPES[key][1]}, not {value!r:.60}", key)
    if not isinstance(config.get("task"), str):
        if isinstance(values.get("task"), list):
            raise config.error("a group of tasks; name its tasks one by one", "task")
        raise TaskError(f"{path}: task: no name; not a task config of {harness.name}")
    return config


def _read(
    path: Path, harness: Harness, above: tuple[Path, ...]
) -> tuple[dict[str, Any], dict[str, tuple[Path, yaml.Node]]]:
    if path.resolve() in above:
        raise TaskError(f"{path}: include: the file includes itself")
    own, node = load_yaml(path, TaskError, _loader(path.parent))
    values: dict[str, Any] = {}
    files: dict[str, tuple[Path, yaml.Node]] = {}
    included = own.pop("include", None) or []
    names = [included] if isinstance(included, str) else included
    for name in reversed(names) if harness.first_include_wins else names:
        file = path.parent / str(name)
        if not file.is_file():
            raise TaskError(f"{path}, line {line_of(node, ['include'])}: include: there is no file {file}")
        further, where = _read(file, harness, (*above, path.resolve()))
        values, files = values | further, files | where
    return values | own, files | dict.fromkeys(own, (path, node))


def _functions(value: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[Function, tuple[str | int, ...]]]:
    if isinstance(value, Function):
        yield value, keys
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _functions(part, (*keys, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _functions(part, (*keys, index))


def _loader(folder: Path) -> type[yaml.SafeLoader]:
    """Return a safe loader that reads `!function` as a `Function`."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", partial(_function, folder=folder))
    return Loader


def _function(loader: yaml.SafeLoader, node: yaml.Node, folder: Path) -> Function:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "!function takes module.name", node.start_mark)
    return Function(str(loader.construct_scalar(node)), folder)
