"""Reads YAML files with the line number of every key, so that an error can name file, line and key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vtbench.errors import VtbenchError

SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader if PyYAML was built with it, which is faster."""


def load_yaml(
    path: Path, error: type[VtbenchError] = VtbenchError, loader: type[yaml.SafeLoader] = SafeLoader
) -> tuple[dict[str, Any], yaml.Node]:
    """Return the mapping in a file, and its node tree for `line_of`. The loader is safe: it runs no code.

    Args:
        path: the file.
        error: class of the error to raise.
        loader: a safe loader that knows further tags.

    Raises:
        error: the file cannot be read, is not YAML, repeats a key, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        reader = loader(text)
        node = reader.get_single_node()
        data = None if node is None else reader.construct_document(node)
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{path}: cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        raise error(f"{path}, line {line}: not valid YAML: {problem.problem}") from None
    if not isinstance(data, dict) or node is None:
        raise error(f"{path}: must hold `key: value` lines, but holds {type(data).__name__}")
    _refuse_repeats(path, node, error)
    return data, node


def line_of(node: yaml.Node, keys: Sequence[str | int]) -> int:
    """Return the line (from 1) of the value at a path of keys, or of the last part of the path that exists."""
    line = node.start_mark.line
    for key in keys:
        child = None
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if name.value == str(key):
                    child, line = value, name.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            child = node.value[key]
            line = child.start_mark.line
        if child is None:
            break
        node = child
    return line + 1


def _refuse_repeats(path: Path, node: yaml.Node, error: type[VtbenchError]) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if name.value in seen:
                raise error(f"{path}, line {name.start_mark.line + 1}: the key {name.value!r} occurs twice")
            seen.add(name.value)
            _refuse_repeats(path, value, error)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeats(path, value, error)
