"""The table of samples: sorted, filtered, counted, grown; by mouse and by keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from conftest import Opener

ROWS = ".samples tbody tr"


@pytest.fixture
def page(opened: Opener, report: Path) -> Page:
    return opened(report)


def column(page: Page, name: str) -> list[str]:
    return page.locator(f'{ROWS} td[data-name="{name}"]').all_inner_texts()


def number(text: str) -> int:
    return int(text.split()[0].replace(",", ""))


def test_wrong_answers_come_first_and_the_rest_on_demand(page: Page) -> None:
    assert page.locator(ROWS).count() == 50
    assert set(column(page, "result")) == {"wrong"}
    page.get_by_role("button", name="Show 50 more").click()
    assert page.locator(ROWS).count() == 100
    assert page.evaluate("[...document.querySelectorAll('.samples tbody tr')].indexOf(document.activeElement)") == 50
    page.get_by_role("button", name="Show all 300").click()
    assert page.locator(ROWS).count() == 300
    assert page.locator(".more").is_hidden()


def test_headers_sort_up_and_down_by_keyboard(page: Page) -> None:
    expect(page.get_by_role("columnheader", name="result")).to_have_attribute("aria-sort", "ascending")
    button = page.get_by_role("columnheader", name="p(true)").get_by_role("button")
    button.focus()
    button.press("Enter")
    head = page.get_by_role("columnheader", name="p(true)")
    expect(head).to_have_attribute("aria-sort", "ascending")
    shown = [float(text) for text in column(page, "p(true)")]
    assert shown == sorted(shown)
    button.press("Space")
    expect(head).to_have_attribute("aria-sort", "descending")
    again = [float(text) for text in column(page, "p(true)")]
    assert again == sorted(again, reverse=True)
    assert again[0] > shown[0]
    assert page.locator("[aria-sort]").count() == 1


def test_filters_narrow_together_and_the_count_follows(page: Page) -> None:
    count = page.locator(".count")
    expect(count).to_have_text("300 of 300")
    expect(count).to_have_attribute("aria-live", "polite")
    page.get_by_role("radio", name="Wrong").check(force=True)
    expect(count).to_contain_text(": wrong")
    wrong = number(count.inner_text())
    page.get_by_role("combobox", name="Kind").select_option("where")
    expect(count).to_contain_text("wrong, where")
    assert 0 < number(count.inner_text()) < wrong
    assert set(column(page, "kind")) == {"where"}
    page.get_by_role("combobox", name="Kind").select_option("any")
    page.get_by_role("searchbox", name="Text").fill("RED circle")
    expect(count).to_contain_text("“RED circle”")
    for question in column(page, "question"):
        assert "red" in question
        assert "circle" in question
    page.get_by_role("searchbox", name="Text").fill("no such words")
    expect(count).to_contain_text("0 of 300")
    expect(page.locator(ROWS)).to_have_text("No sample is like that.")
    page.get_by_role("button", name="Clear").click()
    expect(count).to_have_text("300 of 300")


def test_cues_are_of_the_image_not_of_the_question(page: Page) -> None:
    assert page.locator("optgroup").evaluate_all("all => all.map(one => one.label)") == ["colour", "shape", "texture"]
    page.get_by_role("combobox", name="Cue").select_option("dotted")
    expect(page.locator(".count")).to_contain_text("texture dotted")
    assert 0 < number(page.locator(".count").inner_text()) < 300


def test_a_result_is_chosen_by_arrow_keys(page: Page) -> None:
    page.get_by_role("radio", name="All").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".count")).to_contain_text(": wrong")


def test_images_are_those_of_the_model(page: Page) -> None:
    sizes = page.locator(".samples img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert len(sizes) == 50
    assert set(sizes) == {224}


def test_reasoning_is_folded_until_it_is_asked_for(opened: Opener, hostile: Path) -> None:
    page = opened(hostile)
    row = page.locator(ROWS).filter(has=page.locator("summary", has_text="reasoning")).first
    text = row.locator('td[data-name="answer"] pre')
    expect(text).to_be_hidden()
    row.locator("summary", has_text="reasoning").click()
    expect(text).to_be_visible()
    assert "window.hacked" in text.inner_text()
    assert page.evaluate("window.hacked === undefined")


def test_an_image_enlarges_by_click_and_by_keyboard(page: Page) -> None:
    first = page.locator(f"{ROWS} .enlarge").first
    small = first.locator("img").bounding_box()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_hidden()
    first.click()
    expect(dialog).to_be_visible()
    large = dialog.locator("img").bounding_box()
    assert small
    assert large
    assert large["width"] > 3 * small["width"]
    expect(dialog).to_have_accessible_name(f"{first.locator('img').get_attribute('alt')}, 224 × 224 pixels as stored")
    page.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    first.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(first).to_be_focused()


def test_an_enlarged_image_fits_a_phone(opened: Opener, report: Path) -> None:
    page = opened(report, width=390, is_mobile=True, has_touch=True)
    page.locator(f"{ROWS} .enlarge").first.tap()
    box = page.get_by_role("dialog").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    page.touchscreen.tap(195, 5)  # beside the dialog
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_choices_have_probabilities_and_the_true_one_is_marked(page: Page) -> None:
    row = page.locator(ROWS).first
    odds = row.locator(".odds")
    expect(odds).to_be_hidden()
    row.locator("summary", has_text="probabilities of the choices").click()
    expect(odds).to_be_visible()
    shares = [float(text) for text in odds.locator("b").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=0.005)
    (true,) = odds.locator(".right").all_inner_texts()
    assert true.startswith(row.locator('td[data-name="true"]').inner_text())
    assert float(row.locator('td[data-name="p(true)"]').inner_text()) == pytest.approx(
        float(true.split()[-1]), abs=6e-4
    )


def test_without_a_script_the_probabilities_are_there_too(opened: Opener, report: Path) -> None:
    page = opened(report, java_script_enabled=False)
    row = page.locator(ROWS).first
    row.locator("summary", has_text="probabilities of the choices").click()
    expect(row.locator(".odds .right")).to_contain_text("(true)")
