"""The drop curve: known truth for a model whose answers hang on particular tokens, and intervals that cover."""

from __future__ import annotations

import doctest
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vtbench
from vtbench.budget import Budget, checked_weights
from vtbench.hookspecs import hookimpl
from vtbench.metric import Batch, BudgetMetric
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.scenes.rng import HashRng
from vtbench.types import Output, Record, Sample, Score, VisualTokens
from vtbench_redundancy.metrics.drop_curve_metric import DropCurve
from vtbench_redundancy.scores import drop_curve
from vtbench_redundancy.scores.drop_curve import FRACTIONS, area, area_estimate, f95, f95_estimate, has_signal

SIDE, WORDS = 8, 3
TOKENS = SIDE * SIDE
AT = np.log10([*FRACTIONS, 1])


class Copies:
    """Knows the answer where the decoder sees at least one of the `copies` tokens that hold it; says no otherwise.

    Which tokens hold it differs from sample to sample.
    """

    capabilities = frozenset({"generate", "budget"})
    image_size = None
    layers = ()

    def __init__(self, copies: int = 1, sees: bool = True, counts: bool = True, interrupts_on: str = "") -> None:
        self.copies, self.sees, self.counts, self.interrupts_on = copies, sees, counts, interrupts_on
        self.asked: list[str] = []

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        if self.interrupts_on in {sample.prompt for sample in samples}:
            raise KeyboardInterrupt
        y, x = np.mgrid[:SIDE, :SIDE].reshape(2, -1) / SIDE
        boxes = np.stack([x, y, x + 1 / SIDE, y + 1 / SIDE], axis=1)
        visual = VisualTokens("connector", np.empty((len(samples), TOKENS, 0)), boxes)
        weights = [np.eye(TOKENS)] * len(samples)
        if budget is not None:
            self.asked.append(budget.name)
            weights = checked_weights(budget, visual, [sample.id for sample in samples])
        return [self._answer(sample, rows) for sample, rows in zip(samples, weights, strict=True)]

    def _answer(self, sample: Sample, rows: np.ndarray) -> Output:
        holders = HashRng("copies", sample.id).sample(range(TOKENS), self.copies)
        text = sample.target if self.sees and rows[:, holders].any() else "no"
        return Output(text, tokens_in=WORDS + len(rows) if self.counts else None)

    def describe(self) -> Mapping[str, Any]:
        return {"checkpoint": "copies", "copies": self.copies}

    def close(self) -> None:
        pass


class Plugin:
    def __init__(self) -> None:
        self.model: Copies | None = None

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        def copies(**arguments: Any) -> Copies:
            """Copies of the answer among the tokens."""
            self.model = Copies(**arguments)
            return self.model

        return {"copies": copies}

    @hookimpl
    def vtbench_metrics(self) -> dict[str, Callable[[], Any]]:
        return {"drop_curve": DropCurve}


def go(directory: Path, n: int, **fields: Any) -> RunResult:
    """Run `copies` on n questions whose answer is yes."""
    directory.mkdir(exist_ok=True)
    Image.new("RGB", (4, 4)).save(directory / "black.png")
    row = {"image": "black.png", "target": "yes", "choices": ["yes", "no"]}
    (directory / "quiz.jsonl").write_text("".join(json.dumps(row | {"prompt": f"{i}?"}) + "\n" for i in range(n)))
    task = directory / "quiz.yaml"
    task.write_text("task: quiz\ndata: {path: quiz.jsonl, choices: choices}\nmetrics: [drop_curve]\n")
    given = {"registry": Registry({"fakes": Plugin()}), "output": str(directory / "out"), "report": False}
    return vtbench.run(**{"model": "copies", "tasks": [task], **given, **fields})


def hypergeometric(copies: int, k: int) -> float:
    """P(at least one of the copies is among k of the tokens)."""
    return 1 - math.comb(TOKENS - copies, k) / math.comb(TOKENS, k)


