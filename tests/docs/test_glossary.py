"""The glossary has every score that a metric computes and every flag that plugins explain, and no flag that is gone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vtbench.registry import Registry

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")


def entries(heading: str, page: str = PAGE) -> set[str]:
    """The names in the first column of the tables below a heading of the second level."""
    (part,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (`.*?`) \|", part, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def is_among(name: str, known: set[str]) -> bool:
    """Whether a name is there, or a pattern such as `cue_NAME` that it fits."""
    patterns = (re.sub(r"[A-Z]+", ".+", re.escape(entry)) for entry in known)
    return any(re.fullmatch(pattern, name) for pattern in patterns)


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


def test_every_score_of_every_metric_has_an_entry(registry: Registry) -> None:
    """A metric names all of its scores where there are no samples too."""
    ours = [name for name, found in registry.named("metric").items() if found.plugin.distribution == "vtbench"]
    scores = {score for name in ours for score in registry.create("metric", name).compute([], [])}
    assert len(scores) > 40
    assert [name for name in sorted(scores) if not is_among(name, entries("Scores"))] == []


def test_the_scores_are_those_that_plugins_explain(registry: Registry) -> None:
    assert entries("Scores") == registry.scores().keys()


def test_the_flags_are_those_that_plugins_explain(registry: Registry) -> None:
    """`tests/test_flags.py` sees to it that these are all that the code sets; a budget's rivals stand in `RIVAL`."""
    rivals = {f"{side}_{rival}" for side in ("above", "below") for rival in ("random", "grid")}
    assert entries("Flags") - {"above_RIVAL", "below_RIVAL"} == registry.flags().keys() - rivals
    assert rivals <= registry.flags().keys()


def test_names_are_read_from_the_first_column() -> None:
    page = "## Flags\n\n| flag | means |\n|---|---|\n| `a`, `b` | as `c` |\n\n## Other\n\n| `d` | e |\n"
    assert entries("Flags", page) == {"a", "b"}
    assert is_among("cue_shape", {"cue_NAME"})
    assert not is_among("cue", {"cue_NAME"})
