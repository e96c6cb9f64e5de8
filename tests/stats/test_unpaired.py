"""The unpaired difference: agreement with known intervals, and of interval and p-value."""

from __future__ import annotations

import pytest

from vtbench.stats import Estimate, independent_difference, t_interval, wilson


def test_shares_give_newcombes_interval() -> None:
    """Newcombe (1998), table II, method 10: 56/70 less 48/80 is 0.2, from 0.0524 to 0.3339."""
    one, other = Estimate(56 / 70, interval=wilson(56 / 70, 70)), Estimate(48 / 80, interval=wilson(48 / 80, 80))
    found = independent_difference(one, other)
    assert found.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_jackknifed_values_add_their_variances() -> None:
    one, other = (Estimate(v, 0.1, t_interval(v, 0.1, 9)) for v in (0.9, 0.5))
    found = independent_difference(one, other)
    assert found.interval == pytest.approx(t_interval(0.4, 0.1 * 2**0.5, 9))


@pytest.mark.parametrize("value", [0.3, 0.41, 0.43, 0.5, 0.57, 0.59, 0.7])
def test_p_is_under_five_per_cent_exactly_where_the_interval_leaves_out_zero(value: float) -> None:
    one, other = Estimate(value, interval=(value - 0.06, value + 0.05)), Estimate(0.5, interval=(0.44, 0.55))
    found = independent_difference(one, other)
    assert found.p is not None
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_without_an_interval_or_a_value_there_is_no_test() -> None:
    assert independent_difference(Estimate(0.5), Estimate(0.4, interval=(0.3, 0.5))).flags == ("no_interval",)
    assert independent_difference(Estimate(None), Estimate(0.4)).value is None
