"""The page as a whole: safe, small, readable in light, dark, print, on a phone, and without its script."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import made
import pytest
from playwright.sync_api import Browser, Page, expect

from conftest import SHOTS, Opener, shoot
from vtbench.report import render

CONTRAST = Path(__file__).with_name("contrast.js").read_text()


def too_faint(page: Page) -> list[str]:
    """Texts with less than WCAG AA's contrast."""
    found: list[str] = page.evaluate(CONTRAST)
    return found


def overflow(page: Page) -> int:
    pixels: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return pixels


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable(opened: Opener, report: Path, scheme: str) -> None:
    page = opened(report, color_scheme=scheme)
    expect(page.locator("[data-chart] svg").last).to_be_visible()
    assert too_faint(page) == []
    assert overflow(page) <= 0
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (shade == "rgb(19, 21, 26)") == (scheme == "dark")
    shoot(page, scheme)


def test_it_fits_a_phone(opened: Opener, report: Path) -> None:
    page = opened(report, width=390, is_mobile=True, has_touch=True)
    assert overflow(page) <= 0
    assert too_faint(page) == []
    expect(page.get_by_role("button", name="p(true)")).to_be_visible()
    shoot(page, "phone")


def test_it_prints_dark_on_white_without_controls(opened: Opener, report: Path) -> None:
    page = opened(report, color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator(".controls").is_hidden()
    expect(page.locator("[data-chart] svg").last).to_be_visible()
    assert too_faint(page) == []
    SHOTS.mkdir(parents=True, exist_ok=True)
    assert page.pdf(path=SHOTS / "print.pdf", format="A4").startswith(b"%PDF")


def test_it_speaks_to_screen_readers(opened: Opener, report: Path) -> None:
    page = opened(report)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, [role=region], [role=img], img')].filter(one =>"
        " !(one.textContent.trim() || one.ariaLabel || one.alt || one.labels?.length)).map(one => one.outerHTML)"
    )
    assert unnamed == []
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(below - above <= 1 for above, below in pairwise(levels))
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(ids) == len(set(ids))
    for link in page.locator("nav a").all():
        assert (link.get_attribute("href") or "")[1:] in ids


def test_other_runs_and_the_diagnosis_are_in_it(opened: Opener, report: Path) -> None:
    page = opened(report)
    expect(page.get_by_role("heading", name="Beside other runs")).to_be_visible()
    expect(page.get_by_role("heading", name="Diagnosis of relational")).to_be_visible()


def test_every_score_and_flag_leads_to_what_it_means(opened: Opener, report: Path) -> None:
    page = opened(report)
    links = page.locator("a.term, a.flag")
    assert links.count() > 10
    unexplained = page.evaluate(
        "[...document.querySelectorAll('a.term, a.flag')].filter(one => !one.title"
        " || document.querySelector(one.getAttribute('href'))?.nextElementSibling.textContent !== one.title).length"
    )
    assert unexplained == 0
    page.get_by_role("link", name="rank_acc", exact=True).first.click()
    expect(page.locator(":target")).to_have_text("rank_acc")
    expect(page.locator(":target + dd")).to_contain_text("most likely choice")


def test_a_wide_table_says_on_a_phone_that_it_scrolls(opened: Opener, report: Path) -> None:
    page = opened(report, width=390, is_mobile=True, has_touch=True)
    wide = page.get_by_role("region", name="Scores of relational", exact=True)
    assert wide.evaluate("one => one.scrollWidth > one.clientWidth")
    expect(page.locator(".hint").first).to_be_visible()
    expect(opened(report).locator(".hint").first).to_be_hidden()


def test_without_a_script_the_numbers_stand_open(opened: Opener, report: Path) -> None:
    page = opened(report, java_script_enabled=False)
    assert page.locator(".samples tbody tr").count() == 20
    assert page.locator("form.controls").is_hidden()
    assert page.locator(".count").inner_text() == "The first 20 of 300 samples."
    assert page.locator("details.values[open]").count() == 3
    shoot(page, "without-script")


def test_hostile_strings_are_shown_and_inert(opened: Opener, hostile: Path) -> None:
    page = opened(hostile)
    page.get_by_role("searchbox", name="Text").fill("window.hacked")
    expect(page.locator(".count")).to_contain_text("7 of 20")
    page.locator(".tokens button").first.hover()
    page.locator("[data-chart]").first.hover()
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x], [onerror]").count() == 0
    assert page.locator("script[src]").count() == 0
    texts = page.locator("h1, .samples tbody td, figcaption, .flag, .plot").all_inner_texts()
    assert sum("<script>window.hacked=1</script>" in text for text in texts) > 20
    shoot(page, "hostile")


def test_a_script_that_is_not_ours_does_not_run(browser: Browser, hostile: Path) -> None:
    spoilt = hostile.with_name("spoilt.html")
    spoilt.write_text(hostile.read_text().replace("<h1>", "<script>window.hacked=1</script><h1>"))
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(spoilt.as_uri())
    assert page.evaluate("window.hacked") is None
    assert any("Content Security Policy" in text for text in said)
    expect(page.locator(".count")).to_contain_text("20 of 20")
    page.close()


def test_two_thousand_samples_stay_small_and_are_all_sorted(opened: Opener, tmp_path: Path) -> None:
    run = made.enriched(made.run(tmp_path, 2000))
    path = tmp_path / "report.html"
    path.write_text(render(run), encoding="utf-8")
    assert path.stat().st_size < 10_000_000
    page = opened(path)
    expect(page.locator(".count")).to_have_text("2,000 of 2,000")
    first = page.locator(".samples tbody tr").first
    page.locator(".samples thead button").first.click()
    before = first.inner_text()
    page.locator(".samples thead button").first.click()
    assert first.inner_text() != before
