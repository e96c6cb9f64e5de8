"""Axe, the accessibility checker, on every page that vtbench writes, light and dark, on a screen and on a phone."""

from __future__ import annotations

from pathlib import Path

import made
import pytest
from axe_playwright_python.sync_playwright import Axe
from fake_models import FACTS, FALLING, fake_results

import vtbench_board
from conftest import Opener
from vtbench.cli import status
from vtbench.registry import Registry
from vtbench_study.html_report import study_page
from vtbench_study.plan import Plan
from vtbench_study.summary import summarise


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, report: Path, run: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    study = folder / "study.html"
    plan = Plan(seeds=(0, 1, 2))
    results = [fake_results(cell, plan, FALLING.get(cell.arm, 0.55)) for cell in plan.cells()]
    study.write_text(study_page(summarise(plan, results, FACTS)), encoding="utf-8")
    registry = Registry()
    other = made.run(folder / "runs", 300)
    assert status(["compare", str(run), str(other), "--output", str(folder / "compare.html")], registry) == 0
    boards = Registry({"board": vtbench_board})
    assert status(["board", str(folder / "runs"), "--output", str(folder / "board")], boards) == 0
    return {
        "report": report,
        "study": study,
        "compare": folder / "compare.html",
        "board": folder / "board" / "index.html",
    }


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "study", "compare", "board"])
def test_axe_finds_nothing(opened: Opener, pages: dict[str, Path], name: str, scheme: str, width: int) -> None:
    # the pages allow no script but their own, and axe is one
    page = opened(pages[name], width, color_scheme=scheme, bypass_csp=True)
    if name in ("report", "study"):
        page.locator(".plot svg").first.wait_for()
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["help"], each["nodes"][0]["html"]) for each in found] == []
