"""Means over seeds and of independent estimates: closed forms, and coverage with both sources of error."""

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp

from vtbench.stats import Estimate, mean_of_independent, mean_over_seeds


def test_intervals_over_seeds_and_images_cover_the_mean():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        image_error = rng.normal(0, 0.02)  # shared by all seeds
        values = 0.5 + image_error + rng.normal(0, 0.03, 3)
        found = mean_over_seeds([Estimate(float(value), 0.02) for value in values], freedom=9)
        covered += found.low <= 0.5 <= found.high
    assert 0.93 <= covered / 400 <= 0.995


def test_the_interval_of_one_seed_is_that_over_images():
    found = mean_over_seeds([Estimate(0.5, 0.1)], freedom=9)
    assert found.stderr == pytest.approx(0.1)
    assert found.high - found.value == pytest.approx(0.1 * t.ppf(0.975, 9))


def test_seeds_without_errors_over_images_have_students_interval():
    values = [0.5, 0.6, 0.8, 0.55]
    expected = ttest_1samp(values, 0).confidence_interval()
    assert mean_over_seeds([Estimate(value) for value in values], 9).interval == pytest.approx(tuple(expected))


def test_degrees_of_freedom_are_satterthwaites():
    found = mean_over_seeds([Estimate(0.4, 0.03), Estimate(0.5, 0.05), Estimate(0.6, 0.04)], freedom=9)
    seeds, images = 0.01 / 3, (0.03**2 + 0.05**2 + 0.04**2) / 3
    df = (seeds + images) ** 2 / (seeds**2 / 2 + images**2 / 9)
    assert found.stderr == pytest.approx((seeds + images) ** 0.5)
    assert found.high - found.value == pytest.approx(t.ppf(0.975, df) * found.stderr)


def test_unknown_values_are_left_out():
    found = mean_over_seeds([Estimate(0.5), Estimate(None), Estimate(0.7)], 9)
    assert (found.value, found.n) == (pytest.approx(0.6), 2)
    assert mean_over_seeds([Estimate(None)], 9).value is None
    assert mean_over_seeds([Estimate(0.5)], 9).interval is None


def test_intervals_end_at_the_limits():
    found = mean_over_seeds([Estimate(0.01, 0.1), Estimate(0.99, 0.1)], 9, limits=(0.0, 1.0))
    assert found.interval == (0.0, 1.0)


def test_equal_seeds_without_error_have_no_width():
    assert mean_over_seeds([Estimate(0.5), Estimate(0.5)], 9).interval == (0.5, 0.5)


def test_a_mean_of_independent_estimates_needs_all_of_them():
    assert mean_of_independent([Estimate(0.2, 0.1), Estimate(None, 0.1)]).value is None
    half = mean_of_independent([Estimate(0.25, 0.1), Estimate(0.5)])
    assert (half.value, half.stderr) == (0.375, None)
    assert mean_of_independent([]).value is None
