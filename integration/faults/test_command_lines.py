"""Thousands of bad command lines: no traceback, one line on standard error, and nothing written elsewhere.

The lines are made from the real tree of commands (`tests/support/command_catalogue.py`), and each runs in this process.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from command_catalogue import Line, Place, catalogue, outcome, problems, watched

LINES = catalogue()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        place = Place(tmp_path_factory.mktemp("lines"))
        with watched(place):
            yield place


def test_the_catalogue_has_every_command() -> None:
    assert len(LINES) >= 2000
    assert {line.words[0] for line in LINES} >= {
        "run", "ls", "validate", "check", "report", "init", "export", "score", "compare", "diagnose", "study",
        "pretrain",
        "train",
    }  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.label)
def test_a_bad_line_is_refused_on_one_line(line: Line, place: Place) -> None:
    found = outcome(place.arguments(line), place)
    assert problems(line, found) == []
