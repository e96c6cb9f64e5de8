"""The messages that docs/troubleshooting.md explains are messages of the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").partition("## It ran, and a score")[0]
MESSAGES = [
    text for cell in re.findall(r"^\| (.*?) \| ", PAGE, re.MULTILINE) for text in re.findall(r"`([^`]{8,})`", cell)
]


@pytest.fixture(scope="module")
def texts() -> str:
    """Every string of the code, those of f-strings in their constant parts."""
    found = [
        node.value
        for home in ("vtbench", "adapters", "plugins")
        for path in (ROOT / home).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n".join(found)


def parts(message: str) -> list[str]:
    """The words of a message between the names in capitals that stand for others.

    >>> parts("a prompt of NUMBER tokens leaves no room for")
    ['a prompt of', 'tokens leaves no room for']
    """
    return [part.strip(" '[]") for part in re.split(r"\b[A-Z]{3,}\b", message) if part.strip(" '[]")]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_code(message: str, texts: str) -> None:
    assert [part for part in parts(message) if part not in texts] == []


def test_a_message_that_is_not_there_would_be_found(texts: str) -> None:
    assert len(MESSAGES) > 20
    assert "the moon is made of cheese" not in texts
