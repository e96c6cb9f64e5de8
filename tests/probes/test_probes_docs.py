"""Docstring examples of the plugin say what happens, and its page lists what there is."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from vtbench_probes.cues import CUES
from vtbench_probes.retention_table import STAGES

PAGE = Path(__file__).parents[2] / "docs" / "cues.md"


@pytest.mark.parametrize("name", ["cues", "probe_data", "survival", "embedding", "report"])
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(f"vtbench_probes.{name}"))
    assert (found.failed, found.attempted > 0) == (0, True)


def test_the_page_names_every_cue_and_stage() -> None:
    page = PAGE.read_text()
    for cue, asked in CUES.items():
        hint = {"nothing": "nothing", "place": "place", "shape": "shape"}[asked.hint]
        assert f"| `{cue}` | {hint} |" in page, cue
    for stage in STAGES:
        assert f"`{stage}`" in page, stage
