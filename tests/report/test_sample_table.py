"""The table of samples: results, probabilities, score columns."""

from __future__ import annotations

import math

import pytest

from vtbench.report.sample_table import is_right, score_columns, target_probability
from vtbench.types import Record


def record(index: int = 0, output: str | None = "yes", **fields: object) -> Record:
    values = {"task": "t", "id": f"t/{index}", "index": index, "prompt": "?", "target": "yes", "output": output}
    return Record(**{**values, **fields})  # type: ignore[arg-type]


def test_right_follows_the_first_verdict_else_the_text() -> None:
    assert is_right(record(scores={"a": {"note": 1}, "b": {"exact": 1}}, output="no"))
    assert not is_right(record(scores={"a": {"correct": 0}, "b": {"correct": 1}}))
    assert is_right(record(output=" yes "))
    assert not is_right(record(output=None))


def test_the_probability_of_the_truth_is_among_the_choices() -> None:
    ranked = {"choices": ("yes", "no"), "logprobs": (-1000.0, -1000.0 + math.log(3))}
    assert target_probability(record(**ranked)) == pytest.approx(0.25)
    assert target_probability(record(target="maybe", **ranked)) is None
    assert target_probability(record(choices=("yes",), logprobs=(-math.inf,))) is None
    assert target_probability(record()) is None


def test_score_columns_tell_samples_apart_and_come_once() -> None:
    records = [
        record(
            i,
            scores={
                "a": {"correct": i % 2, "n": 3, "text": "x"},
                "b": {"correct": i % 2},
                "c": {"x": i, "exact": i == 1},
            },
        )
        for i in range(4)
    ]
    assert score_columns(records) == [("c", "exact"), ("c", "x")]
