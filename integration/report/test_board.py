"""The page of `vtbench board`: filters, sorting, a phone, without its script, and hostile names."""

from __future__ import annotations

from pathlib import Path

import made
import pytest
from playwright.sync_api import expect
from stored_runs import stored_run
from test_page import overflow, too_faint

import vtbench_board
from conftest import Opener, shoot
from vtbench.cli import status
from vtbench.registry import Registry
from vtbench.types import Score

ROWS = "table.board tbody tr:visible"


@pytest.fixture(scope="module")
def page_of_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    for n in range(40):
        value = 0.2 + 0.015 * n
        bounds = (value - 0.1, value + 0.1)
        rs = Score(value, 0.05, bounds, 60, None, ("reduced",), {"protocol": "rs-v2", "m": 44}, False)
        stored_run(
            runs,
            f"run{n}",
            [True] * (59 - n) + [False] * (1 + n),
            model=f"model-{n}" if n else made.HOSTILE,
            created=f"2026-11-{1 + n % 28:02}T10:00:00+00:00",
            asked={"prompt_format": "instruct" if n % 4 == 0 else "plain"},
            scores={"rs": rs},
        )
    stored_run(runs, "other", [True] * 9, task="shapes", model="y" * 3000)
    stored_run(runs, "broken", [True]).joinpath("results.json").write_text("{")
    assert status(["board", str(runs), "--no-reports"], Registry({"board": vtbench_board})) == 0
    return runs / "index.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_board_is_readable(opened: Opener, page_of_runs: Path, scheme: str) -> None:
    page = opened(page_of_runs, color_scheme=scheme)
    assert too_faint(page) == []
    assert overflow(page) <= 0
    assert page.evaluate("window.hacked") is None
    expect(page.get_by_role("link", name="1 left out")).to_be_visible()
    shoot(page, f"board-{scheme}")


def test_rows_are_filtered_and_sorted(opened: Opener, page_of_runs: Path) -> None:
    page = opened(page_of_runs)
    expect(page.locator(".count")).to_have_text("41 of 41 rows")
    first = page.locator(ROWS).first
    expect(first.locator("th")).to_contain_text("model-1")
    page.get_by_label("Sort by").select_option(label="rs (rs-v2, m = 44)")
    expect(first.locator("th")).to_contain_text("model-39")
    expect(first.locator(".rank")).to_have_text("")
    page.get_by_role("button", name="acc").first.click()
    expect(first.locator("th")).to_contain_text("model-1")
    expect(first.locator(".rank")).to_have_text("1")
    page.get_by_label("Format").select_option("instruct")
    expect(page.locator(".count")).to_have_text("10 of 41 rows")
    page.get_by_label("From").fill("2026-11-20")
    expect(page.locator(".count")).to_have_text("2 of 41 rows")
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("searchbox", name="Model").or_(page.get_by_label("Model")).first.fill("model-39")
    expect(page.locator(".count")).to_have_text("1 of 41 rows")
    expect(page.get_by_role("heading", name="shapes")).to_be_hidden()


def test_a_phone_scrolls_the_table_and_not_the_page(opened: Opener, page_of_runs: Path) -> None:
    page = opened(page_of_runs, width=390, is_mobile=True, has_touch=True)
    assert overflow(page) <= 0
    expect(page.locator(".hint").first).to_be_visible()
    region = page.locator(".scroll.wide").first
    assert region.evaluate("one => one.scrollWidth > one.clientWidth")
    region.evaluate("one => one.scrollTo(400, 0)")
    assert page.locator(f"{ROWS} th").first.evaluate("one => one.getBoundingClientRect().left") < 30
    shoot(page, "board-phone")


def test_without_a_script_the_tables_are_whole(opened: Opener, page_of_runs: Path) -> None:
    page = opened(page_of_runs, java_script_enabled=False)
    assert page.locator(ROWS).count() == 41
    assert page.locator("form.controls").is_hidden()
