"""Normalises free text and maps it to a closed answer, or to None (unparsed). All models and tasks share it.

Its rules are frozen: changing a rule or a synonym changes scores, and requires a new
`vtbench.scoring.SCORING_VERSION`. Synonyms map to one word of the benchmark's vocabulary. If choices of a task are
synonyms of each other (`violet` and `purple`), its answers are compared without synonyms; if they differ in punctuation
only (`+` and `-`), without any normalisation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

SYNONYMS: dict[str, str] = {
    # yes and no
    **dict.fromkeys(("yeah", "yep", "yup", "true", "correct"), "yes"),
    **dict.fromkeys(("nope", "nah", "false", "incorrect", "not true", "not correct"), "no"),
    # colours
    "gray": "grey",
    "violet": "purple",
    "aqua": "cyan",
    "fuchsia": "magenta",
    # shapes
    **dict.fromkeys(("circles", "circular", "disc", "disk", "round"), "circle"),
    **dict.fromkeys(("squares",), "square"),
    **dict.fromkeys(("triangles", "triangular"), "triangle"),
    **dict.fromkeys(("stars",), "star"),
    **dict.fromkeys(("crosses", "plus", "plus sign"), "cross"),
    **dict.fromkeys(("rings", "donut", "doughnut", "annulus"), "ring"),
    **dict.fromkeys(("diamonds", "rhombus", "lozenge"), "diamond"),
    **dict.fromkeys(("crescents", "crescent moon", "moon"), "crescent"),
    # textures
    **dict.fromkeys(("plain", "uniform", "filled"), "solid"),
    **dict.fromkeys(("stripe", "stripes", "stripy", "stripey"), "striped"),
    **dict.fromkeys(("chequered", "checked", "checkerboard", "chequerboard"), "checkered"),
    **dict.fromkeys(("dot", "dots", "dotty", "spotted", "polka dot", "polka dots", "polka dotted"), "dotted"),
    # sizes
    **dict.fromkeys(("big", "huge"), "large"),
    **dict.fromkeys(("little", "tiny"), "small"),
    # places
    **dict.fromkeys(("leftward", "leftwards"), "left"),
    **dict.fromkeys(("rightward", "rightwards"), "right"),
    **dict.fromkeys(("over", "on top of", "on top", "higher", "upward", "upwards"), "above"),
    **dict.fromkeys(("under", "underneath", "beneath", "lower", "downward", "downwards"), "below"),
    # counts
    **{word: str(n) for n, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight"))},
}
NEGATIONS = frozenset({"not", "isnt", "never", "neither", "nor"})
ARTICLES = frozenset({"a", "an", "the"})

_SYNONYM = re.compile(r"\b(?:" + "|".join(sorted(map(re.escape, SYNONYMS), key=len, reverse=True)) + r")\b")
_NOT_A_WORD = re.compile(r"[\W_]+")


def plain(text: str) -> str:
    """Return lower-case words separated by single spaces, without punctuation and leading articles, NFKC-folded.

    >>> plain(" The  Red-circle. ")
    'red circle'
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    words = _NOT_A_WORD.sub(" ", re.sub(r"['’]", "", folded)).split()
    while len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    return " ".join(words)


def normalise(text: str) -> str:
    """Return `plain(text)` with every synonym replaced by the benchmark's word.

    >>> normalise("Gray, on top of it!")
    'grey above it'
    """
    return _SYNONYM.sub(lambda match: SYNONYMS[match.group()], plain(text))


@lru_cache(maxsize=4096)
def _forms(choices: tuple[str, ...]) -> tuple[Callable[[str], str], dict[str, str], re.Pattern[str]]:
    """Return the strongest folding that keeps the choices distinct, the choices by folded form, and their pattern."""
    for fold in (normalise, plain, str.strip):
        forms = {fold(choice): choice for choice in choices}
        if len(forms) == len(set(choices)) and "" not in forms:
            break
    forms.pop("", None)
    longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
    return fold, forms, re.compile(r"(?<!\w)(?:" + "|".join(longest_first) + r")(?!\w)" if forms else r"(?!)")


def parse_answer(text: str | None, choices: Sequence[str]) -> str | None:
    """Return the choice that a free text gives; None (unparsed) if it gives none or more than one.

    A text gives a choice if it equals the choice after normalisation, or mentions it and no other. A mention directly
    after a negation (`not red`, `not a circle`) does not count.

    >>> parse_answer("The colour is RED.", ("red", "blue"))
    'red'
    >>> parse_answer("red or blue", ("red", "blue")) is None
    True
    """
    if text is None:
        return None
    fold, forms, pattern = _forms(tuple(choices))
    said = fold(text)
    if said in forms:
        return forms[said]
    mentioned = {forms[match.group()] for match in pattern.finditer(said) if not _negated(said[: match.start()])}
    return mentioned.pop() if len(mentioned) == 1 else None


def _negated(before: str) -> bool:
    """Return whether the words before a mention end in a negation, with or without an article."""
    words = before[-40:].split()
    if words and words[-1] in ARTICLES:
        words.pop()
    return bool(words) and words[-1] in NEGATIONS
