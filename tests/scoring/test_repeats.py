"""Several answers to each question: mean@k and pass@k, and intervals that do not take repeats for samples."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vtbench.metric import Batch
from vtbench.scoring.metrics import Accuracy, PairAccuracy
from vtbench.scoring.repeats import Repeats, pass_at
from vtbench.stats import proportion
from vtbench.types import Output, Record, Sample
from vtbench_analysis.comparison.ratio_terms import pair_accuracy_terms, repeats_terms

K = 4


def records(right_nK: Any, clusters: Sequence[str] = ()) -> tuple[list[Record], list[dict[str, Any]]]:
    """Return records and observations of n questions with k answers each; None is a failed answer."""
    found, observations = [], []
    k = len(right_nK[0])
    for i, row in enumerate(right_nK):
        for repeat, right in enumerate(row):
            if right is not None:
                name = f"q/{i}~{repeat}" if repeat else f"q/{i}"
                cluster = clusters[i] if clusters else f"q/{i}"
                record = Record("q", name, k * i + repeat, "?", "yes", choices=("yes", "no"), cluster=cluster)
                found.append(Record(**{**{f: getattr(record, f) for f in Record.__slots__}, "repeat": repeat}))
                observations.append({"credit": float(right), "right": int(right == 1)})
    return found, observations


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_is_the_share_of_all_draws(counts: tuple[int, int, int]) -> None:
    n, right, j = counts
    answers = [True] * right + [False] * (n - right)
    draws = list(combinations(answers, j))
    assert pass_at(j, n, right) == pytest.approx(sum(map(any, draws)) / len(draws))


def test_scores_by_hand() -> None:
    scores = Repeats().compute(*records([[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]))
    assert set(scores) == {"mean@4", "pass@4"}
    mean, passed = scores["mean@4"], scores["pass@4"]
    assert mean.value == pytest.approx(3 / 12)
    assert (mean.n, mean.chance) == (3, 0.5)
    assert passed.value == pytest.approx(2 / 3)
    assert passed.chance == pytest.approx(1 - 0.5**4)
    curve = passed.detail["pass"]
    assert list(curve) == ["1", "2", "4"]
    assert curve["1"]["value"] == pytest.approx(mean.value)
    assert curve["2"]["value"] == pytest.approx((1 - 1 / 6 + 0 + 1 / 2) / 3)
    assert (curve["1"]["low"], curve["1"]["high"]) == pytest.approx(mean.interval)


def test_a_question_with_lost_answers_counts_where_it_can() -> None:
    scores = Repeats().compute(*records([[1, None, None, None], [0, 0, 1, 0]]))
    assert scores["mean@4"].value == pytest.approx(2 / 5)
    assert scores["pass@4"].value == 1.0
    assert scores["pass@4"].n == 1
    assert scores["pass@4"].detail["pass"]["1"]["n"] == 2


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_the_curve_ends_at_k(k: int) -> None:
    scores = Repeats().compute(*records([[1] + [0] * (k - 1), [0] * k]))
    curve = scores[f"pass@{k}"].detail["pass"]
    assert list(curve) == [str(j) for j in (1, 2, 4, 8) if j < k] + [str(k)]
    assert curve[str(k)]["value"] == scores[f"pass@{k}"].value == 0.5


def test_graphs_and_closed_answers_are_observed() -> None:
    graph = "1 large red solid circle ; 2 small blue striped square | 1 above 2"
    image = Image.new("RGB", (2, 2))
    seen = Repeats().observe(
        Batch(
            [
                Sample("a", 0, (image,), "?", "yes", ("yes", "no")),
                Sample("b", 1, (image,), "?", graph, answer_type="graph"),
                Sample("c", 2, (image,), "?", graph, answer_type="graph"),
            ],
            [Output(text="yes"), Output(text=graph), Output(text="1 large red solid circle")],
            {},
        )
    )
    assert seen[0] == {"credit": 1.0, "right": 1}
    assert seen[1] == {"credit": 1.0, "right": 1}
    assert 0 < seen[2]["credit"] < 1
    assert seen[2]["right"] == 0


def drawn(rng: np.random.Generator, questions: int, scenes: int) -> tuple[np.ndarray, list[str]]:
    """Return right or wrong answers (n, K); questions of a scene are alike hard, the answers to one even more so."""
    hard_S = rng.normal(0, 1, scenes)
    each = questions // scenes
    logits_n = np.repeat(hard_S, each) + rng.normal(0, 2, questions)
    p_n = 1 / (1 + np.exp(-logits_n))
    return (rng.random((questions, K)) < p_n[:, None]).astype(int), [f"s{i // each}" for i in range(questions)]


@pytest.mark.parametrize("scenes", [60, 30])
def test_the_intervals_cover_and_those_of_independent_answers_would_not(scenes: int) -> None:
    """The truth is 1/2 by symmetry: 95 % intervals of 500 runs hold it at least 460 times."""
    rng, runs = np.random.default_rng(0), 500
    covered = naive = 0
    for _ in range(runs):
        right_nK, clusters = drawn(rng, 60, scenes)
        found, observations = records(right_nK.tolist(), clusters)
        low, high = Repeats().compute(found, observations)["mean@4"].interval or (1, 0)
        covered += low <= 0.5 <= high
        low, high = proportion(right_nK.ravel().tolist(), [""] * right_nK.size).interval or (1, 0)
        naive += low <= 0.5 <= high
    assert covered / runs >= 0.92
    assert naive / runs <= 0.85


def test_mean_is_the_accuracy_with_its_interval() -> None:
    found, observations = records([[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]])
    acc = Accuracy().compute(found, [{"answer": "yes", "correct": o["right"]} for o in observations])["acc"]
    mean = Repeats().compute(found, observations)["mean@4"]
    assert (mean.value, mean.stderr, mean.interval) == (acc.value, acc.stderr, acc.interval)
    assert repeats_terms(found, observations)["mean@4"].value == mean.value
    assert repeats_terms(found, observations)["pass@4"].value == pytest.approx(3 / 4 + 1 / 20, abs=0.06)


def test_a_repeat_of_a_pair_is_another_try_and_no_member_of_the_pair() -> None:
    found, observations = records([[1, 0, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]], ["s0", "s0", "s1", "s1"])
    seen = [{"answer": "yes", "correct": o["right"]} for o in observations]
    score = PairAccuracy().compute(found, seen)["pair_acc"]
    assert score.value == pytest.approx((1 + 4) / 8)
    assert score.detail["incomplete"] == 0
    terms = pair_accuracy_terms(found, seen)["pair_acc"]
    assert terms.value == score.value
    independent = proportion([1, 0, 0, 0, 1, 1, 1, 1], [""] * 8)
    assert score.stderr is not None
    assert independent.stderr is not None
    assert score.stderr > independent.stderr


def test_no_answer_has_no_score() -> None:
    scores = Repeats().compute([], [])
    assert {name: score.value for name, score in scores.items()} == {"mean@1": None, "pass@1": None}
