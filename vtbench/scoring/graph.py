"""Parses scene graphs written as one line of text.

    1 large red striped circle ; 2 small blue solid square | 1 left 2

Objects are `number size colour texture shape`, relations `number word number`. The parser has no vocabulary of
attributes: any word is accepted in its position. It accepts any text, in linear time, and never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vtbench.scoring.normalise import normalise

ATTRIBUTES = ("size", "colour", "texture")
CANONICAL = {"left": ("left", False), "right": ("left", True), "above": ("above", False), "below": ("above", True)}
"""The canonical word of each relation word, and whether its two ends are swapped."""

_SEPARATOR = re.compile(r"[;|,\n]")
_ITEM = re.compile(r"\s*(\d{1,9})\s*[.:)]?\s+(.*)", re.DOTALL)
_PLACE = re.compile(r"(?:is )?(?:to )?(?:the )?(left|right|above|below)(?: of)? (\d{1,9})")


@dataclass(frozen=True, slots=True)
class Described:
    """One object as a graph describes it."""

    number: int
    size: str
    colour: str
    texture: str
    shape: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A parsed line. `relations` are canonical: (number, `left` or `above`, number), each once."""

    objects: tuple[Described, ...]
    relations: frozenset[tuple[int, str, int]]
    well_formed: bool
    """Whether the whole text fits the grammar: an object or more, each number used once, relations between objects."""


def canonical(i: int, word: str, j: int) -> tuple[int, str, int]:
    """Return a relation in its canonical direction: `1 right 2` is `2 left 1`, `1 below 2` is `2 above 1`."""
    word, swap = CANONICAL[word]
    return (j, word, i) if swap else (i, word, j)


def parse_graph(text: str | None) -> Graph:
    """Parse a scene graph; case, spacing, synonyms, `,` or line ends for `;`, and `left of` for `left` are tolerated.

    If some items do not fit the grammar, the others still count, and the graph is not `well_formed`.
    """
    objects: list[Described] = []
    relations: set[tuple[int, str, int]] = set()
    well_formed = True
    items = [item for item in _SEPARATOR.split(text or "") if item.strip()]
    for item in items:
        match = _ITEM.fullmatch(item)
        words = normalise(match[2]) if match else ""
        parts = words.split()
        place = _PLACE.fullmatch(words)
        if match and place:
            relations.add(canonical(int(match[1]), place[1], int(place[2])))
        elif match and len(parts) == 4:
            objects.append(Described(int(match[1]), *parts))
        else:
            well_formed = False
    numbers = {thing.number for thing in objects}
    linked = all(i != j and i in numbers and j in numbers for i, _, j in relations)
    well_formed &= bool(objects) and len(numbers) == len(objects) and linked
    return Graph(tuple(objects), frozenset(relations), well_formed)
