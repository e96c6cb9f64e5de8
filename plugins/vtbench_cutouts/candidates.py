"""What every source gives: objects that may become part of a cast, with their names in English."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_SAME = frozenset({"fish", "sheep", "deer", "moose", "shrimp", "aircraft", "scissors", "skis", "bison", "squid"})
_IRREGULAR = {
    "child": "children",
    "foot": "feet",
    "goose": "geese",
    "knife": "knives",
    "leaf": "leaves",
    "loaf": "loaves",
    "man": "men",
    "mouse": "mice",
    "ox": "oxen",
    "person": "people",
    "tooth": "teeth",
    "wolf": "wolves",
    "woman": "women",
}
_SOUNDS_LIKE_A_CONSONANT = re.compile(r"(?:uni|eu|ewe|one|use)")


@dataclass(frozen=True)
class Candidate:
    """An object that may become part of a cast."""

    name: str
    """What questions would call it, in lower case."""
    group: str
    where: str
    """The file that it is from, and where in it."""
    source: str
    """Where the file is from: a data set, a package."""
    licence: str
    load: Callable[[], Image]
    """Returns the object, RGBA, in the frame in which it was seen.

    Raises:
        CutoutError: it cannot be read.
    """
    framed: bool = False
    """Whether the frame is that of a photograph, which cuts through whatever touches it; a PNG's may be just as large
    as its object."""
    photographed: bool = False
    """Whether drawings are dropped, because the source has both and does not say which is which."""


def article(name: str) -> str:
    """Return the indefinite article of a name.

    >>> article("owl"), article("unicorn"), article("lemon")
    ('an', 'a', 'a')
    """
    return "an" if name[:1] in "aeiou" and not _SOUNDS_LIKE_A_CONSONANT.match(name) else "a"


def plural(name: str) -> str:
    """Return the plural of a name, whose last word counts.

    >>> plural("polar bear"), plural("cherry"), plural("mouse"), plural("fox"), plural("goldfish")
    ('polar bears', 'cherries', 'mice', 'foxes', 'goldfish')
    """
    *before, last = name.split(" ")
    if last in _SAME or last.endswith("fish"):
        many = last
    elif last in _IRREGULAR:
        many = _IRREGULAR[last]
    elif re.search(r"[^aeiou]y$", last):
        many = last[:-1] + "ies"
    else:
        many = last + ("es" if re.search(r"(?:s|x|z|ch|sh|[^aeiou]o)$", last) else "s")
    return " ".join([*before, many])
