"""The pages that are made from the code are those of the code; the site's configuration names every page."""

from __future__ import annotations

import importlib.util
import re
import runpy
from pathlib import Path
from types import ModuleType

import pytest

import vtbench

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs/reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["cli.md", "task_keys.md"])
def test_a_page_is_that_of_the_code(reference: ModuleType, name: str) -> None:
    """After a change of an option or of the schema, `make reference` writes it again."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == reference.pages()[name]


def test_types_are_told_in_words(reference: ModuleType) -> None:
    assert reference.type_text({"anyOf": [{"type": "string"}, {"type": "null"}]}) == "text"
    assert reference.type_text({"type": "integer", "minimum": 1}) == "whole number, at least 1"
    assert reference.type_text({"type": "object", "additionalProperties": {"type": "number"}}) == "number by name"
    assert reference.default_text({"default": list(range(100))}) == "100 values"


def test_the_navigation_names_every_page_once() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r": ([\w/.]+\.md)$", text, re.MULTILINE)
    assert sorted(name for name in named if "/" not in name) == sorted(
        path.name for path in (ROOT / "docs").glob("*.md")
    )


def test_the_page_on_the_interface_has_every_public_name() -> None:
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    documented = {name.rpartition(".")[2] for name in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)}
    assert set(vtbench.__all__) - {"__version__"} <= documented


def test_the_figure_is_that_of_the_tables() -> None:
    """After a change of the results, `python docs/results_figure.py` draws it again."""
    drawn = runpy.run_path(str(ROOT / "docs/results_figure.py"))["figure"]()
    assert (ROOT / "docs/images/results.svg").read_text(encoding="utf-8") == drawn


def test_images_of_pages_are_small() -> None:
    assert max(path.stat().st_size for path in (ROOT / "docs/images").iterdir()) < 150_000
