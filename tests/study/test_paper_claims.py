"""The test of a claimed trend: what each verdict means."""

from __future__ import annotations

import pytest

from vtbench_study.paper_claims import trend_test


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
