"""Intervals over seeds and pictures hold what they should."""

from __future__ import annotations

import numpy as np
import pytest

from vtbench_study.spread import over_seeds


def test_intervals_over_seeds_and_pictures_cover() -> None:
    draws = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        pictures = draws.normal(0, 0.02)  # all seeds see the same ones
        values = 0.5 + pictures + draws.normal(0, 0.03, 3)
        spread = over_seeds(values.tolist(), [0.02] * 3)
        held += spread.low <= 0.5 <= spread.high
    assert 0.93 <= held / 400 <= 0.995


def test_one_seed_leaves_the_pictures_error_alone() -> None:
    spread = over_seeds([0.5], [0.1])
    assert spread.seed_sd is None
    assert spread.high - spread.mean == pytest.approx(0.1 * 2.262, abs=1e-3)


def test_unknown_values_are_left_out_and_shown() -> None:
    spread = over_seeds([0.5, None, 0.7], [None, None, None])
    assert spread.mean == pytest.approx(0.6)
    assert spread.values == (0.5, None, 0.7)
    assert over_seeds([None], [None]).mean is None
    assert over_seeds([0.5], [None]).low is None
