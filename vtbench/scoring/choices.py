"""Maps a text to one of the choices of a closed question, or to None (unparsed).

A text gives a choice if, in this order, it equals it; it states it as its answer ("The answer is ..."); it begins with
it as `Yes, ...` does; or it mentions it and no other. Choices that are letters have rules of their own (`letters.py`).

If choices are synonyms of each other (`violet` and `purple`), they are compared without synonyms; if they differ in
form only (`two` and `2`), as they are written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vtbench.scoring.letters import is_single, labels_of, read_letter, stated_answers
from vtbench.scoring.normalise import ARTICLES, VOCABULARY, is_letter, normalise, plain
from vtbench.scoring.reasoning import final_answer

NEGATIONS = frozenset({"not", "isnt", "arent", "wasnt", "werent", "never", "neither", "nor"})
_YES_NO = frozenset({"yes", "no"})
_BINDING = frozenset("+-±#^&@~√")
"""Symbols that make another answer of the word or number that they touch."""
_UNTIL = re.compile(r"[,;]|\.(?:\s|$)|\b(?:because|as|since|for|while|rather|instead|given|due)\b", re.IGNORECASE)


def parse_answer(text: str | None, choices: Sequence[str], benchmark: bool = False) -> str | None:
    """Return the choice that a free text gives; None (unparsed) if it gives none, or contradicts itself.

    Reasoning before the answer is left out. A mention directly after a negation (`not red`, `not a circle`) does not
    count, and neither does one that is part of another word or number (`5` in `-5`, `C` in `C++`).

    >>> parse_answer("The colour is RED.", ("red", "blue"))
    'red'
    >>> parse_answer("red or blue", ("red", "blue")) is None
    True
    >>> parse_answer("The answer is B, as there is a dog.", ("A", "B"))
    'B'

    Args:
        text: what the model wrote.
        choices: the closed set of answers.
        benchmark: whether the choices are of a scene of the benchmark, whose synonyms then count. They also count
            where all choices are words of its vocabulary.
    """
    answer = final_answer(text)
    return None if answer is None else _choices(tuple(choices), benchmark).read(answer)


@dataclass(frozen=True, slots=True)
class _Choices:
    """Choices, with what is worked out once for all answers to them."""

    fold: Callable[[str], str]
    """The strongest folding that keeps the choices distinct."""
    forms: dict[str, str]
    """Choices by folded form."""
    pattern: re.Pattern[str]
    letters: dict[str, str]
    """Choices by their letter, in upper case; empty if they have none."""
    only_letters: bool
    """Whether a letter is all there is of each choice."""
    lone: frozenset[str]
    """Folded forms of choices that are a letter beside others that are not: `A` and `AB`."""

    def read(self, text: str) -> str | None:
        said = self.fold(text)
        if said in self.forms:
            return self.forms[said]
        if self.letters:
            letter = read_letter(text, frozenset(self.letters))
            if self.lone and (words := self._mentioned(said)):
                return None if letter or len(words) > 1 else words.pop()
            if letter or self.only_letters or self.lone:
                return self.letters.get(letter or "")
        stated = {found for tail in stated_answers(text) if (found := self._stated(tail))}
        if stated:
            return stated.pop() if len(stated) == 1 else None
        mentioned = self._mentioned(said)
        if len(mentioned) > 1 and (first := self._first_word(text, said)):
            return first
        return mentioned.pop() if len(mentioned) == 1 else None

    def _stated(self, tail: str) -> str | None:
        """Return the choice that the rest of a line behind `The answer is` gives."""
        for part in (tail, _UNTIL.split(tail, maxsplit=1)[0]):
            said = self.fold(part)
            if said in self.forms:
                return self.forms[said]
            if len(mentioned := self._mentioned(said)) == 1:
                return mentioned.pop()
        return None

    def _mentioned(self, said: str) -> set[str]:
        return {
            self.forms[match.group()]
            for match in self.pattern.finditer(said)
            if match.group() not in self.lone
            and _is_whole(said, match.start(), match.end())
            and not _is_negated(said[max(match.start() - 40, 0) : match.start()])
        }

    def _first_word(self, text: str, said: str) -> str | None:
        """Return the answer of `Yes, there is no dog`; None for `Yes. No.` and for choices that are not yes and no."""
        if not self.forms.keys() <= _YES_NO:
            return None
        match = re.match(r"\W*(yes|no)(?:\W*[,.;:!\n–—]|\s+-\s)", text, re.IGNORECASE)
        if not match:
            return None
        first = match[1].lower()
        rest = text[match.end() :].lower()
        other = r"\byes\b" if first == "no" else r"\bno\b(?!\s+[\w'])"
        return None if re.search(other, rest) else self.forms.get(first)


@lru_cache(maxsize=4096)
def _choices(choices: tuple[str, ...], benchmark: bool) -> _Choices:
    known = benchmark or all(plain(choice) in VOCABULARY or plain(choice).isdigit() for choice in choices)
    folds: tuple[Callable[[str], str], ...] = (normalise, plain) if known else (plain,)
    for fold in (*folds, _as_written, str.strip):
        forms = {fold(choice): choice for choice in choices}
        if len(forms) == len(set(choices)) and "" not in forms:
            break
    forms.pop("", None)
    labels = labels_of(choices)
    bodies = {body for _, body in labels.values() if body}
    if len(bodies) == len(labels) > 0:
        forms |= {body: choice for choice, (_, text) in labels.items() if (body := fold(text)) not in forms}
    longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
    pattern = re.compile("|".join(longest_first) if forms else r"(?!)")
    letters = {letter: choice for choice, (letter, _) in labels.items()}
    only_letters = bool(letters) and not bodies
    singles = {} if labels else {choice.strip().upper(): choice for choice in choices if is_single(choice)}
    lone = frozenset(form for form, choice in forms.items() if choice in singles.values())
    return _Choices(fold, forms, pattern, letters or singles, only_letters, lone)


def _as_written(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _is_whole(said: str, start: int, end: int) -> bool:
    """Return whether a mention stands for itself: it is no part of a longer word, number or symbol."""
    before, after = said[start - 1 : start] if start else "", said[end : end + 1]
    if (before and (is_letter(before) or before in _BINDING)) or (after and (is_letter(after) or after in "+-#^")):
        return (
            not (is_letter(said[start]) or is_letter(said[end - 1]))
            and before not in _BINDING
            and after not in _BINDING
        )
    digit_before = before in set("./:,") and said[start - 2 : start - 1].isdigit()
    digit_after = after in set("./:,") and said[end + 1 : end + 2].isdigit()
    return not ((said[start].isdigit() and digit_before) or (said[end - 1].isdigit() and digit_after))


def _is_negated(before: str) -> bool:
    """Return whether the words before a mention end in a negation, with or without an article."""
    words = before.split()
    if words and words[-1] in ARTICLES:
        words.pop()
    return bool(words) and words[-1] in NEGATIONS
