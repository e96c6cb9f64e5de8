"""The figures of docs/real_checkpoint.md are those of its formulas."""

from __future__ import annotations

import math
import re
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/real_checkpoint.md").read_text(encoding="utf-8")
GB = 1e9
PROMPT, ANSWER, REASONED, BATCH, QUESTIONS = 700, 32, 4096, 32, 2000


def rows(head: str) -> list[list[str]]:
    """The cells of the table whose first line begins with `head`."""
    lines = PAGE[PAGE.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def parameters(cell: str) -> float:
    return float(cell.split(" × ")[0]) * 1e9


def test_memory() -> None:
    found = rows("| parameters | layers")
    assert len(found) == 4
    for size, shape, *weights, thousand, batch in found:
        layers, heads, width = map(int, shape.split(" × "))
        expected = [f"{parameters(size) * bits / 8 / GB:.1f} GB" for bits in (16, 8, 4)]
        token = 2 * layers * heads * width * 2
        assert weights == expected
        assert thousand == f"{token * 1000 / GB:.3f} GB"
        assert batch == f"{token * BATCH * (PROMPT + ANSWER) / GB:.2f} GB"


def test_time() -> None:
    found = rows("| parameters | prompts")
    assert len(found) == 3
    for size, prompts, *answers in found:
        p = parameters(size)
        assert prompts == f"{2 * p * PROMPT * QUESTIONS / 100e12:,.0f} s"
        steps = math.ceil(QUESTIONS / BATCH)
        assert answers == [f"{steps * tokens * p * 2 / 2e12:,.0f} s" for tokens in (ANSWER, REASONED)]


def test_intervals() -> None:
    said = re.search(r"give ± (\S+) points with 2,000 of\s+them, ± (\S+) with 200, ± ([\d.]+) with 100", PAGE)
    assert said
    expected = [f"{100 * 1.96 * math.sqrt(0.25 / n):.1f}" for n in (2000, 200, 100)]
    assert list(said.groups()) == expected
