r"""Small templates over the columns of a row, without code: `{question}\n{choices|lettered}`.

    cells of a row, choices -> text

A placeholder is the name of a column, and filters behind it: `{NAME|FILTER|FILTER:ARGUMENT}`. A brace is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import Any

from vtbench.errors import nearest
from vtbench.task import cells
from vtbench.task.cells import CellError

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
CHOICES = "choices"
"""In a template, the choices of the question as they are asked, shuffled where the task says so."""


def lettered(choices: Sequence[str]) -> str:
    r"""Return a line `A. red` for each choice.

    >>> lettered(["red", "blue"])
    'A. red\nB. blue'

    Raises:
        CellError: there are more choices than letters.
    """
    if len(choices) > len(ascii_uppercase):
        raise CellError(f"has {len(choices)} choices; there are letters for {len(ascii_uppercase)}")
    return "\n".join(f"{letter}. {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False))


def enumeration(words: Sequence[str]) -> str:
    """Return the words as one says them.

    >>> enumeration(["red", "blue", "green"])
    'red, blue or green'
    """
    *first, last = words or ("",)
    return f"{', '.join(first)} or {last}" if first else last


def _first(parts: Sequence[str]) -> str:
    if not parts:
        raise CellError("is an empty list")
    return parts[0]


_OF_LISTS: dict[str, Callable[[Sequence[str]], str]] = {
    "lettered": lettered,
    "listed": enumeration,
    "lines": "\n".join,
    "first": _first,
}
"""Filters that make a text of a list."""
_OF_TEXTS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "lower": str.lower,
    "upper": str.upper,
    "capital": lambda text: text[:1].upper() + text[1:],
    "optional": lambda text: text,
}
_WITH_ARGUMENT: dict[str, Callable[[str, str], str]] = {
    "before": lambda text, mark: text.partition(mark)[0],
    "after": lambda text, mark: text.rpartition(mark)[2],
    "without": lambda text, part: text.replace(part, ""),
}
"""Filters as `before:_`: the text before the first mark, behind the last one, or without each."""
FILTERS = (*_OF_LISTS, *_OF_TEXTS, *(f"{name}:TEXT" for name in _WITH_ARGUMENT))


def is_template(text: str) -> bool:
    """Return whether a key holds a template and not the name of a column."""
    return "{" in text


class RowTemplate:
    """A parsed template.

    Args:
        text: the template.

    Raises:
        ValueError: a brace stands alone, a placeholder is empty, or there is no such filter.
    """

    def __init__(self, text: str) -> None:
        self._parts: list[str | tuple[str, tuple[str, ...]]] = []
        end = 0
        for match in _TOKEN.finditer(text):
            self._parts.append(text[end : match.start()])
            end = match.end()
            if match.group() in ("{{", "}}"):
                self._parts.append(match.group()[0])
            elif match[1] is None:
                raise ValueError(f"{text!r}: a brace stands alone; write it twice for a brace in the text")
            else:
                name, *filters = match[1].split("|")
                if not name.strip():
                    raise ValueError(f"{text!r}: {match.group()} names no column")
                for one in filters:
                    _check_filter(text, one.strip())
                self._parts.append((name.strip(), tuple(one.lstrip() for one in filters)))
        self._parts.append(text[end:])
        names = dict.fromkeys(part[0] for part in self._parts if isinstance(part, tuple))
        self.columns = tuple(name for name in names if name != CHOICES)
        """The columns that it names."""
        self.has_choices = CHOICES in names
        """Whether it names the choices."""

    def render(self, cell: Callable[[str], Any], choices: Sequence[str] = ()) -> str:
        """Return the text of one row.

        Args:
            cell: returns the cell of a column.
            choices: of the question, in the order in which they are asked.

        Raises:
            CellError: a cell is missing, or not what a filter takes; the message names its column.
        """
        return "".join(part if isinstance(part, str) else self._filled(*part, cell, choices) for part in self._parts)

    def _filled(self, name: str, filters: Sequence[str], cell: Callable[[str], Any], choices: Sequence[str]) -> str:
        value: Any = list(choices) if name == CHOICES else cell(name)
        try:
            if cells.is_missing(value) and any(one.strip() == "optional" for one in filters):
                return ""
            if filters and filters[0].strip() in _OF_LISTS:
                parts = value if name == CHOICES else cells.choices(value).texts
                value, filters = _OF_LISTS[filters[0].strip()](parts), filters[1:]
            elif name == CHOICES:
                value = enumeration(value)
            text = cells.as_text(value)
            for one in filters:
                text = _filtered(text, one)
            return text
        except CellError as problem:
            raise CellError(f"{{{name}}} {problem}") from None


def _filtered(text: str, one: str) -> str:
    name, colon, argument = one.partition(":")
    if colon:
        return _WITH_ARGUMENT[name](text, argument)
    return _OF_TEXTS[name.strip()](text)


def _check_filter(text: str, one: str) -> None:
    name, colon, argument = one.partition(":")
    known = _WITH_ARGUMENT if colon else {**_OF_LISTS, **_OF_TEXTS}
    if name not in known or (colon and not argument):
        near = nearest(name, [*_OF_LISTS, *_OF_TEXTS, *_WITH_ARGUMENT])
        raise ValueError(f"{text!r}: there is no filter {one!r}; there are {', '.join(FILTERS)}.{near}")
