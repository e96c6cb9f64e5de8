"""Size of a trend: its estimate, the equivalence test and the power statement, on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress, ttest_ind

from vtbench_study.trend_size import detectable_change, linear_change, pooled_deviation
from vtbench_study.trend_tests import jonckheere, jonckheere_p

MARGIN = 0.03
STUDIES = 600
DEVIATION = 0.01


def drawn(change: float, deviations=(DEVIATION,) * 4, seeds: int = 5, studies: int = STUDIES, shared: float = 0.0):
    """Draw studies of four families whose means change along a line; `shared` is an error of a family's images."""
    rng = np.random.default_rng(7)
    means = np.linspace(0, change, 4)[:, None]
    for _ in range(studies):
        values = rng.normal(means, np.array(deviations)[:, None], (4, seeds))
        yield (values + rng.normal(0, shared, (4, 1)) if shared else values).tolist()


def shown(studies) -> float:
    return float(np.mean([linear_change(groups).equivalence_p(MARGIN) < 0.05 for groups in studies]))


def test_the_change_is_the_slope_of_the_means_over_all_steps() -> None:
    groups = [[0.70, 0.72], [0.66, 0.70], [0.69, 0.65], [0.60, 0.64]]
    slope = linregress([0, 1, 2, 3], [np.mean(group) for group in groups]).slope
    assert linear_change(groups).value == pytest.approx(3 * slope)


def test_two_groups_are_welchs_test() -> None:
    a, b = [0.1, 0.3, 0.2, 0.5], [0.6, 0.4, 0.9]
    found, reference = linear_change([a, b]), ttest_ind(b, a, equal_var=False)
    assert (found.value / found.stderr, found.df) == pytest.approx((reference.statistic, reference.df))
    assert found.interval(0.95) == pytest.approx(tuple(reference.confidence_interval(0.95)))


@pytest.mark.parametrize(("deviations", "power"), [((DEVIATION,) * 4, 0.997), ((0.02, 0.005, 0.02, 0.005), 0.809)])
def test_equivalence_is_shown_at_no_change_and_as_seldom_as_stated_at_the_margin(deviations, power: float) -> None:
    assert shown(drawn(0.0, deviations)) == pytest.approx(power, abs=0.035)  # those of 200,000 such studies
    assert shown(drawn(MARGIN, deviations)) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / STUDIES)
    assert shown(drawn(-MARGIN, deviations)) >= 0.02
    assert shown(drawn(2 * MARGIN, deviations)) < 0.005


def test_equivalence_is_not_shown_by_noise() -> None:
    assert shown(drawn(0.0, (5 * DEVIATION,) * 4)) < 0.05


@pytest.mark.parametrize("change", [0.0, MARGIN])
def test_intervals_hold_the_truth_also_with_an_error_that_a_family_shares(change: float) -> None:
    held = []
    for groups in drawn(change, shared=DEVIATION):
        low, high = linear_change(groups, [(DEVIATION**2, 9.0)] * 4).interval(0.95)
        held.append(low <= change <= high)
    assert 0.925 <= np.mean(held) <= 0.985


def test_the_stated_power_of_the_equivalence_test_is_that_of_studies_without_a_change() -> None:
    deviation = 0.022
    found = [linear_change(groups) for groups in drawn(0.0, (deviation,) * 4)]
    stated = np.median([change.equivalence_power(MARGIN) for change in found])
    assert stated == pytest.approx(np.mean([c.equivalence_p(MARGIN) < 0.05 for c in found]), abs=0.07)


def test_the_trend_test_finds_the_detectable_change_in_four_of_five_studies() -> None:
    change = detectable_change((5, 5, 5, 5)) * DEVIATION
    found = [jonckheere_p(jonckheere(groups)[0], [5] * 4) < 0.05 for groups in drawn(change)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.05)
    none = [jonckheere_p(jonckheere(groups)[0], [5] * 4) < 0.05 for groups in drawn(0.0)]
    assert np.mean(none) == pytest.approx(0.05, abs=0.025)


def test_more_seeds_find_a_smaller_change_and_one_finds_none() -> None:
    assert detectable_change((10,) * 4) < detectable_change((5,) * 4) < detectable_change((3,) * 4)
    assert detectable_change((1,) * 4) is None


def test_too_few_values_have_no_size_and_equal_ones_no_error() -> None:
    assert linear_change([[0.1, 0.2], [0.3]]) is None
    assert pooled_deviation([[0.1], [0.3]]) is None
    same = linear_change([[0.1, 0.1], [0.11, 0.11]])
    assert (same.equivalence_p(MARGIN), same.equivalence_p(0.005), same.equivalence_power(MARGIN)) == (0.0, 1.0, 1.0)
