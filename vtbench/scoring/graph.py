"""Scene graphs as text: one line in, objects and relations out.

    1 large red striped circle ; 2 small blue solid square | 1 left 2

Objects are `number size colour texture shape`, relations `number word number`. The parser knows no vocabulary: whatever
stands in the place of a word is that word. It takes any text, in linear time, and never raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vtbench.scoring.normalise import normalise

ATTRIBUTES = ("size", "colour", "texture")
CANONICAL = {"left": ("left", False), "right": ("left", True), "above": ("above", False), "below": ("above", True)}
"""Each relation word's canonical word, and whether its two ends change places."""

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
    """Whether all of the text fits: at least one object, each number used once, relations between two of them."""


def canonical(i: int, word: str, j: int) -> tuple[int, str, int]:
    """Return a relation in its canonical direction: `1 right 2` is `2 left 1`, `1 below 2` is `2 above 1`."""
    word, swap = CANONICAL[word]
    return (j, word, i) if swap else (i, word, j)


def parse_graph(text: str | None) -> Graph:
    """Read a scene graph, tolerant of case, spacing, synonyms, `,` or line ends for `;`, and `left of` for `left`.

    Items that fit keep their meaning where others do not; the whole is then not `well_formed`. Any text is allowed.
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
