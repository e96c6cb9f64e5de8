"""Maps a text to one of the choices of a closed question, or to None (unparsed).

A text gives a choice if, in this order, it equals it; it states it as its answer ("The answer is ..."); it mentions it
and no other; or it begins with it and goes on to explain it. Choices that are letters have rules of their own
(`letters.py`). What a text says it does not see or know is no mention (`refusals.py`).

If choices are synonyms of each other (`violet` and `purple`), they are compared without synonyms; if they differ in
form only (`two` and `2`), as they are written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vtbench.scoring.letters import is_single, labels_of, read_letter
from vtbench.scoring.normalise import ARTICLES, VOCABULARY, is_letter, normalise, plain
from vtbench.scoring.reasoning import final_answer
from vtbench.scoring.refusals import asks_for_image, denies, without_denials
from vtbench.scoring.statements import stated_answers

NEGATIONS = frozenset({"not", "isnt", "arent", "wasnt", "werent", "never", "neither", "nor"})
_YES_NO = frozenset({"yes", "no"})
MOST_SENTENCES = 200
"""How many sentences behind an answer are read for another one."""
_BINDING = frozenset("+-±#^&@~√")
"""Symbols that make another answer of the word or number that they touch."""
_BEFORE_NEGATED = ARTICLES | {"to", "on", "of"}
_SENTENCE_END = re.compile(r"[.!](?=\s)|\n")
_RETRACTS = re.compile(
    r"(?:^|[.!?\n])\W{0,20}(?:wait|actually|correction|alternatively|or|however|but|no|not|instead|rather|sorry|hmm)\b",
    re.IGNORECASE,
)
_REPEATS = re.compile(r"\W*(?:it|this|that)(?:['’]s|\s+is)\s+", re.IGNORECASE)
_UNTIL = re.compile(r"[,;]|\.(?:\s|$)|\b(?:because|as|since|for|while|rather|instead|given|due)\b", re.IGNORECASE)


def parse_answer(
    text: str | None,
    choices: Sequence[str],
    benchmark: bool = False,
    synonyms: Mapping[str, Sequence[str]] | None = None,
) -> str | None:
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
        synonyms: further words for some of the choices, `{"yes": ("ja", "oui")}`; one that is a choice itself is none.
    """
    answer = final_answer(text)
    if answer is None:
        return None
    words = tuple((choice, tuple(said)) for choice, said in synonyms.items()) if synonyms else ()
    return _choices(tuple(choices), benchmark, words).read(answer)


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
    yes_no: dict[str, str]
    """The answer `yes` or `no` of each of their words, in lower case; empty for other choices."""
    deny: bool
    """Whether a choice itself says what is not known: `cannot be determined`."""

    def read(self, text: str) -> str | None:
        said = self.fold(text)
        if said in self.forms:
            return self.forms[said]
        if not self.deny:
            text = without_denials(text)
            said = self.fold(text)
        if self.letters:
            letter = read_letter(text, frozenset(self.letters))
            if self.lone and (words := self._mentioned(said)):
                return None if letter or len(words) > 1 else words.pop()
            if letter or self.only_letters or self.lone:
                return self.letters.get(letter or "")
        stated = {found for tail in stated_answers(text) if (found := self._stated(tail))}
        if stated:
            return stated.pop() if len(stated) == 1 else None
        if asks_for_image(text):
            return None
        mentioned = self._mentioned(said)
        if len(mentioned) > 1:
            return self._first_word(text) if self.yes_no else self._first_sentence(text)
        return mentioned.pop() if mentioned else None

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
            and not _is_negated(said[max(match.start() - 40, 0) : match.start()], "no" not in self.forms)
        }

    def _first_word(self, text: str) -> str | None:
        """Return the answer of `Yes, there is no dog`; None if another follows, as in `Yes. No.`."""
        words = "|".join(sorted(map(re.escape, self.yes_no), key=len, reverse=True))
        match = re.match(rf"\W*({words})(?:\W*[,.;:!\n–—，。、！]|\s+-\s)", text, re.IGNORECASE)
        if not match:
            return None
        first = self.yes_no[match[1].lower()]
        rest = text[match.end() :].lower()
        others = "|".join(re.escape(word) for word, answer in self.yes_no.items() if answer != first)
        other = rf"\b(?:{others})\b" + (r"(?!\s+[\w'])" if first == "yes" else "")  # `no dog` is no answer
        return None if re.search(other, rest) else self.forms.get(first)

    def _first_sentence(self, text: str) -> str | None:
        """Return the choice that the first sentence or line is, `Red. The square is blue.`; None if it changes."""
        head, *rest = (part for part in _SENTENCE_END.split(text.strip(), maxsplit=MOST_SENTENCES) if part.strip())
        first = self.forms.get(said := self.fold(head))
        if first is None or (said.isdigit() and not re.match(r"\W*\w+\W*\n", text)):  # the `1.` of a list
            return None
        others = {self.forms.get(self.fold(_REPEATS.sub("", part, count=1))) for part in rest}
        return None if others - {first, None} or _RETRACTS.search("\n".join(rest)) else first


@lru_cache(maxsize=4096)
def _choices(choices: tuple[str, ...], benchmark: bool, synonyms: tuple[tuple[str, tuple[str, ...]], ...]) -> _Choices:
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
    yes_no = {form: form for form in forms} if forms.keys() <= _YES_NO else {}
    for choice, words in synonyms:
        for word in words if fold(choice) in forms else ():
            forms.setdefault(fold(word), forms[fold(choice)])
            if yes_no:
                yes_no.setdefault(word.lower(), fold(choice))
    longest_first = sorted(map(re.escape, forms), key=len, reverse=True)
    pattern = re.compile("|".join(longest_first) if forms else r"(?!)")
    letters = {letter: choice for choice, (letter, _) in labels.items()}
    only_letters = bool(letters) and not bodies
    singles = {} if labels else {choice.strip().upper(): choice for choice in choices if is_single(choice)}
    lone = frozenset(form for form, choice in forms.items() if choice in singles.values())
    deny = any(map(denies, choices))
    return _Choices(fold, forms, pattern, letters or singles, only_letters, lone, yes_no, deny)


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


def _is_negated(before: str, with_no: bool) -> bool:
    """Return whether the words before a mention end in a negation: `not red`, `not to the left`, `no red`."""
    words = before.split()
    while words and words[-1] in _BEFORE_NEGATED:
        words.pop()
    return bool(words) and (words[-1] in NEGATIONS or (with_no and words[-1] == "no"))
