"""Reads YAML files with the line number of every key, so that an error can name file, line and key.

A file may come from a stranger. Its events are counted before anything is built of them, so that reading takes bounded
time and memory: aliases that multiply, nesting without end and huge files are refused on one line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vtbench.errors import VtbenchError

_Base: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader if PyYAML was built with it, which is faster."""
MOST_BYTES = 4 << 20
"""Size of the largest file that is read."""
MOST_DEPTH = 40
"""Levels of the deepest nesting."""
MOST_NODES = 200_000
"""Nodes of a document, with the target of each alias counted where the alias stands."""
_MOST_DIGITS = {"int": 18, "float": 300}
"""Characters of a number: whole ones fit 64 bits, others are finite."""
_DECIMAL = r"(0|[1-9][0-9_]*)"


class SafeLoader(_Base):  # type: ignore[misc, valid-type]
    """The safe loader, with decimal numbers alone.

    YAML 1.1 reads `010` as 8, `1:30` as 90, `0x1f` as 31 and `2024-01-01` as a date. Here they are texts, which a key
    for a number takes in decimal (10) or refuses.
    """


SafeLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("int", "float", "timestamp")]
    for first, resolvers in _Base.yaml_implicit_resolvers.items()
}
SafeLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(rf"[-+]?{_DECIMAL}\Z"), list("-+0123456789"))
SafeLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(rf"([-+]?({_DECIMAL}\.[0-9_]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z"),
    list("-+0123456789."),
)


def load_yaml(
    path: Path, error: type[VtbenchError] = VtbenchError, loader: type[yaml.SafeLoader] = SafeLoader
) -> tuple[dict[str, Any], yaml.Node]:
    """Return the mapping in a file, and its node tree for `line_of`. The loader is safe: it runs no code.

    Args:
        path: the file.
        error: class of the error to raise.
        loader: a safe loader that knows further tags.

    Raises:
        error: the file cannot be read, is not YAML, is too large or nested too deeply, repeats a key, or is not a
            mapping of texts.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # opening a pipe would wait for its writer
            raise error(f"{path}: cannot be read: no regular file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as problem:  # ValueError: not UTF-8, or a zero byte in the path
        raise error(f"{path}: cannot be read: {getattr(problem, 'strerror', None) or problem}") from None
    if len(content) > MOST_BYTES:
        raise error(f"{path}: cannot be read: larger than {MOST_BYTES >> 20} MB, which no file of settings is")
    node, data = _parse(text, f"{path}", error, loader)
    if not isinstance(data, dict) or node is None:
        held = "nothing" if data is None else type(data).__name__
        raise error(f"{path}: must hold `key: value` lines, but holds {held}")
    for key, _ in node.value:
        if key.tag != "tag:yaml.org,2002:str":
            line = key.start_mark.line + 1
            raise error(f"{path}, line {line}: the key {key.value!r} is no text; write it in quotes")
    return data, node


def parse_value(text: str, what: str) -> Any:
    """Return the value of one YAML scalar, flow list or flow mapping, as a setting of the command line has it.

    Args:
        text: the value.
        what: its label in errors.

    Raises:
        VtbenchError: it is not YAML, too long, nested too deeply, or repeats a key.
    """
    if len(text) > MOST_BYTES:
        raise VtbenchError(f"{what}: a value of {len(text):,} characters")
    return _parse(text, what, VtbenchError, SafeLoader)[1]


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


def _parse(
    text: str, where: str, error: type[VtbenchError], loader: type[yaml.SafeLoader]
) -> tuple[yaml.Node | None, Any]:
    try:
        _check_size(text)
        reader = loader(text)
        node = reader.get_single_node()
        if node is None:
            return None, None
        _check_nodes(node)
        return node, reader.construct_document(node)
    except yaml.MarkedYAMLError as problem:
        line = problem.problem_mark.line + 1 if problem.problem_mark else 1
        what = "" if isinstance(problem, _RefusedError) else "not valid YAML: "
        raise error(f"{where}, line {line}: {what}{problem.problem}") from None
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        raise error(f"{where}, line {line}: not valid YAML: the character {_code(problem.character)}") from None
    except Exception as problem:  # a tag such as !!int hands its text to int(), !!timestamp to datetime, and so on
        raise error(f"{where}: not valid YAML: {type(problem).__name__}: {problem}") from None


class _RefusedError(yaml.MarkedYAMLError):
    """YAML that is valid, and that no file of settings holds."""

    def __init__(self, problem: str, node: yaml.Node | yaml.Event) -> None:
        super().__init__(problem=problem, problem_mark=node.start_mark)  # type: ignore[arg-type]  # libyaml's mark


def _code(character: str | int) -> str:
    return f"U+{character if isinstance(character, int) else ord(character):04X}"


def _check_size(text: str) -> None:
    """Refuse a document that would take more memory, time or stack than its text shows.

    Raises:
        _RefusedError: with the place.
    """
    anchors: dict[str | None, tuple[int, int]] = {}
    """By anchor: the number of nodes, and of levels."""
    above: list[list[Any]] = []
    """Of each open collection: its anchor, the number of nodes before it, and the levels below it."""
    size = 0
    for event in yaml.parse(text, Loader=_Base):
        levels = 0
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in anchors:
                raise _RefusedError(f"the alias *{event.anchor} stands for nothing, or for itself", event)
            nodes, levels = anchors[event.anchor]
            size += nodes
        elif isinstance(event, yaml.ScalarEvent):
            size += 1
            anchors[event.anchor] = 1, 0
        elif isinstance(event, yaml.CollectionStartEvent):
            size += 1
            anchors.pop(event.anchor, None)
            above.append([event.anchor, size - 1, 0])
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before, below = above.pop()
            levels = below + 1
            anchors[anchor] = size - before, levels
        if above:
            above[-1][2] = max(above[-1][2], levels)
        if len(above) + levels > MOST_DEPTH:
            raise _RefusedError(f"nested more than {MOST_DEPTH} levels deep", event)
        if size > MOST_NODES:
            raise _RefusedError(f"more than {MOST_NODES:,} values, with each alias written out", event)


def _check_nodes(node: yaml.Node) -> None:
    """Refuse repeated keys, and numbers of more digits than any quantity has.

    Raises:
        _RefusedError: with the place.
    """
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode):
                if name.value in seen:
                    raise _RefusedError(f"the key {name.value!r} occurs twice", name)
                seen.add(name.value)
            _check_nodes(name)
            _check_nodes(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _check_nodes(value)
    elif len(node.value) > _MOST_DIGITS.get(node.tag.rpartition(":")[2], MOST_BYTES):
        raise _RefusedError(f"a number of {len(node.value):,} characters; write a text in quotes", node)
