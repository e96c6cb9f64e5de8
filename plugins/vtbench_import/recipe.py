"""A task file of a harness in, its keys and where each stands out. `include:` is followed; no code runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from vtbench.errors import TaskError, nearest
from vtbench.task.yaml_lines import line_of, load_yaml
from vtbench_import.harness import ONLY, PASSED_OVER, READ, REFUSED, SHAPES, Harness


@dataclass(frozen=True, slots=True)
class Function:
    """`!function module.name`: Python code that a task file names."""

    name: str
    folder: Path
    """Of the file that names it, where the module is looked for first."""

    def __str__(self) -> str:
        return f"!function {self.name}"


@dataclass(frozen=True)
class Recipe:
    """The keys of a task file, those of the files that it includes under them."""

    path: Path
    values: Mapping[str, Any]
    _files: Mapping[str, tuple[Path, yaml.Node]]

    def get(self, key: str, default: Any = None) -> Any:
        """Return what a key says; `default` where it is not there or says nothing."""
        value = self.values.get(key)
        return default if value is None else value

    def functions(self) -> Iterator[tuple[Function, tuple[str | int, ...]]]:
        """Yield all code that is named in keys that are read, and where."""
        for key, value in self.values.items():
            if key not in PASSED_OVER and key not in REFUSED:
                yield from _functions(value, (key,))

    def error(self, message: str, *keys: str | int) -> TaskError:
        """Return the error about a key: file, line, key, what is wrong."""
        path, node = self._files.get(str(keys[0]), (self.path, None))
        line = f", line {line_of(node, keys)}" if node else ""
        return TaskError(f"{path}{line}: {'.'.join(map(str, keys))}: {message}")


def read_recipe(path: Path, harness: Harness) -> Recipe:
    """Read a task file.

    Raises:
        TaskError: it cannot be read, or has a key that is unknown or cannot be taken over (file, line, key).
    """
    values, files = _read(path, harness, ())
    recipe = Recipe(path, values, files)
    known = READ | PASSED_OVER | REFUSED.keys() | ONLY.keys() | harness.own | {harness.pictures}
    for key, value in values.items():
        if key not in known:
            raise recipe.error(f"{harness.name} has no such key that is known here.{nearest(str(key), [*known])}", key)
        if key in REFUSED and value and not (key == "doc_to_messages" and recipe.get(harness.pictures)):
            raise recipe.error(REFUSED[key], key)
        if key in ONLY and value not in (None, ONLY[key]):
            raise recipe.error(f"must be {ONLY[key]}, as a sample is one question here, not {value!r}", key)
        if key in SHAPES and value is not None and not isinstance(value, SHAPES[key][0]):
            raise recipe.error(f"must be {SHAPES[key][1]}, not {value!r:.60}", key)
    if not isinstance(recipe.get("task"), str):
        if isinstance(values.get("task"), list):
            raise recipe.error("a group of tasks; name its tasks one by one", "task")
        raise TaskError(f"{path}: task: no name; not a task file of {harness.name}")
    return recipe


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
    """Return a safe loader that takes `!function` for a name."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", partial(_function, folder=folder))
    return Loader


def _function(loader: yaml.SafeLoader, node: yaml.Node, folder: Path) -> Function:
    if not isinstance(node, yaml.ScalarNode):
        raise yaml.constructor.ConstructorError(None, None, "!function takes module.name", node.start_mark)
    return Function(str(loader.construct_scalar(node)), folder)
