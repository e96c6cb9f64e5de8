"""Thousands of bad command lines: no traceback, one line on standard error, and nothing written elsewhere.

The lines are made from the real tree of commands (`tests/support/command_catalogue.py`), and each runs in this process.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        "run", "ls", "show", "validate", "check", "report", "init", "export", "score", "compare", "diagnose", "study",
        "pretrain",
        "train",
    }  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.label)
def test_a_bad_line_is_refused_on_one_line(line: Line, place: Place) -> None:
    found = outcome(place.arguments(line), place)
    assert problems(line, found) == []


def keys_of(document: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every key, three levels deep."""
    for key, value in document.items():
        yield (*above, key)
        if isinstance(value, dict) and len(above) < 2:
            yield from keys_of(value, (*above, key))


@pytest.mark.parametrize("name", ["run.json", "results.json"])
def test_a_document_of_a_run_with_any_key_missing_or_of_another_kind(place: Place, name: str) -> None:
    made, copy = Path(place.words["run"]), place.home / "work/damaged/run"
    shutil.copytree(made, copy)
    whole = json.loads((made / name).read_text())
    for path in keys_of(whole):
        for value in ("gone", [1]):
            document = json.loads(json.dumps(whole))
            parent = document
            for key in path[:-1]:
                parent = parent[key]
            parent[path[-1]] = value
            if value == "gone":
                del parent[path[-1]]
            (copy / name).write_text(json.dumps(document))
            for words in (
                ("report", str(copy)),
                ("compare", str(made), str(copy)),
                ("diagnose", str(copy)),
                ("ls", "runs", "--output", str(copy.parent)),
            ):
                found = outcome(words, place)
                assert problems(Line(words), found) == [], (path, value, words[0])
    shutil.rmtree(copy.parent)
