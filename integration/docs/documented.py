"""What README.md and docs/*.md tell a reader to type: the commands and the Python of their fenced blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_PROGRAMS = ("vtbench", "make", "python", "accelerate", "git", "pip", "lm_eval", "lmms-eval", "srun", "vllm")
"""A line of a block without a language, or of `bash`, is a command if one of these is its first word."""


@dataclass(frozen=True)
class Command:
    """A command line of a page; `words` has no comment, and of alternatives such as `ls models|tasks` one."""

    page: str
    words: tuple[str, ...]

    @property
    def line(self) -> str:
        """The command as a line, with single spaces."""
        return " ".join(self.words)

    @property
    def id(self) -> str:
        """The name of its test."""
        return f"{self.page}: {self.line}"


@dataclass(frozen=True)
class Block:
    """A block of Python; `number` counts those of its page, from 1."""

    page: str
    number: int
    code: str

    @property
    def id(self) -> str:
        """The name of its test."""
        return f"{self.page} {self.number}"


def commands() -> list[Command]:
    """Return all commands in the order of the pages; one that a page has twice is there once."""
    return list(dict.fromkeys(command for page in PAGES for command in _commands(page)))


def python_blocks() -> list[Block]:
    """Return all blocks of Python in the order of the pages."""
    found = []
    for page in PAGES:
        codes = [code for language, code in _blocks(page) if language == "python"]
        found += [Block(page.name, number, code) for number, code in enumerate(codes, start=1)]
    return found


def _blocks(page: Path) -> list[tuple[str, str]]:
    return _BLOCK.findall(page.read_text(encoding="utf-8"))


def _commands(page: Path) -> Iterator[Command]:
    for language, code in _blocks(page):
        if language not in ("", "bash"):
            continue
        for line in code.replace("\\\n", " ").splitlines():
            if not re.match(rf"({'|'.join(_PROGRAMS)}) ", line):
                continue
            lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
            lexer.whitespace_split = True  # and `#` begins a comment
            alternatives = [word.split("|") if word[:1].isalpha() else [word] for word in lexer]
            yield from (Command(page.name, words) for words in product(*alternatives))
