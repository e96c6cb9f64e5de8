"""What scene graphs are made of: objects, and relations between their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from vtbench.scoring.normalise import normalise

ATTRIBUTES = ("size", "colour", "texture")
CANONICAL = {"left": ("left", False), "right": ("left", True), "above": ("above", False), "below": ("above", True)}
"""The canonical word of each relation word, and whether its two ends are swapped."""

_PLACE = re.compile(r"(?:is )?(?:to )?(?:the )?(left|right|above|below)(?: of)?")


@dataclass(frozen=True, slots=True)
class Described:
    """One object as a graph describes it."""

    number: int
    size: str
    colour: str
    texture: str
    shape: str


@dataclass(frozen=True, slots=True)
class Placed:
    """One relation as it is written: object `number` is `word` (left, right, above, below) of object `other`."""

    number: int
    word: str
    other: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A parsed description. `relations` are canonical: (number, `left` or `above`, number), each once."""

    objects: tuple[Described, ...]
    relations: frozenset[tuple[int, str, int]]
    well_formed: bool
    """Whether the whole text fits the grammar: an object or more, each number used once, relations between objects."""


def canonical(i: int, word: str, j: int) -> tuple[int, str, int]:
    """Return a relation in its canonical direction: `1 right 2` is `2 left 1`, `1 below 2` is `2 above 1`."""
    word, swap = CANONICAL[word]
    return (j, word, i) if swap else (i, word, j)


def place_word(text: str) -> str | None:
    """Return the relation word of a text in the form of `normalise`; None if it has another one, or more words.

    >>> place_word("is to the left of"), place_word("near")
    ('left', None)
    """
    match = _PLACE.fullmatch(text)
    return match[1] if match else None


def described(number: int, words: str) -> Described | None:
    """Return an object of four words: size, colour, texture, shape; None if there are more or fewer."""
    parts = normalise(words).split()
    return Described(number, *parts) if len(parts) == 4 else None


def graph_of(items: Iterable[Described | Placed | None]) -> Graph:
    """Return the graph of some items; None stands for an item that does not fit the grammar."""
    items = tuple(items)
    objects = tuple(item for item in items if isinstance(item, Described))
    placed = [item for item in items if isinstance(item, Placed)]
    relations = frozenset(canonical(item.number, item.word, item.other) for item in placed)
    numbers = {thing.number for thing in objects}
    linked = all(i != j and i in numbers and j in numbers for i, _, j in relations)
    well_formed = None not in items and bool(objects) and len(numbers) == len(objects) and linked
    return Graph(objects, relations, well_formed)
