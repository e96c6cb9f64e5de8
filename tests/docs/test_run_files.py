"""docs/run_files.md has every field that a run writes."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

import vtbench
from vtbench import Record, Score

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/run_files.md").read_text(encoding="utf-8")


def named(heading: str) -> set[str]:
    (part,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return {name for row in re.findall(r"^\| (.*?) \|", part, re.MULTILINE) for name in re.findall(r"`([\w-]+)`", row)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("runs")
    return vtbench.run("echo", ["coarse"], limit=2, report=False, output=home).path


def test_samples(run: Path) -> None:
    line = json.loads((run / "samples.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert line.keys() | {field.name for field in fields(Record)} == named("samples.jsonl")


def test_results(run: Path) -> None:
    document = json.loads((run / "results.json").read_text(encoding="utf-8"))
    known = named("results.json")
    assert document.keys() | {field.name for field in fields(Score)} | {"metric"} <= known


def test_run(run: Path) -> None:
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert document.keys() <= named("run.json")


def test_what_is_added_to_a_run_later() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "vtbench").rglob("*.py"))
    later = set(re.findall(r"(?:writer|self)\.update\((\w+)=", code))
    assert {"cache", "states", "unfitted"} <= later <= named("run.json")
