"""Statistics of the study: coverage of intervals over seeds and images, and trend tests against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr, ttest_ind
from vtbench_study.statistics import (
    jonckheere,
    jonckheere_p,
    mean_of_independent,
    mean_over_seeds,
    rank_correlation,
    smallest_jonckheere_p,
    trend_correlation,
    welch_p,
)

SIZES = [[1, 2, 2], [2, 2, 2], [1, 1, 1, 1], [3, 1, 2]]


def split(values: Sequence[float], sizes: Sequence[int]) -> list[list[float]]:
    groups, start = [], 0
    for size in sizes:
        groups.append(list(values[start : start + size]))
        start += size
    return groups


def test_intervals_over_seeds_and_images_cover_the_mean() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        image_error = rng.normal(0, 0.02)  # shared by all seeds
        values = 0.5 + image_error + rng.normal(0, 0.03, 3)
        mean = mean_over_seeds(values.tolist(), [0.02] * 3)
        covered += mean.low <= 0.5 <= mean.high
    assert 0.93 <= covered / 400 <= 0.995


def test_the_interval_of_one_seed_is_that_over_images() -> None:
    mean = mean_over_seeds([0.5], [0.1])
    assert mean.seed_sd is None
    assert mean.high - mean.mean == pytest.approx(0.1 * 2.262, abs=1e-3)


def test_unknown_values_are_left_out_of_the_mean_and_kept_in_the_list() -> None:
    mean = mean_over_seeds([0.5, None, 0.7], [None, None, None])
    assert mean.mean == pytest.approx(0.6)
    assert mean.values == (0.5, None, 0.7)
    assert mean_over_seeds([None], [None]).mean is None
    assert mean_over_seeds([0.5], [None]).low is None


def test_intervals_of_fractions_end_at_0_and_1() -> None:
    mean = mean_over_seeds([0.01, 0.99], [0.1, 0.1], bounded=True)
    assert (mean.low, mean.high) == (0.0, 1.0)


def test_a_mean_of_independent_values_needs_all_of_them() -> None:
    assert mean_of_independent([0.2, None], [0.1, 0.1]) == (None, None)
    assert mean_of_independent([0.25, 0.5], [0.1, None]) == (0.375, None)
    assert mean_of_independent([], []) == (None, None)


def test_welch_and_rank_correlation_are_scipys_and_none_for_too_few_values() -> None:
    a, b = [0.1, 0.3, 0.2, 0.5], [0.6, 0.4, 0.9, 0.7]
    assert welch_p(a, b) == ttest_ind(a, b, equal_var=False).pvalue
    assert welch_p(a, b[:1]) is None
    assert rank_correlation(list(zip(a, b, strict=True))) == pytest.approx(tuple(spearmanr(a, b)))
    assert rank_correlation(list(zip(a, b, strict=True))[:3]) is None
    assert rank_correlation([(0.5, x) for x in b]) is None


@pytest.mark.parametrize("sizes", SIZES)
def test_p_of_jonckheere_is_that_of_all_orders_counted(sizes: list[int]) -> None:
    statistics = [jonckheere(split(order, sizes))[0] for order in permutations(range(sum(sizes)))]
    middle = jonckheere(split(range(sum(sizes)), sizes))[1] / 2
    for statistic in set(statistics):
        extreme = sum(abs(other - middle) >= abs(statistic - middle) for other in statistics) / len(statistics)
        assert jonckheere_p(statistic, sizes) == pytest.approx(min(1.0, extreme))
    assert min(jonckheere_p(statistic, sizes) for statistic in set(statistics)) == smallest_jonckheere_p(sizes)


@given(st.permutations(range(8)))
@settings(max_examples=60, deadline=None)
def test_reversing_the_groups_reverses_the_statistic_and_keeps_p(order: list[int]) -> None:
    groups = split(order, [2, 2, 2, 2])
    (up, pairs), (down, _) = jonckheere(groups), jonckheere(groups[::-1])
    assert up + down == pairs
    assert jonckheere_p(up, [2] * 4) == jonckheere_p(down, [2] * 4)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=8, max_size=8))
@settings(max_examples=60, deadline=None)
def test_ties_never_lower_p(values: list[float]) -> None:
    groups = split(values, [2] * 4)
    statistic, pairs = jonckheere(groups)
    broken = max(jonckheere(split([v + e for v, e in zip(values, tilt, strict=True)], [2] * 4))[0]
                 for tilt in ([i * 1e-6 for i in range(8)], [-i * 1e-6 for i in range(8)]))  # fmt: skip
    most_extreme = max(broken, pairs - broken, statistic, pairs - statistic)
    assert jonckheere_p(statistic, [2] * 4) >= jonckheere_p(most_extreme, [2] * 4) - 1e-12


def test_trend_correlation_is_scipys_and_none_if_all_values_are_equal() -> None:
    groups = [[0.9, 0.7], [0.8, 0.6], [0.5, 0.55], [0.2, 0.65]]
    rho, p = trend_correlation(groups)
    reference = spearmanr([0, 0, 1, 1, 2, 2, 3, 3], [value for group in groups for value in group])
    assert rho == pytest.approx(reference.statistic)
    assert p == pytest.approx(reference.pvalue, abs=0.03)
    assert trend_correlation([[0.5, 0.5], [0.5, 0.5]]) == (None, None)
