"""What a model makes of what its tokens know: accuracy above chance, beside the cue information that is available."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vtbench.scoring.metrics import chance
from vtbench.stats import proportion
from vtbench.types import Record

ACCURACY = "accuracy"
"""The metric whose observations are read."""


def accuracy_above_chance(records: Sequence[Record]) -> dict[str, Any] | None:
    """Return the share of the way from chance to 1 that the answers go: (acc − chance) / (1 − chance).

    0: no better than a random guess; 1: every answer is right; below 0: worse than a guess.

    Args:
        records: with the observations of the metric `accuracy`.

    Returns:
        `value`, its 95 % `interval`, `accuracy`, `chance` and `n`, the questions with a closed answer; None where there
        are none, or where any guess is right.
    """
    asked = [record for record in records if record.choices and "correct" in record.scores.get(ACCURACY, {})]
    guess = chance(asked)
    if guess is None or guess >= 1:
        return None
    found = proportion([record.scores[ACCURACY]["correct"] for record in asked], [record.cluster for record in asked])
    assert found.value is not None

    def above(accuracy: float) -> float:
        return (accuracy - guess) / (1 - guess)

    interval = [above(end) for end in found.interval] if found.interval else None
    return {
        "value": above(found.value),
        "interval": interval,
        "accuracy": found.value,
        "chance": guess,
        "n": len(asked),
    }
