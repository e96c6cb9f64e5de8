"""The model that ships: small enough, documented, and as good as its card says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vtbench
from vtbench_llava import WEIGHTS

TASKS = {"coarse": "acc", "attribute": "acc", "relational": "acc", "scene_graph": "tuple_f1"}


def test_it_is_at_most_eight_megabytes() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) <= 8_000_000


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory):
    output = str(tmp_path_factory.mktemp("runs"))
    metrics = ["accuracy", "rank_accuracy", "pair_accuracy", "scene_graph"]
    return vtbench.run(model="llava", tasks=list(TASKS), metrics=metrics, limit=200, output=output)


@pytest.mark.parametrize("task", TASKS)
def test_it_answers_as_well_as_its_card_says(task: str, result) -> None:
    card = (WEIGHTS / "README.md").read_text()
    name = "tuple F1" if task == "scene_graph" else "accuracy"
    row = re.search(rf"\| {task} \| {name} \| ([\d.]+) \|", card)
    assert row, "the card has no such row"
    score = result.scores[task][TASKS[task]]
    # The card's figure is of 2,000 items, this one of the first 200: it lies within three of its standard errors.
    assert abs(100 * score.value - float(row[1])) <= 300 * max(score.stderr, 0.01)


def test_it_is_far_above_chance_and_a_grey_picture_is_not(result, tmp_path: Path) -> None:
    seen = result.scores["relational"]["acc"]
    assert seen.interval[0] > seen.chance + 0.2
    blind = vtbench.run(
        model="blind",
        model_args={"model": "llava"},
        tasks=["relational"],
        metrics=["accuracy", "pair_accuracy"],
        limit=200,
        output=str(tmp_path),
    )
    grey = blind.scores["relational"]["acc"]
    assert grey.interval[0] <= grey.chance + 0.03
    assert blind.scores["relational"]["pair_acc"].value == 0
