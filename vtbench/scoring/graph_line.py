"""Scene graphs written as text: the line grammar, and its items as real models dress them up.

    1 large red striped circle ; 2 small blue solid square | 1 left 2

Objects are `number size colour texture shape`, relations `number word number`. There is no vocabulary of attributes:
any word is accepted in its position.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vtbench.scoring.graph_parts import Described, Placed, described, place_word
from vtbench.scoring.normalise import normalise

Items = list[Described | Placed | None]
"""In the order of the text; None for each part that does not fit the grammar."""

_SEPARATOR = re.compile(r"[;|,\n]")
_ITEM = re.compile(r"\s*(\d{1,9})\s*[.:)]?\s+(.*)", re.DOTALL)
_PLACE = re.compile(r"(.*) (\d{1,9})")

_DRESS = re.compile(r"[^\w\s;|]|\n|\b(?:objects?|and|is|are)\b", re.IGNORECASE)
"""What a text has that is not in the bare grammar of words, numbers, `;` and `|`."""
_FENCE = re.compile(r"```[^\n`]{0,20}\n(.*?)```", re.DOTALL)
_MARKUP = re.compile(r"[*`$\"“”{}]|\\(?:boxed|textbf|text|mathrm|mathbf)")
_MARK_OF_LINE = re.compile(r"\s*(?:(?:#{1,6}|>|[-+•–])\s+)*")
_ARROW = re.compile(r"[-–—=]{1,3}>|→|--+")
_SENTENCE = re.compile(
    r"([^\W\d]{2}|\b(?:left|right|above|below)(?: of)?(?: object)? \d{1,9})[.!](?: +|$)", re.IGNORECASE
)
"""The end of a sentence; the dot of `1. large` is none."""
_LEAD = re.compile(r"[^\d:]{0,200}(?::|\b(?:is|are|be|follows|reads))\s*(?=[(\[#]?(?:object )?\d|$)", re.IGNORECASE)
"""What stands before the first item of a line: `The scene graph is:`."""
_ENUMERATOR = re.compile(r"\d{1,9}[.)]\s+(?=[(\[#]?(?:object )?\d)", re.IGNORECASE)
_NUMBERED = re.compile(r"[(\[]?(?:object )?#?(\d{1,9})(?:\s*[.:)\]]|\s+-)?\s+(\S.*)", re.IGNORECASE)
_CALL = re.compile(r"(left|right|above|below)(?:[ _]of)?\s*\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)", re.IGNORECASE)
_FILLER = re.compile(r"\b(?:lies|located|positioned|placed|directly|on|side|object)\b|#")
_BRACKETED = re.compile(r"\s*\(([^()]*)\)$|\s*\[([^\[\]]*)\]$")
_PART = re.compile(r",|\band\b")
_SAYS_MORE = re.compile(r"\d|\b(?:left|right|above|below)\b", re.IGNORECASE)
"""What no remark around a scene graph has: the text describes something that is not read."""


def read_line(text: str) -> Items:
    """Return the items of a text in the line grammar; case, spacing, `,` or line ends for `;` make no difference."""
    return [_item(part) for part in _SEPARATOR.split(text) if part.strip()]


def _item(part: str) -> Described | Placed | None:
    match = _ITEM.fullmatch(part)
    if not match:
        return None
    words = normalise(match[2])
    if (place := _PLACE.fullmatch(words)) and (word := place_word(place[1])):
        return Placed(int(match[1]), word, int(place[2]))
    return described(int(match[1]), match[2])


def is_dressed(text: str) -> bool:
    """Return whether a text has marks or words that are not in the bare line grammar."""
    return _DRESS.search(text) is not None


def read_dressed(text: str) -> Items:
    """Return the items of a text as models write it: Markdown, lists, numbered lines, tables, sentences around it.

    Lines without an item are left out. They count as None if they have a number or a relation word.
    """
    fenced = [block for block in _FENCE.findall(text) if any(_lines(block))]
    return list(_lines(fenced[-1] if fenced else text))


def _lines(text: str) -> Iterator[Described | Placed | None]:
    plain = _ARROW.sub(" ", _MARKUP.sub("", text))
    for line in plain.split("\n"):
        row = line.strip()
        if row.startswith("|") and row.count("|") > 4:  # a row of a table
            line = row.replace("|", " ")
        for sentence in _SENTENCE.sub(r"\1\n", " ".join(line.split())).split("\n"):
            yield from _sentence(sentence[_end(_MARK_OF_LINE, sentence) :])


def _sentence(text: str) -> Items:
    text = text[_end(_LEAD, text) :]
    parts = [part.strip() for part in re.split("[;|]", text) if part.strip()]
    found: Items = [item for part in parts for item in _part(part[_end(_LEAD, part) :])]
    if any(found):
        return found
    return [None] if _SAYS_MORE.search(text) else []


def _part(part: str) -> Items:
    """Return the items of what stands between two separators: one, or several between commas and `and`."""
    part = part[_end(_ENUMERATOR, part) :]
    if not part:
        return []
    if item := _dressed_item(part):
        return [item]
    if (remark := _BRACKETED.search(part, 1)) and (item := _dressed_item(part[: remark.start()])):
        return [item, None]
    if not _PART.search(part):
        return [None]
    return [_dressed_item(piece.strip()) for piece in _PART.split(part) if piece.strip()]


def _dressed_item(part: str) -> Described | Placed | None:
    if call := _CALL.fullmatch(part):
        return Placed(int(call[2]), call[1].lower(), int(call[3]))
    if whole := _BRACKETED.match(part):
        part = whole[1] or whole[2] or ""
    match = _NUMBERED.fullmatch(part.replace(",", " ").rstrip(" ."))
    if not match:
        return None
    words = " ".join(_FILLER.sub(" ", normalise(match[2])).split())
    if (place := _PLACE.fullmatch(words)) and (word := place_word(place[1].removesuffix(" the"))):
        return Placed(int(match[1]), word, int(place[2]))
    return described(int(match[1]), match[2])


def _end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0
