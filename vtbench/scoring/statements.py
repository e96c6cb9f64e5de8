r"""Finds what a text states as its answer: `The answer is ...`, `\boxed{...}`, `{"answer": ...}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vtbench.scoring.loose_json import documents

MOST_STATED, LONGEST_STATED = 50, 300
"""How many statements of an answer are read, the last ones, and how many characters of each."""

_CUE = re.compile(
    r"(?:\b(?P<final>final\s+)?(?:answer|choice|option|response|conclusion)(?:\s+to\s[^.:\n]{1,80}?)?[\"'*_\])\s]*"
    r"(?:\b(?:is|was|would\s+be|should\s+be|must\s+be)\b|[:=：]|->|→)|答案\s*[是为：:])[\s\"':*_]*",
    re.IGNORECASE,
)
"""What comes before a stated answer."""
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|textbf|mathrm|mathbf)\s*\{)?([^{}]*)\}")
_ANSWER_KEYS = ("finalanswer", "answer", "correctanswer", "correctoption", "choice", "option", "response", "result")
"""Keys of a JSON object that hold its answer, in lower case and without other characters, the first first."""
_NO_LETTER = re.compile(r"[^a-z]+")


def stated_answers(text: str) -> list[str]:
    """Return what a text states as its answer: all that is boxed; else what JSON objects have under a key `answer`.

    Else it is what follows each `The answer is`, to the end of its line; final answers only, if there are any.

    >>> stated_answers("It may be red. Final answer: **blue**")
    ['blue**']
    >>> stated_answers('{"reason": "The answer is no red", "answer": "blue"}')
    ['blue']
    """
    if boxed := _BOXED.findall(text):
        return boxed
    if answers := json_answers(text):
        return answers
    found = list(_CUE.finditer(text))
    final = [match for match in found if match["final"]]
    ends = [match.end() for match in (final or found)[-MOST_STATED:] if match.end() < len(text)]
    return [text[end : end + LONGEST_STATED].partition("\n")[0] for end in ends]


def json_answers(text: str) -> list[str]:
    """Return what the JSON objects of a text have under their answer's key; objects that are cut have none."""
    if "{" not in text:
        return []
    return [answer for document, whole in documents(text) if whole for answer in _answers(document)]


def _answers(document: Any) -> Iterator[str]:
    if isinstance(document, list):
        for entry in document:
            yield from _answers(entry)
    if isinstance(document, dict):
        keys = {_NO_LETTER.sub("", key.lower()): value for key, value in document.items()}
        value = next((keys[key] for key in _ANSWER_KEYS if key in keys), None)
        values = value if isinstance(value, list) else [value]
        for one in values:
            if isinstance(one, dict):
                yield from _answers(one)
            elif one is not None and not isinstance(one, list):
                yield str(one)
