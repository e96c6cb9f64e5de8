"""`BaseMetric` averages what was observed, with an interval that fits the numbers' range."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from vtbench.metric import BaseMetric
from vtbench.stats import wilson
from vtbench.types import Record


def scores(observations, clusters=None):
    records = [Record("t", f"t/{i}", i, "", "", cluster=(clusters or [""] * 99)[i]) for i in range(len(observations))]
    return BaseMetric().compute(records, observations)


def test_numbers_in_the_unit_interval_are_shares():
    found = scores([{"short": True}, {"short": False}, {"short": True}, {"short": True}])["short"]
    assert (found.value, found.n, found.percent) == (0.75, 4, False)
    assert found.interval == pytest.approx(wilson(0.75, 4))


def test_other_numbers_have_students_interval():
    words = [3, 5, 4, 9, 0, 7]
    expected = ttest_1samp(words, 0).confidence_interval()
    found = scores([{"words": n} for n in words])["words"]
    assert found.value == pytest.approx(np.mean(words))
    assert found.interval == pytest.approx((expected.low, expected.high))


def test_samples_that_lack_a_number_do_not_count_and_those_of_a_scene_are_one():
    found = scores([{"words": 2, "fast": 1}, {"words": 4}, {}, {"words": 9}], ["a", "a", "b", "c"])
    assert (found["words"].value, found["words"].n) == (5, 3)
    reach = 12.706205 * 8 / 3  # t with 1 degree of freedom; the two scenes are off by -4 and 4 in sum
    assert found["words"].interval == pytest.approx((5 - reach, 5 + reach))
    assert (found["fast"].value, found["fast"].interval) == (1, (pytest.approx(0.2065, abs=1e-4), 1.0))
    assert scores([{}, {}]) == {}
