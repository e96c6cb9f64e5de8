"""Cells of a user's data: typed values in, the texts of a sample out.

A cell of JSONL or Parquet may be a text, a number, a boolean, a date, a list, an object, or missing. Each has one
right text, or is refused with a reason; nothing is turned into Python's way of writing it. Every function raises
`CellError`, whose message follows the name of row and column.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import numpy as np

from vtbench.errors import escaped

TargetAs = Literal["text", "index", "number", "letter", "boolean"]
"""How a target names a choice: by its text, by its index from 0, by its number from 1, by its letter from A, or as the
one that says yes or no (true, false, 1, 0, yes or no)."""
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_EXACT = 1e16
"""From here on, floats no longer tell one whole number from the next."""


class CellError(ValueError):
    """A cell does not hold what its column must hold."""


def plain(value: Any) -> Any:
    """Return a value as Python's own type, missing ones (null, NaN, NaT, pandas' NA) as None."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        # A float of 32 bits has fewer digits than the same number of 64: 0.1, not 0.10000000149011612.
        narrow = isinstance(value, np.floating) and value.dtype.itemsize < 8
        value = float(str(value)) if narrow else value.item()
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and math.isnan(value):
        return None
    return value


def is_missing(value: Any) -> bool:
    """Return whether a cell is null, NaN, NaT, or a text of nothing but spaces."""
    value = plain(value)
    return value is None or (isinstance(value, str | bytes) and not value.strip())


def as_text(value: Any) -> str:
    """Return the text of one value that is not missing.

    >>> as_text(3.0), as_text(1e-05), as_text(True), as_text(date(2024, 5, 1))
    ('3', '0.00001', 'true', '2024-05-01')

    Raises:
        CellError: it is missing, an object, a list, infinite, or bytes that are no text.
    """
    value = plain(value)
    if value is None:
        raise CellError("is missing")
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        try:
            return str(value)
        except ValueError:  # Python writes at most 4,300 digits
            raise CellError("has a number of more than 4,300 digits") from None
    if isinstance(value, float | Decimal):
        return _number(value)
    if isinstance(value, datetime):
        midnight = value.tzinfo is None and value.time() == time(0)
        return value.date().isoformat() if midnight else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta | UUID):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise CellError("has bytes that are no UTF-8 text") from None
    if isinstance(value, Mapping):
        raise CellError(f"has an object where a text belongs, with {_keys(value)}")
    if isinstance(value, list | tuple):
        raise CellError(f"has a list of {len(value)} where a single text belongs")
    raise CellError(f"has a value of type {type(value).__name__} where a text belongs")


def _number(value: float | Decimal) -> str:
    if value.is_infinite() if isinstance(value, Decimal) else math.isinf(value):
        raise CellError("has an infinite number")
    size = abs(float(value))
    if size < _EXACT and value == int(value):
        return str(int(value))
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 16 else str(value)
    return format(Decimal(repr(value)), "f") if 1e-10 < size < _EXACT else repr(value)


def optional_text(value: Any) -> str:
    """Return the text of a value, `""` if it is missing."""
    return "" if is_missing(value) else as_text(value)


def forms(value: Any) -> list[str]:
    """Return all texts that give one answer, the most usual first: `yes` and `true`, `3` and `3.00`.

    Raises:
        CellError: as `as_text`.
    """
    value = plain(value)
    if isinstance(value, bool):
        return ["yes", "true"] if value else ["no", "false"]
    if isinstance(value, Decimal) and value.is_finite():
        return _distinct([as_text(value), as_text(value.normalize()), str(value)])
    return [as_text(value)]