@pytest.mark.parametrize("copies", [1, 4, 32])
def test_random_keeping_gives_the_closed_form(tmp_path: Path, copies: int) -> None:
    scores = go(tmp_path, 1000, model_args={"copies": copies}).scores["quiz"]
    assert set(scores) == {"drop_area", "drop_area_grid", "drop_area_downsample", "drop_f95"}
    kept = [max(1, round(part * TOKENS)) for part in FRACTIONS]
    truth = np.array([0, *(hypergeometric(copies, k) for k in kept), 1])
    points = {(p["policy"], p["fraction"]): p for p in scores["drop_area"].detail["curve"]}
    assert len(points) == 2 + 3 * len(FRACTIONS)
    for part, k, expected in zip(FRACTIONS, kept, truth[1:-1], strict=True):
        for policy in ("random", "grid"):  # the holders are uniform, so any fixed choice of tokens does as well
            assert points[policy, part]["value"] == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 1000))
        assert points["downsample", part]["value"] == 1, "an average holds a bit of every token"
        assert {points[policy, part]["tokens"] for policy in ("random", "grid", "downsample")} == {k}
    assert (points["any", 0]["value"], points["any", 0]["tokens"]) == (0, 0)
    assert (points["any", 1]["value"], points["any", 1]["tokens"]) == (1, TOKENS)
    low, high = scores["drop_area"].interval
    assert scores["drop_area"].value == pytest.approx(area(truth), abs=2 * (high - low))
    assert low <= area(truth) <= high
    expected = f95(truth[1:] - 0.95)
    assert scores["drop_f95"].interval[0] <= expected <= scores["drop_f95"].interval[1]
    assert scores["drop_area_downsample"].value == 1
    assert not any(score.percent for score in scores.values())


def test_more_copies_are_a_larger_area_and_a_smaller_f95(tmp_path: Path) -> None:
    found = [go(tmp_path / str(c), 200, model_args={"copies": c}).scores["quiz"] for c in (1, 4, 16, 64)]
    areas = [scores["drop_area"].value for scores in found]
    needed = [scores["drop_f95"].value for scores in found]
    assert areas == sorted(areas)
    assert needed == sorted(needed, reverse=True)
    assert (areas[-1], needed[-1]) == (1, 0.01)
    assert found[-1]["drop_f95"].flags == ("at_most",)
    assert found[-1]["drop_f95"].detail["tokens"] == 1
    assert found[0]["drop_f95"].flags == ()
    assert 32 < found[0]["drop_f95"].detail["tokens"] < 64


def test_a_model_that_does_not_look_has_no_curve_to_sum_up(tmp_path: Path) -> None:
    scores = go(tmp_path, 50, model_args={"sees": False}).scores["quiz"]
    assert {score.value for score in scores.values()} == {None}
    assert {score.flags for score in scores.values()} == {("no_signal",)}
    assert {score.n for score in scores.values()} == {50}
    assert {point["value"] for point in scores["drop_area"].detail["curve"]} == {0}


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    plugin = Plugin()
    go(tmp_path, 6, batch_size=6, registry=Registry({"fakes": plugin}))
    assert plugin.model
    assert len(plugin.model.asked) == len(set(plugin.model.asked)) == 1 + 3 * len(FRACTIONS)


def test_a_resumed_run_gives_the_same_scores(tmp_path: Path) -> None:
    whole = go(tmp_path / "whole", 40, batch_size=8, model_args={"copies": 4})
    stopping = Registry({"fakes": Interrupted("20?")})
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", 40, batch_size=8, model_args={"copies": 4}, registry=stopping)
    (cut,) = (tmp_path / "cut" / "out").iterdir()
    assert len((cut / "samples.jsonl").read_text().splitlines()) == 16
    resumed = go(tmp_path / "cut", 40, batch_size=8, model_args={"copies": 4}, resume=True)
    assert resumed.path == cut
    assert resumed.document["scores"] == whole.document["scores"]
    assert resumed.document["n-samples"]["quiz"]["effective"] == 40


