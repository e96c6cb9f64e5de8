"""Tells refusals and denials from answers: `I can't tell whether it is red` says no colour, though it names one."""

from __future__ import annotations

import re

_VERB = (
    r"(?:see|view|show|contain|depict|display|feature|include|have|find|detect|appear|seem|look|identif|determin|tell|say"
    r"|know|think|believe|answer|choos|count|confirm|recogni[sz]|access|process|analy[sz]|discern|distinguish|verif"
    r"|help|assist|provide|sure|certain|clear|able|possible)\w{0,4}"
)
_DENIAL = re.compile(
    r"(?:\b(?:not|cannot|never|unable\s+to|impossible\s+to|(?:difficult|hard)\s+to)|\b\w{1,8}n['’]t)\s+"
    rf"(?:(?:able|possible|sure|certain|really|actually|clearly|even|to|be|currently|directly)\s+){{0,4}}{_VERB}\b"
    r"[^.,;:!?\n]{0,300}?(?=\bbut\b|[.,;:!?\n]|$)"
    r"|\bwhether\b[^.,;:!?\n]{0,300}"
    r"|\bno\s+(?:image|picture|photo)s?\s+(?:(?:is|was|are|were|has|have|been)\s+){0,3}"
    r"(?:provided|attached|uploaded|included|shared|available|given|received|loaded)\b"
    r"|\b(?:see|received|got)\s+no\s+(?:image|picture|photo)s?\b"
    r"|\bno\s+(?:way|means)\s+of\s+(?:view|see|access)ing\b",
    re.IGNORECASE,
)
"""To the end of the clause: what is not seen, known or said."""
_ASKS_FOR_IMAGE = re.compile(
    r"\b(?:please|(?:could|can|would)\s+you)\s+(?:\w+\s+){0,3}?(?:(?:re-?)?upload|attach|share|send|provide)\b",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\W*(?:i['’]?m\s+(?:very\s+)?sorry|i\s+am\s+sorry|sorry\b|i\s+apologi[sz]e|unfortunately|as\s+an\s+ai\b"
    r"|i\s+(?:cannot|can['’]?t|(?:do\s+not|don['’]?t)\s+(?:see|have|know)|am\s+(?:unable|not\s+(?:able|sure)))\b|i['’]?m\s+(?:unable|not\s+(?:able|sure))"
    r"|(?:it|that)(?:['’]s|\s+is)\s+(?:not\s+possible|impossible)|(?:there\s+is\s+)?no\s+image\b"
    r"|the\s+(?:image|picture|photo)\s+(?:does\s+not|doesn['’]t)\s)",
    re.IGNORECASE,
)


def denies(text: str) -> bool:
    """Return whether a text has a clause that says what is not seen, known or said."""
    return _DENIAL.search(text) is not None


def without_denials(text: str) -> str:
    """Return a text without the clauses that say what is not seen, known or said.

    >>> without_denials("I can't tell if it is red, but the square is blue.")
    'I , but the square is blue.'
    """
    return _DENIAL.sub("", text)


def asks_for_image(text: str) -> bool:
    """Return whether a text asks for an image, or for more to go on, in place of an answer."""
    return _ASKS_FOR_IMAGE.search(text) is not None


def is_refusal(text: str) -> bool:
    """Return whether a text begins as a refusal does: `I'm sorry`, `I cannot see`, `The image does not show`."""
    return _REFUSAL.match(text) is not None or asks_for_image(text)
