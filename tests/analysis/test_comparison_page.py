"""A comparison's page and table: unequal numbers of tokens are marked, bars of one kind share a scale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from stored_runs import TASK, edited, stored_run

import vtbench_analysis
from vtbench.cli import status
from vtbench.registry import Registry
from vtbench.scoring import plugin
from vtbench.stats import Estimate
from vtbench.types import Score
from vtbench_analysis.comparison.report import bar_kind, bar_scales
from vtbench_analysis.comparison.score_rows import ScoreRow

Captured = pytest.CaptureFixture[str]


def compared(folder: Path, *ms: int) -> tuple[str, int]:
    """Compare runs whose RS is of `ms` tokens; return the page."""
    runs = []
    for place, m in enumerate(ms):
        rs = Score(0.7, 0.05, (0.6, 0.8), 60, None, (), {"protocol": "rs-v2", "m": m}, False)
        path = stored_run(folder, f"run{place}", [True] * 9 + [False] * (1 + place), scores={"rs": rs})
        edited(path / "run.json", metrics={TASK: ["accuracy", "made"]})
        runs.append(str(path))
    registry = Registry({"scoring": plugin, "analysis": vtbench_analysis})
    page = folder / "page.html"
    found = status(["compare", *runs, "--output", str(page)], registry)
    return page.read_text(), found


def test_scores_at_unequal_m_are_marked_and_explained(tmp_path: Path, capsys: Captured) -> None:
    page, _ = compared(tmp_path, 58, 16)
    assert re.findall(r'<span class="mark-m">(.*?)</span>', page) == ["m = 58", "m = 16", "m = …"]
    said = capsys.readouterr().out
    assert "rs is measured at m = 58 in A, 16 in B" in said
    assert "at unequal m they do not compare." in said
    assert max(map(len, said.splitlines()[2:])) <= 120


def test_scores_at_one_m_are_not_marked(tmp_path: Path, capsys: Captured) -> None:
    page, _ = compared(tmp_path, 58, 58)
    assert '<span class="mark-m">' not in page
    assert "measured at m" not in capsys.readouterr().out


def test_scores_and_flags_lead_to_what_they_mean(tmp_path: Path) -> None:
    page, _ = compared(tmp_path, 58, 16)
    assert re.search(r'<a class="term" href="#term-1" title="Share of answers that are right[^"]*">acc</a>', page)
    assert re.search(r'<a class="flag" href="#term-\d+" title="the score has no paired test">no_test</a>', page)


def row(score: str, end: float, percent: bool = False) -> ScoreRow:
    difference = Estimate(end / 2, interval=(0.0, end))
    return ScoreRow("made", score, (Estimate(0.5), Estimate(0.6)), (difference,), 9, percent)


def test_bars_of_one_kind_share_a_scale() -> None:
    rows = [row("acc", 0.1, True), row("pair_acc", 0.4, True), row("rs", 0.2), row("rs_encoder", 0.1), row("n", 5.0)]
    rows += [row("drop_area", 0.3), row("drop_area_grid", 0.6)]
    assert [bar_kind(each, rows) for each in rows] == ["%", "%", "rs", "rs", "n", "drop_area", "drop_area"]
    scales = {"%": 0.42, "rs": 0.21, "n": 5.25, "drop_area": 0.63}
    assert bar_scales(rows) == pytest.approx(scales)


def test_layers_share_a_scale_without_the_score_of_the_tokens_themselves() -> None:
    rows = [row("rs_encoder", 0.2), row("rs_decoder_50", 0.1)]
    assert {bar_kind(each, rows) for each in rows} == {"rs"}
