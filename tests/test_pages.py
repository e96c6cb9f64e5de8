"""Pages do not drift: links lead somewhere, commands have the flags they are shown with, every hook is documented."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from vtbench import hookspecs
from vtbench.cli import app
from vtbench.registry import Registry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_flags_they_are_shown_with(page: Path) -> None:
    group = click.Group("vtbench", dict(app.commands))
    Registry().commands(group)
    for block in re.findall(r"```\w*\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            if not line.startswith("vtbench "):
                continue
            words = shlex.split(line, comments=True)[1:]
            command: click.Command = group
            while isinstance(command, click.Group):
                names = words.pop(0).split("|")
                assert set(names) <= set(command.commands), line
                command = command.commands[names[0]]
            known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
            assert {word.split("=")[0] for word in words if word.startswith("--")} <= known, line


def test_every_hook_is_named_in_the_plugin_page() -> None:
    text = (ROOT / "docs/plugins.md").read_text()
    for name in vars(hookspecs):
        if name.startswith("vtbench_"):
            assert name in text, name


def test_the_readme_tree_names_what_is_there() -> None:
    tree = re.search(r"```\nvtbench/ (.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert tree
    for name in re.findall(r"^  (\w+(?:\.py|/))", tree[1], re.MULTILINE):
        assert (ROOT / "vtbench" / name).exists(), name
    for name in re.findall(r"^(\w+/)", tree[1], re.MULTILINE):
        assert (ROOT / name).is_dir(), name


def test_the_comparison_shows_the_table_that_was_measured() -> None:
    table = (ROOT / "results/architectures/table.md").read_text()
    assert table in (ROOT / "docs/comparison.md").read_text()
    readme = (ROOT / "README.md").read_text()
    for shown, measured in {
        "RS at 16 tokens": "probe, rs at equal m",
        "`relational`, accuracy": "relational, accuracy",
    }.items():
        cells = [
            re.search(rf"^\| {re.escape(name)} \|(.*)$", text, re.M)
            for name, text in ((shown, readme), (measured, table))
        ]
        own, its = (cell[1].split("|") for cell in cells if cell)
        assert own == [its[0], *its[2:]]  # all but the repeated training