def answers(value: Any) -> tuple[str, ...]:
    """Return the right answers of a cell, at least one: those of a list, or of a text that is written as a list.

    >>> answers(["cup", None, "mug", "cup"])
    ('cup', 'mug')

    Raises:
        CellError: there is none, or one is no text.
    """
    parts = _parts(value)
    if parts is None:
        raise CellError("is missing")
    found = _distinct(text for part in parts if not is_missing(part) for text in forms(part))
    if isinstance(plain(value), str):
        written = _written_list(str(value))
        if written and all(isinstance(part, str) for part in written):
            # The text itself stays right too: a user may mean it.
            found = _distinct([*(part for part in written if part.strip()), *found])
    if not found:
        raise CellError("has an empty list of answers" if not parts else "is missing")
    return tuple(found)


def _parts(value: Any) -> list[Any] | None:
    value = plain(value)
    if value is None:
        return None
    return list(value) if isinstance(value, list | tuple) else [value]


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _written_list(text: str) -> list[Any] | None:
    """Return the list that a text writes in JSON or in Python; None if it writes none."""
    found = _written(text, "[")
    return found if isinstance(found, list) else None


def _written(text: str, openings: str) -> Any:
    if text.lstrip()[:1] not in tuple(openings):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Choices:
    """The closed answers of a row."""

    cells: tuple[str | None, ...] = ()
    """As they stand in the row, None for padding."""
    labels: tuple[str, ...] = ()
    """What names each of them (`A`, a column's name); empty without names."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The answers, without padding and repeats."""
        return tuple(_distinct(text for text in self.cells if text is not None))

    def find(self, target: str, by: TargetAs) -> str:
        """Return the choice that a target means.

        Args:
            target: its text, or what names it.
            by: how it names it.

        Raises:
            CellError: it names none, or two; or it is a number that may be an index, and nothing says so.
        """
        if by != "text":
            return self._at(_position(target, by), target)
        named = self._named(target, str)
        if target in self.texts:
            if named and named != target:
                raise CellError(f"{_show(target)} is a choice, and the name of the choice {_show(named)}; rename one")
            return target
        if named := named or self._named(target, lambda label: label.strip("()[].: ").casefold()):
            return named
        if target.strip().isdecimal() and int(target) <= len(self.cells):
            raise CellError(
                f"{_show(target)} is none of the choices {self._shown()}; if it is a position, write `target_as: "
                "index` (from 0) or `target_as: number` (from 1) under `data`"
            )
        if len(target.strip()) == 1 and "A" <= target.strip().upper() < chr(65 + min(26, len(self.cells))):
            raise CellError(
                f"{_show(target)} is none of the choices {self._shown()}; if it is a letter for one of them, write "
                "`target_as: letter` under `data`"
            )
        return target

    def _named(self, target: str, fold: Callable[[str], str]) -> str | None:
        pairs = zip(self.labels, self.cells, strict=False)
        return next((text for label, text in pairs if text and fold(label) == fold(target)), None)

    def _at(self, position: int | None, target: str) -> str:
        text = self.cells[position] if position is not None and 0 <= position < len(self.cells) else None
        if text is None:
            raise CellError(f"{_show(target)} is no position among the {len(self.cells)} choices {self._shown()}")
        return text

    def _shown(self) -> str:
        return f"[{', '.join(map(_show, self.texts[:8]))}{', ...' if len(self.texts) > 8 else ''}]"


def _position(target: str, by: TargetAs) -> int | None:
    text = target.strip()
    if by == "letter":
        letter = text.strip("().: ").upper()
        return ord(letter) - ord("A") if len(letter) == 1 and "A" <= letter <= "Z" else None
    if not text.isdecimal() or len(text) > 9:
        return None
    return int(text) - (by == "number")


