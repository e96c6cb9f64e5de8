"""What a run says it is doing, on a terminal and in a pipe, and the list of tasks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from host_fakes import quiz, registry
from rich.console import Console

import vtbench
from vtbench.cli import status
from vtbench.console import progress
from vtbench.console.progress import Progress


def shown(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> Console:
    console = Console(record=True, force_terminal=terminal, width=100, file=open("/dev/null", "w"))  # noqa: SIM115
    monkeypatch.setattr(progress, "open_console", lambda stderr: console)
    return console


def test_each_phase_of_a_run_is_one_line_in_a_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    console = shown(monkeypatch, terminal=False)
    task = quiz(tmp_path, 6, metrics="[hits, seen]")
    result = vtbench.run("fake", [task], registry=registry(), listener=Progress(), output=str(tmp_path / "out"))
    lines = [line for line in console.export_text().splitlines() if line.strip()]
    assert lines == [f"run      {result.path}", "fitting  quiz, on the first images", "scoring  quiz"]


def test_a_phase_on_a_terminal_goes_when_samples_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    console = shown(monkeypatch, terminal=True)
    listener = Progress()
    names = lambda: [task.description for task in listener._bars.tasks]  # noqa: E731
    listener.phase("loading", "fake")
    assert names() == ["loading  fake"]
    listener.begin(Path("out"), {"quiz": (6, 2)}, {})
    listener.phase("fitting", "quiz")
    assert names() == ["quiz", "fitting  quiz"]
    listener.advance("quiz", 4, 0)
    assert names() == ["quiz"]
    (bar,) = listener._bars.tasks
    assert (bar.completed, bar.total, listener.done) == (6, 6, 6)
    listener.phase("scoring", "quiz")
    listener.end()
    assert names() == ["quiz"]
    assert "0/?" not in console.export_text()


def test_tasks_are_listed_with_items_split_and_metrics_in_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert status(["ls", "tasks"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"^  relational +2,000  test   accuracy, rank_accuracy, pair_accuracy,$", text, re.MULTILINE)
    assert re.search(r"^  probe +2,000  probe  redundancy$", text, re.MULTILINE)
    assert re.search(r"^real: --tasks real\n  blink +macro_accuracy", text, re.MULTILINE)
    assert text.count("\n  coarse ") == 1
    assert "picture" not in text
