"""Rows without torch: areas under drop curves are compared by a paired jackknife."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vtbench.types import Record
from vtbench_analysis.comparison.score_rows import drop_curve_rows
from vtbench_analysis.comparison.shared_samples import SharedSamples
from vtbench_redundancy.scores.drop_curve import area_estimate


def _by_score(rows):
    return {row.score: row for row in rows}


def drop_records(keep: float, seed: int) -> tuple[Record, ...]:
    """Answers that survive the loss of half of the tokens with probability `keep`, and any other loss not."""
    rng = np.random.default_rng(seed)

    def one(i: int) -> Record:
        curve = [0.0, 0.0, 0.0, 0.0, float(rng.random() < keep)]
        seen = {"none": 0.0, **dict.fromkeys(("random", "grid", "downsample"), curve), "all": 1.0, "tokens": [0] * 7}
        return Record("t", f"t/{i}", i, "?", "yes", image_sha256=(str(i),), scores={"drop_curve": seen})

    return tuple(one(i) for i in range(300))


def test_areas_of_drop_curves_are_paired():
    both = (drop_records(0.3, 0), drop_records(0.6, 1))
    found = _by_score(drop_curve_rows(SharedSamples("t", both, (300, 300), (0, 0), 0), "drop_curve"))
    assert found.keys() == {"drop_area", "drop_area_grid", "drop_area_downsample"}
    (difference,) = found["drop_area"].differences
    credits = [
        np.array([[o["none"], *o["random"], o["all"]] for o in (r.scores["drop_curve"] for r in run)]) for run in both
    ]
    first, other = (area_estimate(c, [""] * 300) for c in credits)
    assert difference.value == pytest.approx(other.value - first.value)
    assert difference.interval[0] > 0
    unpaired = 1.96 * (first.stderr**2 + other.stderr**2) ** 0.5
    assert (difference.interval[1] - difference.interval[0]) / 2 == pytest.approx(
        unpaired, rel=0.1
    )  # these draws are independent
    blind = tuple(replace(r, scores={"drop_curve": {**r.scores["drop_curve"], "none": 1.0}}) for r in both[0])
    none = _by_score(drop_curve_rows(SharedSamples("t", (both[1], blind), (300, 300), (0, 0), 0), "drop_curve"))[
        "drop_area"
    ]
    assert none.differences[0].flags == none.values[1].flags == ("no_signal",)
