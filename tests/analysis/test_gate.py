"""The regression gate of `vtbench compare`: which scores fell, the exit status, and how often equal runs fail."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from analysis_fakes import registry, run

from vtbench.cli import status
from vtbench.registry import Registry
from vtbench.stats import RatioTerms, holm, ratio_difference
from vtbench_analysis import compare
from vtbench_analysis.comparison.gate import flagged, gate
from vtbench_analysis.comparison.run_comparison import RunComparison, TaskComparison
from vtbench_analysis.comparison.score_rows import ScoreRow, ratio_value
from vtbench_analysis.comparison.shared_samples import SharedSamples
from vtbench_analysis.errors import AnalysisError

Captured = pytest.CaptureFixture[str]


def cli(*arguments: object) -> int:
    return status([str(argument) for argument in arguments], registry())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    output = tmp_path_factory.mktemp("runs")
    return {
        "good": run(output, model_args={"right": 0.9}),
        "same": run(output, model_args={"right": 0.9}),
        "poor": run(output, model_args={"right": 0.5}),
        "mute": run(output, model_args={"right": 0.9, "says": "hm"}),
    }


def test_a_run_of_the_same_model_passes_and_a_worse_one_fails(runs: dict[str, Path], capsys: Captured) -> None:
    assert cli("compare", runs["good"], runs["same"], "--max-drop", 2, "--alpha", 0.05) == 0
    assert capsys.readouterr().out.count("passed") == 4  # acc, rank_acc, rank_acc_norm, pair_acc
    assert cli("compare", runs["poor"], runs["good"], "--max-drop", 0) == 0  # better is not worse
    capsys.readouterr()
    assert cli("compare", runs["good"], runs["same"], runs["poor"], "--max-drop", 2) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fell")]
    assert len(lines) == 4
    assert all(str(runs["poor"]) in line and "p Holm" in line and " points" in line for line in lines)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--max-drop", "90"], 0),  # the drop is about 40 points
        (["--alpha", "0.05"], 1),
        (["--scores", "acc"], 1),  # each of the three asks for the gate
        (["--max-drop", "2", "--alpha", "1e-12"], 0),
        ([], 0),
    ],
)
def test_each_flag_decides(runs: dict[str, Path], more: list[str], expected: int) -> None:
    assert cli("compare", runs["good"], runs["poor"], *more) == expected


def test_the_document_has_the_gate(runs: dict[str, Path], capsys: Captured) -> None:
    assert cli("compare", runs["good"], runs["poor"], "--scores", "acc", "--max-drop", 1, "--json") == 1
    out, err = capsys.readouterr()
    found = json.loads(out)["gate"]
    (score,) = found["scores"]
    assert (found["fell"], found["max_drop"], found["alpha"], score["score"]) == (True, 1.0, 0.05, "acc")
    assert score["drop"] == pytest.approx(-100 * score["difference"])
    assert score["interval"][1] < 0
    assert score["p"] == score["p_holm"] < 0.05
    assert err.startswith("fell ")
    assert cli("compare", runs["good"], runs["poor"], "--json") == 0
    assert "gate" not in json.loads(capsys.readouterr().out)


def test_unparsed_answers_fall_when_they_rise(runs: dict[str, Path]) -> None:
    found = gate(compare([runs["good"], runs["mute"]]), scores=["unparsed"])
    (verdict,) = found.verdicts
    assert (verdict.fell, verdict.drop) == (True, pytest.approx(100))
    assert not gate(compare([runs["mute"], runs["good"]]), scores=["unparsed"]).fell


def test_scores_without_a_better_side_or_a_test_are_named(runs: dict[str, Path], tmp_path: Path) -> None:
    two = [
        run(tmp_path, limit=80, metrics=["accuracy", "redundancy"], model_args={"copies": copies}) for copies in (1, 4)
    ]
    found = gate(compare(two))
    assert {verdict.row.score for verdict in found.verdicts} == {"acc"}
    reasons = found.not_gated["relational"]
    assert reasons["rs"] == reasons["ms_per_sample"] == "neither more nor less of it is better"
    assert any(line.startswith("not gated  relational: ") and " rs" in line for line in found.lines())
    with pytest.raises(AnalysisError, match="--scores: rs cannot be gated: neither more nor less"):
        gate(compare(two), scores=["rs"])


def test_the_allowed_drop_is_allowed() -> None:
    """0.86 - 0.84 is more than 0.02 in floating point."""
    rows = _rows(np.arange(100) < 86, np.arange(100) < 84)
    assert not gate(rows, max_drop=2, alpha=0.9).fell
    assert gate(rows, max_drop=1.9, alpha=0.9).fell


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-drop", "much"], "--max-drop: must be a valid number"),
        (["--max-drop", "-1"], "--max-drop: must be greater than or equal to 0"),
        (["--max-drop", "nan"], "--max-drop: must be a finite number"),
        (["--alpha", "0"], "--alpha: must be greater than 0"),
        (["--alpha", "1"], "--alpha: must be less than 1"),
        (["--scores", "ac"], "--scores: no run has a score 'ac' to compare. Did you mean 'acc'?"),
        (["--scores", ","], "--scores: name at least one"),
        (["--fail-on", "unconvergd"], "--fail-on: no score has a flag 'unconvergd'; there are above_grid,"),
        (["--fail-on", ""], "--fail-on: name at least one"),
    ],
)
def test_a_mistake_is_one_line(runs: dict[str, Path], capsys: Captured, arguments: list[str], message: str) -> None:
    assert cli("compare", runs["good"], runs["poor"], *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_flags_fail(tmp_path: Path, capsys: Captured) -> None:
    two = [
        run(tmp_path, limit=80, metrics=["accuracy", "redundancy"], model_args={"copies": copies}) for copies in (1, 4)
    ]
    comparison = compare(two)
    carried = {flag for run in two for flag in _flags(run)}
    assert carried
    (flag, *_) = sorted(carried)
    found = flagged(comparison, [flag])
    assert found == [
        {"run": str(path), "task": "relational", "score": name, "flags": [flag]}
        for path in two
        for name, flags in _scores(path).items()
        if flag in flags
    ]
    assert cli("compare", *two, "--fail-on", f"{flag},synergy") == 1
    assert f"flagged    relational {found[0]['score']}: {flag} (" in capsys.readouterr().out
    absent = sorted(Registry().flags().keys() - carried)[0]
    assert cli("compare", *two, "--fail-on", absent) == 0


def _scores(path: Path) -> dict[str, list[str]]:
    scores = json.loads((path / "results.json").read_text())["scores"]["relational"]
    return {name: score["flags"] for name, score in scores.items()}


def _flags(path: Path) -> set[str]:
    return {flag for flags in _scores(path).values() for flag in flags}


def _rows(*columns: np.ndarray) -> RunComparison:
    """A comparison of two runs: pairs of columns of right answers, each pair a score."""
    rows = []
    for number in range(0, len(columns), 2):
        first, other = (
            RatioTerms(column.astype(float), np.ones(len(column)), ("",) * len(column))
            for column in columns[number : number + 2]
        )
        values = (ratio_value(first), ratio_value(other))
        difference = (ratio_difference(other, first),)
        rows.append(ScoreRow("accuracy", f"score_{number}", values, difference, len(first.numerators), percent=True))
    adjusted = tuple((p,) for p in holm([row.differences[0].p for row in rows]))
    table = TaskComparison(SharedSamples("t", ((), ()), (0, 0), (0, 0), 0), tuple(rows), adjusted, {})
    return RunComparison((_Nowhere(), _Nowhere()), {"t": table})  # type: ignore[arg-type]


class _Nowhere:
    tasks = ("t",)


def test_how_often_it_fails() -> None:
    """Two runs of one model that samples its answers fail in alpha of all cases at most, with eight scores too."""
    rng = np.random.default_rng(0)
    ability = rng.beta(4, 1, size=400)
    cases = 150
    equal = worse = 0
    for _ in range(cases):
        same = [rng.random(400) < ability for _ in range(16)]
        equal += gate(_rows(*same), max_drop=0).fell
        dropped = [column if i % 2 == 0 else column & (rng.random(400) > 0.12) for i, column in enumerate(same)]
        worse += gate(_rows(*dropped), max_drop=2).fell
    assert equal <= 0.05 * cases + 1.65 * (cases * 0.05 * 0.95) ** 0.5
    assert worse >= 0.95 * cases
