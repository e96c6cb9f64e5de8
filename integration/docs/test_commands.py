"""Every command of README.md and docs/*.md runs, or is listed with the suite that runs what it does."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from pathlib import Path

import click
import pytest
from documented import ROOT, Command, commands
from elsewhere import COMMANDS, elsewhere
from endpoint_fakes import FakeEndpoint
from names import provide
from smaller import smaller
from stand_ins import installed
from study_stand_in import study_of_fakes

from vtbench.cli import app, status
from vtbench.registry import Registry

ALL = commands()
HERE = list({one.words: one for one in reversed(ALL) if not elsewhere(one)}.values())[::-1]
"""Commands that run; one that several pages have runs once, as the first page has it."""
THERE = [command for command in ALL if elsewhere(command)]
FIRST = {"--resume": ("vtbench", "run", "--model", "llava", "--tasks", "relational")}
"""Words of commands that continue what another command began, and the command that did."""


@pytest.mark.parametrize("command", HERE, ids=lambda command: command.id)
def test_a_command_runs(
    command: Command,
    scratch: Path,
    store: Path,
    endpoint: FakeEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begun = [Command(command.page, FIRST[word]) for word in command.words if word in FIRST]
    for small in (smaller(one, endpoint.url) for one in (*begun, command)):
        provide(small, store, scratch)
        if small.words[1] == "study":
            study_of_fakes(monkeypatch)
        for name in re.findall(r"\b(mymodel|mymetric)\b", small.line) if small.words[1] != "init" else ():
            monkeypatch.syspath_prepend(str(installed(store, name)))
        assert status(list(small.words[1:])) == 0, capsys.readouterr().err


@pytest.mark.parametrize("command", THERE, ids=lambda command: command.id)
def test_a_command_that_runs_elsewhere_can_be_read(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = command.words
    if "vtbench" in words and words[0] in ("vtbench", "srun", "accelerate"):
        read_by_click([word for word in words[words.index("vtbench") + 1 :] if not word.startswith("${")])
    elif words[0] == "make":
        subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[:2] == ("pip", "install") and words[3].startswith("."):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert set(words[3][2:-1].split(",")) <= project["optional-dependencies"].keys()
    elif words[0] == "python" and words[1].startswith("benchmarks/"):
        read_by_script(words[1:], monkeypatch)


def read_by_click(words: list[str]) -> None:
    group = click.Group(app.name, dict(app.commands), params=app.params, context_settings=app.context_settings)
    registry = Registry()
    registry.commands(group)
    command = group.commands[words[0]]
    with group.make_context("vtbench", [], obj=registry, resilient_parsing=True) as context:
        command.make_context(words[0], words[1:], parent=context)


def read_by_script(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    class ReadError(Exception):
        pass

    def read(self: ArgumentParser, *given: object) -> None:
        parse(self)
        raise ReadError

    parse = ArgumentParser.parse_args
    monkeypatch.setattr(ArgumentParser, "parse_args", read)
    monkeypatch.setattr(sys, "argv", [str(ROOT / words[0]), *words[1:]])
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    with pytest.raises(ReadError):
        runpy.run_path(str(ROOT / words[0]), run_name="__main__")


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.pattern)
def test_an_entry_is_of_a_command_that_is_documented_and_of_a_suite_that_there_is(entry) -> None:
    assert [command for command in ALL if elsewhere(command) is entry]
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert entry.suite in targets or (ROOT / entry.suite).exists()


def test_the_pages_have_commands() -> None:
    assert {"README.md", "quickstart.md", "study.md"} <= {command.page for command in HERE}
    assert len(HERE) > 100
