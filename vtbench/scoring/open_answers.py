r"""Reduces a text to the open answer that it states: `The answer is 42 cm.`, `\boxed{42}`, `{"answer": 42}`, `{42}`.

Nothing is reduced that is not stated in such a form, is denied (`The answer is not 42`), doubted, or taken back in what
follows, so that a wrong answer never becomes right: an open answer is compared as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from vtbench.scoring.loose_json import documents
from vtbench.scoring.normalise import plain
from vtbench.scoring.refusals import is_refusal
from vtbench.scoring.statements import LONGEST_STATED, MOST_STATED, json_answers

_START = r"(?:^|[.!?;,:)\n]|\*\*|\b(?:so|thus|therefore|hence))[ \t#>*_\"'(-]{0,20}"
_LEAD = (
    r"(?:(?:so|thus|therefore|hence|finally|then|now|overall|and|ok|okay|in\s+(?:conclusion|summary|short))[,:]?\s+){0,2}"
    r"(?:i\s+(?:think|believe)\s+(?:that\s+)?)?(?:(?:the|my|our)\s+)?"
    r"(?:(?P<final>final\s+)|(?:correct|right|best|short|exact)\s+){0,2}"
)
_CUE = re.compile(
    _START + _LEAD + r"answer(?:\s+to\s+(?:the|this|your)\s+question)?[\"'*_\])]*\s*"
    r"(?:\b(?:is|would\s+be|should\s+be|must\s+be)\b|[:=：]|->|→)[*_:\s]*"
    r"|^[ \t#>*_]{0,20}"
    r"(?:(?P<heading>final\s+)?answer|antwort"
    r"|réponse|respuesta|risposta|resposta|ответ|答案|回答|答え|정답)[ \t*_]*(?:[:：是]|\n)[*_\s]*"
    r"|^####[ \t]+",
    re.IGNORECASE | re.MULTILINE,
)
_BOXED = re.compile(r"\\boxed\s*\{")
_BRACED = re.compile(r"(?<![\\\w^$}\])])\{\s*([^{}:\"\\]{1,60}?)\s*\}")
_FENCED = re.compile(r"\s*```[^\n`]{0,20}\n([^`]*)```\s*")
_EXPLAINED = re.compile(r"([^\n]+)\n\s*[*_#]*(?:explanation|reasoning|rationale|justification|reason)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(
    r"(?:(?<=\d)|(?<=\d [a-z])|(?<=\d [a-z]{2})|(?<=[^\W\d_]{3})|(?<=[)%°\"'*\]}$]))[.!](?:\s|$)"
)
"""Not behind a short word, which may be an abbreviation (`St. Louis`), unless it is a unit (`42 cm.`)."""
_CLAUSE_END = re.compile(r",?\s+(?:because|according\s+to|based\s+on)\b|,\s+(?:as|since|which|given)\b", re.IGNORECASE)
_DOUBTS = re.compile(
    r"\b(?:not|cannot|never|if|unless|whether|wrong|incorrect|false|suppose|would|might|may|could|unlikely|doubt)\b|n['’]t\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\W*(?:not|never|neither|unknown|unclear)\b", re.IGNORECASE)
_RETRACTED = re.compile(
    r"(?:^|[.!?;,(\n—–-])\W{0,20}(?:wait|actually|correction|alternatively|or|however|but|no|not|instead|scratch|rather|sorry"
    r"|hmm|although|though|unless|maybe|perhaps|possibly|if)\b(?!\s+other\b)"
    r"|(?:^|[.!?\n])\W{0,20}(?:it|this|that)(?:['’]s|\s+is)\s+(?:[^\s.!?]+\s+){0,2}[^\s.!?]+(?:[.!?\n]|$)"
    r"|\b(?:incorrect|wrong|mistaken|mistake|misread|unsure|not\s+(?:sure|certain)|could\s+be|might\s+be|may\s+be)\b",
    re.IGNORECASE,
)
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_LATEX = (
    (re.compile(r"\\[()\[\]]|\\(?:left|right)(?![a-z])|\\!"), ""),
    (re.compile(r"\\[,;: ]|~"), " "),
    (re.compile(r"\^\s*\{?\\circ\}?"), "°"),
    (re.compile(r"\\([%$#&])"), r"\1"),
    (re.compile(r"\\times(?![a-z])"), "×"),
)


def open_answer(text: str, right: frozenset[str]) -> tuple[str | None, bool]:
    """Return the open answer of a text as `plain` folds it, and whether it is right.

    Args:
        text: an answer without reasoning.
        right: the right answers as `plain` folds them.

    Returns:
        The answer is None (unparsed) if the text is empty, refuses, or states answers that contradict each other.

    >>> open_answer("The answer is **42 cm**.", frozenset({"42 cm"}))
    ('42 cm', True)
    >>> open_answer("The answer is not 42 cm.", frozenset({"42 cm"}))
    ('answer is not 42 cm', False)
    """
    whole = plain(text)
    if not whole or whole in right:
        return whole or None, whole in right
    found = list(_statements(text))
    if not found:
        return (None, False) if is_refusal(text) else (whole, False)
    said = {forms[-1] for forms in found}
    if len(said) > 1 or not all(said):
        return None, False
    forms = {form for forms in found for form in forms}
    answer = next((form for form in forms if form in right), said.pop())
    return answer, answer in right


def _statements(text: str) -> Iterator[list[str]]:
    """Yield the forms in which each stated answer may be meant, folded: a whole line, then its first clause."""
    if boxed := list(_boxed(text)):
        yield from ([_fold(answer)] for answer in boxed)
    elif answers := _from_json(text):
        yield from ([_fold(answer)] for answer in answers)
    elif len(braced := _BRACED.findall(text)) == 1 and not _DOUBTS.search(text):
        yield [_fold(braced[0])]
    elif cues := list(_CUE.finditer(text)):
        final = [match for match in cues if match["final"] or match["heading"]]
        for match in (final or cues)[-MOST_STATED:]:
            if not _DOUBTS.search(_sentence_before(text, match)):
                yield from _tail(text[match.end() :])
    elif fenced := _FENCED.fullmatch(text):
        yield [_fold(fenced[1])]
    elif (explained := _EXPLAINED.match(text.lstrip())) and not _RETRACTED.search(text.lstrip()[explained.end() :]):
        yield [_fold(explained[1])]


def _tail(tail: str) -> Iterator[list[str]]:
    """Yield the answer behind `The answer is`; nothing if it is denied, and "" if it is taken back."""
    line, _, below = tail[: 10 * LONGEST_STATED].partition("\n")
    line = line[:LONGEST_STATED]
    if not line.strip() or _DENIED.match(line) or line.rstrip(" *_\"'").endswith("?"):
        return
    forms, rest = [_fold(line)], below
    if end := _CLAUSE_END.search(line):
        forms, rest = [*forms, _fold(line[: end.start()])], line[end.end() :] + "\n" + below
    if (end := _SENTENCE_END.search(line)) and line[end.end() :].strip():
        forms, rest = [*forms, _fold(line[: end.start()])], line[end.end() :] + "\n" + below
    yield [""] if _RETRACTED.search(rest) else sorted(forms, key=len, reverse=True)


def _boxed(text: str) -> Iterator[str]:
    r"""Yield the contents of each `\boxed{...}`, with braces in it, that is neither doubted nor taken back."""
    for match in list(_BOXED.finditer(text))[-MOST_STATED:]:
        depth = 1
        for end in range(match.end(), min(match.end() + LONGEST_STATED, len(text))):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if not depth:
                doubted = _DOUBTS.search(_sentence_before(text, match))
                taken_back = _RETRACTED.search(text[end + 1 : end + 1 + 10 * LONGEST_STATED])
                if not doubted and not taken_back:
                    yield text[match.end() : end]
                break


def _from_json(text: str) -> Sequence[str]:
    """Return the answers of a JSON document with a key for it, or with one value only."""
    if not (answers := json_answers(text)) and "{" in text:
        found = [document for document, whole in documents(text) if whole]
        single = found[0] if len(found) == 1 and isinstance(found[0], dict) and len(found[0]) == 1 else {}
        named = single.items() if not _DOUBTS.search(" ".join(single).replace("_", " ")) else ()
        answers = [str(value) for _, value in named if isinstance(value, str | int)]
        around = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()
        if not (around.startswith("{") and around.endswith("}")):
            return ()
    outside = text[: text.find("{")], text[text.rfind("}") + 1 :]
    return () if _DOUBTS.search(outside[0]) or _RETRACTED.search(outside[1]) else answers


def _sentence_before(text: str, match: re.Match[str]) -> str:
    """Return the part of a sentence that stands before a match, with the beginning of the match."""
    before = text[max(match.start() - LONGEST_STATED, 0) : match.start() + 1]
    return re.split(r"[.!?](?=\s)|\n", before)[-1]


def _fold(answer: str) -> str:
    if "\\" in answer:
        answer = _FRACTION.sub(r"\1/\2", _TEXT.sub(r"\1", answer))
        for pattern, mark in _LATEX:
            answer = pattern.sub(mark, answer)
    return plain(answer.lstrip(" *_").rstrip(" .!*_"))
