"""A real browser, and pages to open in it. Screenshots go to build/report/, to be looked at."""

# ruff: noqa: D103 (the names of tests and fixtures say it)

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import made
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from vtbench.registry import Registry
from vtbench.report import render

SHOTS = Path(__file__).parents[2] / "build/report"
PATIENCE = 60_000
"""Milliseconds to wait for what must come: on a busy machine it may take its time."""
NAMES = ("chromium", "chromium-browser", "google-chrome")

Opener = Callable[..., Page]

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.exit("no Chromium: install the package `chromium`, or name one in CHROMIUM", returncode=2)
    with sync_playwright() as playwright:
        # a container's root cannot have Chromium's sandbox; the pages are our own
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.enriched(made.run(tmp_path_factory.mktemp("run"), 300))


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.run(tmp_path_factory.mktemp("other"), 60)


@pytest.fixture(scope="session")
def report(run: Path, other: Path) -> Path:
    """The report of a run with everything, beside another run."""
    path, registry = run / "report.html", Registry()
    page = render(run, [other], registry.report_sections(), flags=registry.flags(), scores=registry.scores())
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = made.hostile(made.run(tmp_path_factory.mktemp("hostile"), 20))
    path = run / "report.html"
    path.write_text(render(run, [run]), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opener]:
    """Opens a page in a context of its own; at the end, no page may have said an error."""
    errors: list[str] = []
    contexts = []

    def open_page(path: Path, width: int = 1200, **settings: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **settings)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def shoot(page: Page, name: str) -> None:
    """Keep a screenshot of the whole page."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