def choices(value: Any) -> Choices:
    """Return the choices of a cell; none if it is missing or has nothing but padding: the question is open.

    A cell holds a list, an object (`{A: cup, B: plate}`), labels and texts (`{label: [...], text: [...]}`, or a list of
    `{label, text}`), one of these written as a text, in JSON or as Python writes it, or a text with a letter before
    each choice (`(a) open (b) closed`).

    Raises:
        CellError: it holds something else.
    """
    value = plain(value)
    if isinstance(value, str) and value.strip():
        if pairs := _lettered(value):
            return labelled(pairs)
        written = _written(value, "[{(")
        if not isinstance(written, list | tuple | Mapping):
            raise CellError(f"must have a list of answers, but has the text {_show(value)}")
        value = written
    if is_missing(value):
        return Choices()
    if isinstance(value, list | tuple):
        return _listed(value)
    if not isinstance(value, Mapping):
        raise CellError(f"must have a list of answers, but has {_show(as_text(value))}")
    label, text = plain(value.get("label")), plain(value.get("text"))
    if len(value) == 2 and isinstance(label, list) and isinstance(text, list) and len(label) == len(text):
        return labelled(zip(label, text, strict=True))
    return labelled(value.items())


def _lettered(text: str) -> list[tuple[str, str]]:
    """Return letters and choices of `(a) open (b) closed` or `A. cup B. plate`; none if the text is not so written."""
    first = re.match(r"\s*(\(?)([Aa])([).:])\s*(?=\S)", text)
    if not first:
        return []
    opening, letter, closing = first.groups()
    found, start = [], first.end()
    while True:
        following = chr(ord(letter) + 1)
        before = r"\s*" if opening else r"\s+"
        mark = re.compile(rf"{before}{re.escape(opening)}{following}{re.escape(closing)}\s*").search(text, start)
        found.append((letter, text[start : mark.start() if mark else None].strip()))
        if mark is None:
            return found if len(found) > 1 else []
        letter, start = following, mark.end()


def _listed(value: Sequence[Any]) -> Choices:
    parts = [plain(part) for part in value]
    if parts and all(isinstance(part, Mapping) and {"label", "text"} == set(part) for part in parts):
        return labelled((part["label"], part["text"]) for part in parts)
    if parts and all(isinstance(part, tuple) and len(part) == 2 for part in parts):  # a map of Parquet
        return labelled(parts)
    return Choices(tuple(None if is_missing(part) else as_text(part) for part in parts))


def labelled(pairs: Iterable[tuple[Any, Any]]) -> Choices:
    """Return choices from pairs of a label and a cell.

    Raises:
        CellError: a cell is no text.
    """
    found = [(as_text(label), None if is_missing(text) else as_text(text)) for label, text in pairs]
    return Choices(tuple(text for _, text in found), tuple(label for label, _ in found))


def match(value: Any, closed: Choices, by: TargetAs) -> tuple[str, ...]:
    """Return the right answers of a cell, each one of the choices where there are any.

    Raises:
        CellError: there is none, or it does not say which choice it is.
    """
    if by == "boolean":
        value, by = _truth(value), "text"
    if not closed.texts:
        if by != "text" and not is_missing(value):
            raise CellError("names a choice, but the row has no choices")
        return answers(value)
    parts = _parts(value)
    if parts is None:
        raise CellError("is missing")
    if isinstance(plain(value), str) and str(value) not in closed.texts:
        parts = _written_list(str(value)) or parts
    found = []
    for part in parts:
        if is_missing(part):
            continue
        texts = forms(part)
        # Only a boolean is matched without regard to case: `true` is the choice `Yes`, or `True`.
        known = [text for text in texts if text in closed.texts]
        if isinstance(plain(part), bool):
            known += [choice for text in texts for choice in closed.texts if choice.casefold() == text]
        found.append(closed.find(known[0] if known and by == "text" else texts[0], by))
    if not found:
        raise CellError("has an empty list of answers" if not parts else "is missing")
    return tuple(_distinct(found))


def _truth(value: Any) -> bool:
    if is_missing(value):
        raise CellError("is missing")
    text = as_text(value)
    if (truth := _TRUTH.get(text.strip().casefold())) is None:
        raise CellError(f"{_show(text)} is neither true nor false")
    return truth


def _show(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")


def _keys(value: Mapping[Any, Any]) -> str:
    names = ", ".join(_show(str(key)) for key in list(value)[:6])
    return f"the keys {names}" if names else "no keys"
