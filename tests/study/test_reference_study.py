"""The committed study: its files agree with its document, and the docs quote them exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vtbench_study.html_report import study_page
from vtbench_study.plan import Plan
from vtbench_study.table_files import table_files

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference-study"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REFERENCE / "study.json").read_text(encoding="utf-8"))
    return found


def test_it_is_a_full_study_of_three_seeds_or_more(document) -> None:
    plan = Plan.from_document(document["plan"])
    assert not plan.quick
    assert len(plan.seeds) >= 3
    assert not document["missing"]


def test_its_tables_are_those_of_its_document(document) -> None:
    for name, text in table_files(document).items():
        assert (REFERENCE / name).read_text(encoding="utf-8") == text, name


def test_its_page_can_be_rendered(document) -> None:
    assert "The paper" in study_page(document)
    assert (REFERENCE / "report.html").stat().st_size < 3_000_000


def test_docs_quote_its_table() -> None:
    assert (REFERENCE / "table.md").read_text(encoding="utf-8") in (ROOT / "docs" / "study.md").read_text(
        encoding="utf-8"
    )


def test_the_results_quote_its_rows() -> None:
    table = (REFERENCE / "table.md").read_text(encoding="utf-8").splitlines()
    quoted = (ROOT / "docs/results.md").read_text(encoding="utf-8").splitlines()
    for family in ("base", "coarse", "attribute", "relational", "scene_graph"):
        (row,) = [line for line in table if line.startswith(f"| `{family}` |")]
        assert row in quoted
