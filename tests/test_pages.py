"""Pages do not drift: links, commands, specs, paths and names in them exist, and their code runs."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import click
import pytest

import vtbench
import vtbench_controls
from vtbench import cli
from vtbench.registry import Registry, check_settings
from vtbench.settings import parse_spec, split_specs

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name / "README.md" for name in (".", "benchmarks", "results")),
    *(ROOT / name for name in ("AGENTS.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SPECS = {"--metrics": "metric", "--budget": "budget", "--budget-sweep": "budget", "--executor": "executor",
         "--track": "tracker"}  # fmt: skip

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str = r"\w*") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the command lines of a page, each with its words."""
    for block in blocks(page):
        for line in block.splitlines():
            if line.startswith("vtbench "):
                yield line, shlex.split(line, comments=True)[1:]


@cache
def registry() -> Registry:
    return Registry()


@cache
def command_line() -> click.Group:
    group = click.Group("vtbench", dict(cli.app.commands), params=cli.app.params)
    registry().commands(group)
    return group


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        found = page.parent / target if target else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]
            assert anchor[1:] in anchors, target + anchor


@each_page
def test_commands_have_the_flags_they_are_shown_with(page: Path) -> None:
    for line, words in commands(page):
        command: click.Command = command_line()
        known = flags_of(command)
        while isinstance(command, click.Group):
            while words[0].startswith("--"):
                assert words.pop(0) in known, line
            names = words.pop(0).split("|")
            if names == ["COMMAND"]:
                break
            assert set(names) <= set(command.commands), line
            command = command.commands[names[0]]
        flags = {word.split("=")[0].replace("_", "-") for word in words if word.startswith("--")}  # as lm-eval has them
        assert flags <= flags_of(command), line


def flags_of(command: click.Command) -> set[str]:
    return {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}


@each_page
def test_specs_in_commands_name_what_exists(page: Path) -> None:
    for line, words in commands(page):
        for flag, value in pairwise(words):
            if flag in SPECS and not value.startswith("--"):
                own = " --tasks lmms:" in line or " --tasks lm-eval:" in line  # such a task brings metrics of its own
                for spec in split_specs(value):
                    if not own:
                        check_spec(SPECS[flag], spec.removeprefix("+"), line)
            elif flag == "--model" and words[0] != "pretrain":
                for name in value.split(","):
                    assert name in registry().named("model") or name in ("NAME", "gemma3", "mymodel"), line


def check_spec(kind: str, spec: str, line: str) -> None:
    name, settings = parse_spec(spec, kind)
    assert name in registry().named(kind) or name.isupper(), line
    if not name.isupper():
        check_settings(spec, name, registry().named(kind)[name], settings)


@each_page
def test_paths_and_modules_that_are_named_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for name in re.findall(r"`([\w./]+)`", text):
        top, _, rest = name.partition("/")
        if rest and re.fullmatch(r"vtbench|vtbench_\w+|adapters|plugins|tests|benchmarks|integration|docs|tasks", top):
            assert any((home / name).exists() for home in (ROOT, ROOT / "adapters", ROOT / "plugins")), name
        elif re.fullmatch(r"vtbench(_\w+)?(\.\w+)+", name):
            assert has(name), name


def has(dotted: str) -> bool:
    """Return whether a dotted name is a module, or something in one."""
    path, names = dotted, list[str]()
    while path:
        try:
            found: object = import_module(path)
        except ModuleNotFoundError:
            path, _, name = path.rpartition(".")
            names.insert(0, name)
            continue
        for name in names:
            if not hasattr(found, name):
                return name in getattr(found, "__annotations__", {})
            found = getattr(found, name)
        return True
    return False


def test_the_code_of_the_plugin_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric, a report's section and a run's table, as docs/plugins.md has them."""
    plugins: dict[str, object] = {"controls": vtbench_controls}
    for number, code in enumerate(blocks(ROOT / "docs/plugins.md", "python")):
        module = ModuleType(f"example_{number}")
        monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look up their module
        exec(code, module.__dict__)
        plugins[module.__name__] = module
        if hasattr(module, "AnswerLength"):
            monkeypatch.setitem(sys.modules, "mine", module)  # the package that the page's test imports
    mine = Registry(plugins, warn=pytest.fail)
    result = vtbench.run(
        "echo", ["coarse"], metrics=["accuracy", "answer_length"], limit=16, output=tmp_path, registry=mine
    )
    assert result.scores["coarse"]["words"].value == pytest.approx(6.375)
    assert "Slowest sample" in (result.path / "report.html").read_text(encoding="utf-8")
    tables = mine.run_tables()
    assert list(tables["failures"](result.path, {"failed": {"coarse": 2, "relational": 0}})) == ["coarse: 2 failed"]


def test_the_comparison_shows_the_table_that_was_measured() -> None:
    table = (ROOT / "results/architectures/table.md").read_text()
    assert table in (ROOT / "docs/comparison.md").read_text()
    results = (ROOT / "docs/results.md").read_text()
    for shown, measured in {
        "RS, all tokens": "probe, rs",
        "RS at 16 tokens": "probe, rs at equal m",
        "`relational`, accuracy": "relational, accuracy",
    }.items():
        cells = [
            re.search(rf"^\| {re.escape(name)} \|(.*)$", text, re.M)
            for name, text in ((shown, results), (measured, table))
        ]
        own, its = (cell[1].split("|") for cell in cells if cell)
        assert own == its


@each_page
def test_no_phrase_that_readers_stumbled_over_is_left(page: Path) -> None:
    text = " ".join(page.read_text(encoding="utf-8").split())
    stumbled = (
        *(
            "From both is taken their mean",
            "is thinned to a third of the room",
            "by factors that cancel in their product",
        ),
        *(
            "what the pictures do to a score cancels",
            "less A",
            "never surer than",
            "with the token that ends them behind",
        ),
        *("behind grey", "behind a grey", "has no list of favourites", "so many"),
    )
    assert [phrase for phrase in stumbled if re.search(rf"\b{phrase}\b", text)] == []


@each_page
def test_no_page_holds_both_sides_of_a_merge(page: Path) -> None:
    assert re.findall(r"^(?:<{7}|={7}$|>{7}).*", page.read_text(encoding="utf-8"), re.MULTILINE) == []
