"""A sample of the catalogue of bad command lines (all of it: `make faults`), and the command line's own edges."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_catalogue import Line, Place, catalogue, outcome, problems, watched
from host_fakes import registry
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from vtbench.cli import app, status
from vtbench.console.terminal import LONGEST, open_console, say, single_line, visible
from vtbench.templates import write_template

LIGHT = ("run", "ls", "show", "validate", "check", "report", "init", "export", "compare", "diagnose")
"""Commands that need no torch for their first checks."""
SAMPLE = [line for line in catalogue() if line.words[0] in LIGHT][::23]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("lines"))
    with watched(place):
        yield place


@pytest.mark.parametrize("line", SAMPLE, ids=lambda line: line.label)
def test_a_bad_line_is_refused_on_one_line(line: Line, place: Place) -> None:
    assert problems(line, outcome(place.arguments(line), place)) == []


HOSTILE = "a\x1b[31mb\x9b2Jc\u202ed\x07\r\ud800[red]e[/red]:smile:"


def test_no_escape_of_a_stranger_reaches_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    console = open_console(width=120)
    console.print(HOSTILE)
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    console.print(table)
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\x9b\u202e\x07\r\ud800")
    assert out.count("[red]e[/red]:smile:") >= 4
    assert "\\x1b[31mb" in out


def test_an_error_quotes_a_stranger_safely(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["validate", f"no/{HOSTILE}.yaml"], registry()) == 2
    err = capsys.readouterr().err
    assert err.rstrip("\n").isprintable()
    assert "[red]" in err


@given(st.text(max_size=60))
def test_visible_text_is_printable_and_whole(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert not any(c in shown for c in "\x1b\x9b\r\x00\u202e\u2066\u200f")
    assert visible(shown) == shown
    assert shown == text or "\\" in shown


def test_an_error_of_a_million_characters_is_one_short_line() -> None:
    text = single_line("begin " + "x" * 10**6 + "\nend")
    assert len(text) <= LONGEST
    assert text.startswith("begin ")
    assert text.endswith("end")


def test_a_broken_pipe_that_is_not_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks() -> None:
        raise BrokenPipeError

    monkeypatch.setitem(app.commands, "breaks", click.Command("breaks", callback=breaks))
    with pytest.raises(BrokenPipeError):
        status(["breaks"], registry())


@pytest.mark.parametrize("words", ["--help", "validate --schema", "ls tasks"])
def test_a_closed_pipe_ends_quietly(words: str) -> None:
    command = [sys.executable, "-m", "vtbench", *words.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        assert (process.wait(), err) == (0, b"")


def test_a_full_disk_behind_the_output_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "vtbench", "ls", "tasks"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.decode().splitlines() == ["vtbench: No space left on device; --debug shows the traceback"]


def test_validate_takes_several_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["validate", "all"]) == 0
    out = capsys.readouterr().out
    assert out.count(": fine. ") >= 4
    assert "relational: fine." in out


def test_init_writes_an_importable_name_for_one_with_hyphens(tmp_path: Path) -> None:
    lines = write_template("adapter", "my-own-model", tmp_path, registry())
    assert (tmp_path / "my_own_model/my_own_model/adapter.py").is_file()
    assert any("--model my_own_model" in line for line in lines)
    write_template("task", "my-own-task", tmp_path, registry())
    assert (tmp_path / "my-own-task.yaml").is_file()
