"""Every benchmark can be started, and its README lists it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

HOME = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = {path.name: path for path in HOME.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_benchmark_finds_what_it_imports(name: str) -> None:
    assert runpy.run_path(str(SCRIPTS[name]))["__doc__"].strip(), "what --help says"


def test_the_readme_lists_every_benchmark_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+\.py)` \|", (HOME / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(SCRIPTS)
