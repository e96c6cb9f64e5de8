"""Reads which letter a text gives as its answer: `B`, `(B)`, `B: a red car`, `The answer is B, as there is a dog`.

A letter counts in answer position or answer form only. The A of "There is a cat" and the I of "I see a dog" are words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vtbench.scoring.statements import stated_answers

NEAR = 80
"""How many characters before and after a letter decide what it is."""
_LABELLED = re.compile(r"\s*(?:\(([A-Za-z])\)|([A-Za-z])[).:])\s+(\S.*)", re.DOTALL)
_MARKUP = re.compile(r"[*`]|\\(?:boxed|text|textbf|mathrm|mathbf)(?=\s*\{)")
_LETTER = re.compile(
    r"(?<![\w.&$À-ɏ])(?<!\w[-'’])([A-Za-z])(?![\w+#&À-ɏ]|['’][A-Za-z]|-\w|\.\w)",
    re.ASCII,
)
_OPEN, _CLOSE = "([{\"'“‘<", ")]}\"'”’>"
_WORDS = frozenset("aeiouyAEIOUY")
"""Letters that are words in some language."""
_GOES_ON = re.compile(
    r"\s+(?:because|as|since|and|or|but|not|is|was|are|with|due|based|given|given|for|in|instead|rather|shows?|which)\b",
    re.IGNORECASE,
)
"""What may follow a letter that is an answer, and does not follow an article."""
_KEYWORD = re.compile(r"(?:option|choice|letter)s?\s*:?\s*[(\[{\"'“‘<]*$", re.IGNORECASE)
_CHOSEN = re.compile(
    r"\b(?:choose|chose|pick|picked|select|selected|go\s+with|going\s+with)\s+(?:the\s+)?(?:option|choice|letter|answer)?"
    r"\s*[(\[{\"'“‘<]*$",
    re.IGNORECASE,
)
_NEGATED_BEFORE = re.compile(
    r"(?:\b(?:not|nor|neither|never|than|exclude|excluding|except)|cannot|n['’]t)\s+(?:be\s+)?(?:an?\s+|the\s+)?"
    r"(?:option|choice|letter|answer)?\s*[(\[{\"'“‘<]*$",
    re.IGNORECASE,
)
_NEGATED_AFTER = re.compile(
    r"[)\]}\"'”’>.:]*\s*(?:is|are|was|would\s+be|seems|can\s+be|looks)?\s*"
    r"(?:\b(?:not|incorrect|wrong|false|ruled\s+out|eliminated|excluded)\b|isn['’]t|wasn['’]t|can['’]t)",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(
    r"[)\]}\"'”’>]*\s+(?:is|would\s+be|must\s+be)\s+(?:(?:the|a)\s+)?(?:most\s+)?(?:correct|right|best|true|answer|accurate)\b",
    re.IGNORECASE,
)
_ANOTHER = re.compile(r"[)\]}\"'”’>.]*\s*(?:,|/|&|\bor\b|\band\b)\s*(?:option|choice)?\s*[(\[{\"'“‘<]*$", re.IGNORECASE)


def is_single(choice: str) -> bool:
    """Return whether a choice is one letter from A to Z."""
    bare = choice.strip()
    return len(bare) == 1 and bare.isascii() and bare.isalpha()


def labels_of(choices: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the letter (in upper case) and the text behind it of each choice: `A`, `(A) red`; empty without letters.

    >>> labels_of(["A. red car", "B. blue car"])
    {'A. red car': ('A', 'red car'), 'B. blue car': ('B', 'blue car')}
    """
    found = {}
    for choice in choices:
        match = _LABELLED.fullmatch(choice)
        if is_single(choice):
            found[choice] = (choice.strip().upper(), "")
        elif match:
            found[choice] = ((match[1] or match[2]).upper(), match[3])
        else:
            return {}
    return found if len({letter for letter, _ in found.values()}) == len(found) > 1 else {}


@dataclass(frozen=True, slots=True)
class _Mention:
    letter: str
    start: int
    end: int
    text: str

    @property
    def before(self) -> str:
        return self.text[max(self.start - NEAR, 0) : self.start]

    @property
    def after(self) -> str:
        return self.text[self.end : self.end + NEAR]

    @property
    def is_first(self) -> bool:
        return self.start <= NEAR and not self.before.strip(_OPEN + " \t\r\n")

    @property
    def is_label(self) -> bool:
        """Whether it is written as `B)`, `B.`, `B:` or `(B)`."""
        return self.after[:1] in tuple(").:]") or self.is_wrapped

    @property
    def is_wrapped(self) -> bool:
        return self.before[-1:] in tuple(_OPEN) and self.after[:1] in tuple(_CLOSE)