class Interrupted(Plugin):
    """Where it stops is no argument of the model, so a resume takes the run for the same."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        return {"copies": lambda **arguments: Copies(**arguments, interrupts_on=self.at)}


def test_a_model_that_does_not_count_its_tokens_has_no_curve_and_says_why(tmp_path: Path) -> None:
    result = go(tmp_path, 6, model_args={"counts": False})
    assert "does not report how many tokens it read" in json.dumps(result.document["left_out"])
    assert result.document["failed"] == {"quiz": 0}
    assert [json.loads(line)["output"] for line in (result.path / "samples.jsonl").open()] == ["yes"] * 6


def test_scene_graphs_earn_their_f1() -> None:
    metric = DropCurve()
    assert isinstance(metric, BudgetMetric)
    target = "1 large red striped circle ; 2 small blue solid square | 1 left 2"
    sample = Sample("t/test/0/0", 0, (), "Describe.", target, kind="graph", answer_type="graph")
    half = Output("1 large red striped circle", tokens_in=3)
    said = {name: [half] for name in metric.budgets}
    (seen,) = metric.observe(Batch([sample], [Output(target, tokens_in=9)], {}, said))
    assert seen["all"] == 1
    assert seen["none"] == pytest.approx(2 * 4 / (4 + 9))
    assert json.loads(json.dumps(seen)) == seen


def curves(accuracy: Sequence[float], n: int, seed: int, pairs: bool) -> tuple[np.ndarray, list[str]]:
    """Credits with these means: half of the samples have a difficulty of their own; pairs share half of their rows."""
    rng = np.random.default_rng(seed)
    own = rng.random((n, 1)) < 0.5
    credit = np.where(own, rng.random((n, 1)), rng.random((n, len(accuracy)))) < np.asarray(accuracy)
    if not pairs:
        return credit.astype(float), [""] * n
    credit[1::2] = np.where(rng.random((n // 2, 1)) < 0.5, credit[::2], credit[1::2])
    return credit.astype(float), [str(i // 2) for i in range(n)]


CURVES = {
    "steep": [0.41, 0.45, 0.52, 0.60, 0.77, 0.84, 0.86],
    "early": [0.12, 0.50, 0.80, 0.90, 0.96, 0.98, 0.985],
    "plateau": [0.40, 0.45, 0.60, 0.83, 0.84, 0.85, 0.86],
}


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("name", CURVES)
def test_intervals_cover_the_truth(name: str, pairs: bool) -> None:
    means = np.array(CURVES[name])
    truths = area(means), f95(means[1:] - 0.05 * means[0] - 0.95 * means[-1])
    hits = np.zeros(2)
    for seed in range(100):
        credit, clusters = curves(means, 400, seed, pairs)
        for i, sure in enumerate((area_estimate(credit, clusters), f95_estimate(credit, clusters))):
            assert sure.interval[0] <= sure.value <= sure.interval[1]
            hits[i] += sure.interval[0] <= truths[i] <= sure.interval[1]
    assert hits.min() >= 90


def test_area_is_the_mean_retention() -> None:
    even = np.concatenate([[0.2], 0.2 + 0.6 * (AT + 2) / 2])  # retention rises evenly from 0 at 0.01 to 1
    assert area(even) == pytest.approx(0.5)
    assert area(np.array([0.2, *[0.8] * 6])) == pytest.approx(1)
    assert area(np.array([0.2, *[0.2] * 5, 0.8])) == pytest.approx(math.log10(2) / 4), "half of the last of 2 decades"


def test_f95_is_where_retention_falls_below_for_the_first_time_from_the_whole_down() -> None:
    """A dip below the line counts, whatever a smaller fraction does."""
    assert f95(np.array([0.1, 0.1, -0.1, 0.1, 0.1, 0.05])) == pytest.approx(math.sqrt(0.1 * 0.25))
    assert f95(np.array([0.1, 0.1, 0.0, 0.1, 0.1, 0.05])) == 0.01
    assert f95(np.array([-1.0] * 5 + [0.05])) == pytest.approx(10 ** (math.log10(0.5) * 0.05 / 1.05))
    assert f95(np.array([-1.0] * 6)) == 1


def test_a_difference_within_its_interval_is_no_signal() -> None:
    rows = np.zeros((40, len(FRACTIONS) + 2))
    assert not has_signal(rows, [""] * 40)
    rows[:3, -1] = 1
    assert not has_signal(rows, [""] * 40)
    rows[:5, -1] = 1
    assert has_signal(rows, [""] * 40)
    assert not has_signal(rows, ["one"] * 40)


def test_no_sample_no_scores() -> None:
    scores = DropCurve().compute([], [])
    assert scores["drop_area"] == Score(None, detail={"policy": "random"}, percent=False)


def test_one_sample_is_no_signal() -> None:
    row = {"none": 0.0, "all": 1.0, "tokens": [0, 1, 3, 6, 16, 32, 64]} | dict.fromkeys(
        ("random", "grid", "downsample"), [0.0] * 5
    )
    scores = DropCurve().compute([Record("t", "t/0", 0, "", "")], [row])
    assert scores["drop_area"].flags == ("no_signal",)
    json.dumps(scores["drop_area"].detail, allow_nan=False)


def test_the_examples_in_the_docstrings_are_right() -> None:
    assert doctest.testmod(drop_curve) == (0, 2)
