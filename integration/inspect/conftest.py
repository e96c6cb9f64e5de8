"""A run with a failed sample, its logs, and the pages of `inspect view bundle` in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

import vtbench
from vtbench.adapter import BaseAdapter
from vtbench.registry import Registry
from vtbench.types import Output, Sample
from vtbench_export import export_run

PATIENCE = 60_000
"""Milliseconds to wait for what must come: on a busy machine it may take its time."""
NAMES = ("chromium", "chromium-browser", "google-chrome")
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
FAILS = 3
"""Index of the sample that fails."""

expect.set_options(timeout=PATIENCE)


class Halting(BaseAdapter):
    """Says `left` to every question, cut at the second, and fails at one."""

    def generate(self, samples: Sequence[Sample], max_new_tokens: int) -> list[Output]:
        """Return the answers."""
        if any(sample.index == FAILS for sample in samples):
            raise ValueError("no power")
        reasons = ("length" if sample.index == 1 else "stop" for sample in samples)
        return [Output("left", tokens_in=70, tokens_out=2, finish_reason=reason) for reason in reasons]


class Plugin:
    """Brings the model."""

    @vtbench.hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        """Return it by name."""
        return {"halting": lambda **_: Halting()}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight samples, of which one failed."""
    registry = Registry({"halting": Plugin()})
    folder = tmp_path_factory.mktemp("runs")
    result = vtbench.run(
        "halting",
        "relational",
        limit=8,
        metrics="accuracy,pair_accuracy",
        max_failed=1.0,
        output=folder,
        registry=registry,
    )
    return Path(result.path)


@pytest.fixture(scope="session")
def logs(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run's logs."""
    return export_run(run, "inspect", tmp_path_factory.mktemp("logs")).path


@pytest.fixture(scope="session")
def site(logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the bundle, served on this machine."""
    folder = tmp_path_factory.mktemp("site") / "bundle"
    inspect = Path(sys.executable).with_name("inspect")
    command = [inspect, "view", "bundle", "--log-dir", logs, "--output-dir", folder]
    subprocess.run(command, check=True, timeout=300, capture_output=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def page() -> Iterator[Page]:
    """A page that reaches this machine's server alone."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.exit("no Chromium: install the package `chromium`, or name one in CHROMIUM", returncode=2)
    with sync_playwright() as playwright:
        # a container's root cannot have Chromium's sandbox; the pages are our own
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=[*sandbox, OFFLINE])
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.set_default_timeout(PATIENCE)
        yield page
        browser.close()
