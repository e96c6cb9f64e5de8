"""Charts in the browser: drawn, named, redrawn; the token map by mouse, keyboard and touch."""

from __future__ import annotations

from pathlib import Path

import made
import pytest
from playwright.sync_api import Page, expect

from conftest import Opener
from vtbench.report import environment
from vtbench.report.charts import scatter


@pytest.fixture
def page(opened: Opener, report: Path) -> Page:
    return opened(report)


def shares(page: Page, side: str) -> list[int]:
    script = "all => all.map(one => parseInt(one.style.getPropertyValue('--share')))"
    values: list[int] = page.locator(f".{side} button").evaluate_all(script)
    return values


def test_charts_are_images_with_names_and_numbers(page: Page) -> None:
    charts = page.locator("[data-chart]")
    assert charts.count() == 2
    for chart in charts.all():
        expect(chart.locator("svg").last).to_be_visible()
        assert "numbers" in (chart.get_attribute("aria-label") or "")
    expect(page.locator("[data-chart] svg").filter(has_text="decoder_100")).to_be_visible()
    numbers = page.locator("figure", has=page.locator("[data-chart]")).first.locator("details")
    numbers.locator("summary").click()
    expect(numbers).to_contain_text("0.45 (0.35 to 0.55)")


def test_charts_follow_the_width(page: Page) -> None:
    wide = page.locator("[data-chart] svg").last.bounding_box()
    page.set_viewport_size({"width": 390, "height": 900})
    page.wait_for_function("document.querySelector('[data-chart]').drawnAt < 390")
    narrow = page.locator("[data-chart] svg").last.bounding_box()
    assert wide
    assert narrow
    assert narrow["width"] < 390 < wide["width"]


def test_hovering_over_a_token_shows_what_it_carries(page: Page) -> None:
    page.locator(".tokens button").nth(19).hover()
    expect(page.locator(".reading")).to_contain_text("Token row 3, column 4")
    expect(page.locator(".reading")).to_contain_text("row 3, column 4 (1.000)")
    patches = shares(page, "patches")
    assert patches.index(max(patches)) == 19
    assert patches[20] == pytest.approx(100 * made.MAP[19][20], abs=1)


def test_hovering_over_a_patch_shows_who_carries_it(page: Page) -> None:
    page.locator(".patches button").nth(42).hover()
    expect(page.locator(".reading")).to_contain_text("Patch row 6, column 3")
    tokens = shares(page, "tokens")
    assert tokens.index(max(tokens)) == 42


def test_the_map_is_walked_by_keyboard_with_one_stop_a_grid(page: Page) -> None:
    first = page.locator(".tokens button").first
    first.focus()
    expect(page.locator(".reading")).to_contain_text("Token row 1, column 1")
    for key, place in (
        ("ArrowRight", "row 1, column 2"),
        ("ArrowDown", "row 2, column 2"),
        ("End", "row 8, column 8"),
        ("ArrowDown", "row 8, column 8"),
        ("Home", "row 1, column 1"),
    ):
        page.keyboard.press(key)
        expect(page.locator(".reading")).to_contain_text(f"Token {place}")
    assert page.locator('.tokens button[tabindex="0"]').count() == 1
    page.keyboard.press("Tab")
    expect(page.locator(".reading")).to_contain_text("Patch row 1, column 1")
    assert "nats" in (first.get_attribute("aria-label") or "")


def test_touching_a_token_works(opened: Opener, report: Path) -> None:
    page = opened(report, width=390, has_touch=True, is_mobile=True)
    page.locator(".tokens button").nth(63).tap()
    expect(page.locator(".reading")).to_contain_text("Token row 8, column 8")


def test_a_curve_over_decades_has_a_logarithmic_axis_with_its_points_as_ticks(page: Page) -> None:
    chart = page.locator("[data-chart]").filter(has_text="log scale")
    ticks = chart.locator('[aria-label="x-axis tick label"] text')
    expect(ticks).to_have_count(6)
    assert sorted(ticks.all_text_contents(), key=float) == ["0", "0.05", "0.1", "0.25", "0.5", "1"]
    place = {}
    for tick in ticks.all():
        box = tick.bounding_box()
        assert box
        place[tick.text_content()] = box["x"] + box["width"] / 2
    assert place["0.5"] - place["0.25"] == pytest.approx(place["1"] - place["0.5"], rel=0.05)


LABELS = ["background", "circle", "red", "blue square", "ring", "triangle"]


def test_names_of_colours_and_shapes_have_their_own_and_the_legend_is_what_is_drawn(
    opened: Opener, tmp_path: Path
) -> None:
    path = tmp_path / "chart.html"
    chart = scatter("Tokens", [(i, i) for i in range(len(LABELS))], LABELS)
    frame = '{% extends "page.html.jinja" %}{% block title %}t{% endblock %}{% block main %}{{ chart }}{% endblock %}'
    path.write_text(environment().from_string(frame).render(chart=chart), encoding="utf-8")
    page = opened(path)
    swatches = page.locator('[class*="swatch"]:not([class*="swatches"])')
    expect(swatches).to_have_text(sorted(LABELS))
    drawn = page.locator('.plot [aria-label="dot"] path')
    assert drawn.count() == len(LABELS)
    colours = drawn.evaluate_all("all => all.map(one => getComputedStyle(one).stroke)")
    legend = swatches.locator("svg").evaluate_all(
        "all => all.map(one => getComputedStyle(one.querySelector('path') ?? one).stroke)"
    )
    by_name = dict(zip(LABELS, colours, strict=True))
    assert legend == [by_name[name] for name in sorted(LABELS)]
    style = "getComputedStyle(document.documentElement).getPropertyValue"
    page_colour = {name: page.evaluate(f"{style}('{name}')") for name in ("--c1", "--c7")}
    assert page_colour == {"--c1": "#1f5fbf", "--c7": "#b3261e"}
    assert by_name["red"] == "rgb(179, 38, 30)"
    assert by_name["blue square"] == "rgb(31, 95, 191)"
    assert len(set(colours)) == len(LABELS)
