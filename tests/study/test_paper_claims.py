"""The test of a claimed trend: what each verdict means."""

from __future__ import annotations

import pytest

from vtbench.stats import Estimate
from vtbench_study.claim_tests import sized, trend_test


def test_one_value_per_family_is_too_few_for_a_verdict() -> None:
    trend = trend_test([[0.9], [0.7], [0.5], [0.3]], "falls")
    assert (trend.verdict, trend.p) == ("cannot tell", None)


def test_a_family_without_values_leaves_no_verdict() -> None:
    assert trend_test([[0.9, 0.8], [None, None], [0.5, 0.6], [0.3, 0.2]], "falls").verdict == "cannot tell"


def test_values_that_do_not_follow_the_order_are_not_reproduced() -> None:
    trend = trend_test([[0.5, 0.7, 0.6], [0.65, 0.55, 0.6], [0.6, 0.5, 0.7], [0.55, 0.65, 0.61]], "falls")
    assert trend.verdict == "not reproduced"
    assert not trend.means_ordered


@pytest.mark.parametrize(("claimed", "verdict"), [("falls", "reproduced"), ("rises", "reversed")])
def test_the_direction_decides_between_reproduced_and_reversed(claimed, verdict) -> None:
    trend = trend_test([[0.9, 0.91, 0.88], [0.7, 0.72, 0.71], [0.5, 0.6, 0.55], [0.3, 0.2, 0.25]], claimed)
    assert trend.verdict == verdict
    assert trend.p == pytest.approx(2 * 6**4 / 479001600)


MARGIN = 0.03


def sized_trend(groups, margin: float | None = MARGIN, own_images: bool = False, stderr: float | None = None):
    estimates = [[Estimate(value, stderr) for value in group] for group in groups]
    return sized(trend_test(groups, "falls"), estimates, margin, own_images)


def test_a_trend_that_is_less_than_the_margin_is_told_from_one_that_is_not_known() -> None:
    close = sized_trend([[0.70, 0.71, 0.705], [0.702, 0.71, 0.701], [0.71, 0.704, 0.70], [0.706, 0.70, 0.709]])
    assert (close.verdict, close.equivalent) == ("not reproduced", True)
    assert -MARGIN < close.within_low < close.change < close.within_high < MARGIN
    wide = sized_trend([[0.6, 0.8, 0.7], [0.65, 0.75, 0.7], [0.8, 0.6, 0.7], [0.78, 0.62, 0.7]])
    assert (wide.verdict, wide.equivalent) == ("not reproduced", False)
    assert wide.detectable > 5 * close.detectable
    assert wide.equivalence_power < 0.1 < 0.9 < close.equivalence_power


def test_an_error_that_a_familys_models_share_widens_the_interval_on_images_of_its_own_alone() -> None:
    groups = [[0.70, 0.71, 0.72], [0.66, 0.67, 0.65], [0.60, 0.62, 0.61], [0.55, 0.56, 0.57]]
    common, own = sized_trend(groups, stderr=0.02), sized_trend(groups, stderr=0.02, own_images=True)
    assert common.change == own.change
    assert own.change_high - own.change_low > 1.5 * (common.change_high - common.change_low)


def test_a_number_that_is_no_rs_has_a_size_and_a_power_but_no_margin() -> None:
    found = sized_trend([[20.0, 21.0], [22.0, 23.0], [24.0, 25.0], [26.0, 27.0]], margin=None)
    assert found.change == pytest.approx(6.0)
    assert found.detectable > 0
    assert found.equivalent is None


def test_models_that_are_not_finished_leave_no_size() -> None:
    assert sized_trend([[0.7, 0.6], [0.7], [0.6, 0.5], [0.4, 0.3]]).change is None
    assert sized_trend([[0.7, 0.6], [], [0.6, 0.5], [0.4, 0.3]]).change is None
