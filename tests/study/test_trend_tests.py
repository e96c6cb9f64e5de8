"""Statistics of the study: rows of means over seeds, and trend tests against brute force."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr, ttest_ind

from vtbench.stats import Estimate
from vtbench_study.model_results import mean_row
from vtbench_study.trend_tests import (
    jonckheere,
    jonckheere_p,
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


def test_a_row_has_what_seeds_and_images_contribute() -> None:
    row = mean_row([Estimate(0.5, 0.01), Estimate(None), Estimate(0.7, 0.03)])
    assert list(row) == ["mean", "low", "high", "seed_sd", "image_se", "values"]
    assert (row["mean"], row["values"]) == (pytest.approx(0.6), [0.5, None, 0.7])
    assert (row["seed_sd"], row["image_se"]) == (pytest.approx(0.02**0.5), pytest.approx(0.0005**0.5))
    assert mean_row([Estimate(0.01), Estimate(0.99)], bounded=True)["low"] == 0.0
    unknown = mean_row([Estimate(None, 0.1)])
    assert [value for name, value in unknown.items() if name != "values"] == [None] * 5


def test_welch_and_rank_correlation_are_scipys_and_none_for_too_few_values() -> None:
    a, b = [0.1, 0.3, 0.2, 0.5], [0.6, 0.4, 0.9, 0.7]
    assert welch_p(a, b) == ttest_ind(a, b, equal_var=False).pvalue
    assert welch_p(a, b[:1]) is None
    assert welch_p([1.0, 1.0], [1.0, 1.0]) is None
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
