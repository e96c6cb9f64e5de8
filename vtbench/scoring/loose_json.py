"""Finds the JSON documents of a text as models write them: fenced, cut, with single quotes, comments, trailing commas.

It reads any text in linear time and never raises. `json` of the standard library refuses all of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

DEEPEST = 20
"""How deep lists and objects may stand in each other; what is deeper ends the document."""

_BEGIN = re.compile(r"[\[{](?=\s*[\]}\[{\"'\w/-])")
_TOKEN = re.compile(
    r'"(?P<double>(?:[^"\\]|\\.){0,10000})"'
    r"|'(?P<single>(?:[^'\\\n]|\\.){0,200})'"
    r"|(?P<skip>//[^\n]*|\s+)"
    r"|(?P<mark>[\[\]{}:,])"
    r"|(?P<bare>[^\[\]{}:,\"'\s/]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}


class _Open:
    """A list or an object that has begun."""

    __slots__ = ("is_open", "key", "values")

    def __init__(self, mark: str) -> None:
        self.values: Any = {} if mark == "{" else []
        self.key: str | None = None
        self.is_open = True

    def add(self, value: Any) -> bool:
        """Take a key or a value; return whether it stands where it may."""
        if isinstance(self.values, list):
            self.values.append(value)
        elif self.key is None:
            if isinstance(value, dict | list):
                return False
            self.key = str(value)
        else:
            self.values[self.key] = value
            self.key = None
        return True


def documents(text: str) -> Iterator[tuple[Any, bool]]:
    r"""Yield each outermost list or object of a text, and whether it is whole.

    Of a document that ends too early, entries of lists that are not whole are left out.

    >>> list(documents('Sure: {"answer": "red",} [1, {"a": 2}, {"b"'))
    [({'answer': 'red'}, True), ([1, {'a': 2}], False)]
    """
    at = 0
    while begin := _BEGIN.search(text, at):
        document, whole, at = _read(text, begin.start())
        yield document, whole


def _read(text: str, at: int) -> tuple[Any, bool, int]:
    """Return the document that begins at a position, whether it is whole, and where it ends."""
    stack: list[_Open] = []
    whole = True
    while (match := _TOKEN.match(text, at)) and match.group() not in ('"', "'"):  # a string without an end
        at, kind, token = match.end(), match.lastgroup, match.group()
        if kind == "skip" or token in ":,":
            continue
        if token in ("{", "["):
            if len(stack) == DEEPEST:
                break
            stack.append(_Open(token))
        elif token in ("}", "]"):
            whole &= _close(stack, dict if token == "}" else list)
            if not stack[0].is_open:
                return stack[0].values, whole, at
        else:
            whole &= stack[-1].add(_value(match)) and kind != "other"
    for parent, child in pairwise(stack):
        if isinstance(parent.values, list):
            break
        parent.add(child.values)
    return stack[0].values, False, len(text)


def _close(stack: list[_Open], kind: type) -> bool:
    """End the last list or object; return whether it is of the kind of its closing mark, and complete."""
    if not any(isinstance(one.values, kind) for one in stack):
        return False
    whole = isinstance(stack[-1].values, kind)
    while True:
        last = stack[-1]
        whole &= last.key is None
        if len(stack) == 1:
            last.is_open = False
            return whole
        stack.pop()
        whole &= stack[-1].add(last.values)
        if isinstance(last.values, kind):
            return whole


def _value(match: re.Match[str]) -> Any:
    """Return a string without its escapes, a whole number, True, False or None; any other token as it is written."""
    if match.lastgroup in ("double", "single"):
        text = _ESCAPE.sub(_unescape, match[match.lastgroup])
        # An emoji is two escapes; one of them alone is no character, and no file would take it.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if "\\u" in match.group() else text
    token = match.group()
    if token.isdecimal() and len(token) < 19 and str(int(token)) == token:
        return int(token)
    return _WORDS.get(token, token)


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _CONTROL.get(match[2], match[2])
