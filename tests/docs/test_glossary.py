"""The glossary has every score that a metric computes and every flag that the code can set, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtbench.registry import Registry
from vtbench_analysis.comparison.gate import FLAGS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
WORD = re.compile(r"[a-z]+(_[a-z0-9]+)*")
SETTERS = {"missing", "missing_scores", "estimates"}
"""Functions of the redundancy suite that take a flag as an argument."""


def entries(heading: str) -> set[str]:
    """The names in the first column of the tables below a heading of the second level."""
    (part,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`.*?`) \|", part, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def words(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and WORD.fullmatch(part.value):
            yield part.value


def flags_of(tree: ast.Module) -> Iterator[str]:
    """Words that a module puts into `flags=`, assigns to `flag` or `flags`, or hands to a function that sets one."""
    constants = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        found: list[ast.AST] = []
        if isinstance(node, ast.keyword) and node.arg == "flags":
            found = [node.value]
        elif isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
            found = [node.value] if names & {"flag", "flags"} else []
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            found = [arg for arg in node.args if isinstance(arg, ast.Constant)] if name in SETTERS else []
        for value in found:
            yield from words(value)
            for part in ast.walk(value):
                if isinstance(part, ast.Name) and part.id in constants:
                    yield from words(constants[part.id])


@pytest.fixture(scope="module")
def scores() -> set[str]:
    """The scores of every metric of every plugin; each names all of its scores where there are no samples too."""
    registry = Registry()
    ours = [name for name, found in registry.named("metric").items() if found.plugin.distribution == "vtbench"]
    return {score for name in ours for score in registry.create("metric", name).compute([], [])}


@pytest.fixture(scope="module")
def flags() -> set[str]:
    trees = [
        ast.parse(path.read_text(encoding="utf-8"))
        for home in ("vtbench", "plugins", "adapters")
        for path in (ROOT / home).rglob("*.py")
        if path.name != "cli.py"  # there `flags` are those of the command line
    ]
    return {flag for tree in trees for flag in flags_of(tree)} | set(FLAGS)


def test_every_score_of_every_metric_has_an_entry(scores: set[str]) -> None:
    assert len(scores) > 40
    assert [name for name in sorted(scores) if not is_among(name, entries("Scores"))] == []


def test_every_flag_that_the_code_sets_has_an_entry(flags: set[str], scores: set[str]) -> None:
    assert len(flags) > 40
    others = {"flags", "low", "high", "redundancy"}  # keys of what is read beside flags
    assert sorted(flags - others - scores - entries("Scores") - entries("Flags")) == []


def test_every_flag_that_is_explained_exists(flags: set[str]) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "plugins").rglob("*.py"))
    ours = {name for name in entries("Flags") if WORD.fullmatch(name)}
    assert sorted(name for name in ours - flags if f'"{name}"' not in source) == []


def test_a_flag_without_an_entry_is_found() -> None:
    code = 'NEW = "brand_new"\nscore = replace(score, flags=(NEW, "newer"))\nflag = "newest" if x else ""'
    assert {"brand_new", "newer", "newest"} <= set(flags_of(ast.parse(code)))


def is_among(name: str, known: set[str]) -> bool:
    """Whether a name is there, or a pattern such as `cue_NAME` that it fits."""
    patterns = (re.sub(r"[A-Z]+", ".+", re.escape(entry)) for entry in known)
    return any(re.fullmatch(pattern, name) for pattern in patterns)