def read_letter(text: str, letters: frozenset[str]) -> str | None:
    """Return the letter, in upper case, that a text gives as its answer; None for none, or for several.

    Args:
        text: an answer without reasoning.
        letters: those of the choices, in upper case.
    """
    text = _MARKUP.sub("", unicodedata.normalize("NFKC", text)) if not text.isascii() else text
    stated = [_head(tail, letters) for tail in stated_answers(text)]
    plain = _MARKUP.sub("", text)
    mentions = list(_mentions(plain, letters))
    said = {letter for group in stated for letter in group}
    said |= {m.letter for m in mentions if _CONFIRMED.match(m.after) or _CHOSEN.search(m.before)} if not said else set()
    if said:
        return said.pop() if len(said) == 1 else None
    if first := _first(plain, mentions):
        return first
    last = plain.strip().rpartition("\n")[2].strip(_OPEN + _CLOSE + " .:")
    if len(last) == 1 and last.upper() in letters and not _is_list(mentions):
        return last.upper()
    found = {mention.letter for mention in mentions}
    return found.pop() if len(found) == 1 else None


def _head(tail: str, letters: frozenset[str]) -> set[str]:
    """Return the letter at the beginning of a stated answer, and others that it is joined to by `or` and `and`."""
    tail = _MARKUP.sub("", tail)
    found: set[str] = set()
    end = 0
    for match in _LETTER.finditer(tail):
        between = tail[end : match.start()]
        joined = re.fullmatch(r"\s*(?:(?:option|choice|letter|answer)\s*:?)?\s*[(\[{\"'“‘<]*", between, re.IGNORECASE)
        if not (_ANOTHER.fullmatch(between) if found else joined) or match[1].upper() not in letters:
            break
        after = tail[match.end() :]
        keyword = bool(joined and joined.group().strip(_OPEN + " :"))
        if not keyword and _is_word(match[1], after):
            break
        if _NEGATED_AFTER.match(after) and not re.match(r"\s*,?\s*not\b", after):
            break
        found.add(match[1].upper())
        end = match.end()
    return found


def _is_word(letter: str, after: str) -> bool:
    """Return whether a letter is a word of a sentence: the article of `A cat`, the pronoun of `I see`."""
    if letter not in _WORDS or not re.match(r"[^\S\n]+\w", after):
        return False
    return not _GOES_ON.match(after) or (letter in "Ii" and re.match(r"\s+(?:was|and|or|but|as)\b", after) is not None)


def _mentions(text: str, letters: frozenset[str]) -> Iterator[_Mention]:
    """Yield the letters of a text that are no words, and that it does not deny."""
    for match in _LETTER.finditer(text):
        if match[1].upper() not in letters:
            continue
        mention = _Mention(match[1].upper(), match.start(), match.end(), text)
        after, begins_line = mention.after, not mention.before.rpartition("\n")[2].strip(_OPEN + " \t")
        keyword = _KEYWORD.search(mention.before)
        joined = re.match(r"\s*(?:/|&|,|\bor\b|\band\b)\s*[(\[{\"'“‘<]*([A-Z])(?![\w'’])", after)
        if match[1] in _WORDS and match[1].islower():
            written = mention.is_wrapped or (begins_line and after[:1] in tuple(").:")) or bool(keyword)
            written = written and not (keyword and _is_word(match[1], after))
        else:
            is_word = _is_word(match[1], after)
            written = not is_word or bool(joined and joined[1] in letters) or bool(keyword)
        if written and not _NEGATED_BEFORE.search(mention.before) and not _is_denied(after):
            yield mention


def _is_denied(after: str) -> bool:
    """Return whether a letter is followed by `is wrong` or the like; `B, not A` denies A."""
    match = _NEGATED_AFTER.match(after)
    return bool(match) and not re.match(r"[)\]}\"'”’>.:]*\s*not\b", after)


def _is_list(mentions: Sequence[_Mention]) -> bool:
    """Return whether a text repeats the list of choices: `A) cat B) dog`."""
    return len({mention.letter for mention in mentions if mention.is_label}) > 1


def _first(text: str, mentions: Sequence[_Mention]) -> str | None:
    """Return the letter with which a text begins: `B: a red car`, `B, not A`, `B` before a new line."""
    if not mentions or not mentions[0].is_first or _is_list(mentions):
        return None
    first = mentions[0]
    rest = first.after.lstrip(_CLOSE)
    others = {mention.letter for mention in mentions[1:2] if _ANOTHER.fullmatch(text[first.end : mention.start])}
    if others - {first.letter}:
        return None
    ends = not rest.strip() or rest[0] in ".:,;-–—)\n" or _GOES_ON.match(rest)
    return first.letter if ends or re.match(r"\s*[-–—:\n]", rest) or first.letter not in _WORDS else None
