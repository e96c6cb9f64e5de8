"""The psychometric fit recovers what made the answers, and says when it cannot."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from vtbench.scoring.psychometric import fit

OFFSETS = np.array([-16, -8, -4, -2, -1, -0.5, 0.5, 1, 2, 4, 8, 16])


def answers(threshold, bias=0.0, lapse=0.0, n=3000, seed=0):
    """Return offsets and answers of an observer whose lapse-free curve has this 75 % threshold."""
    rng = np.random.default_rng(seed)
    x = rng.choice(OFFSETS, n)
    p = lapse + (1 - 2 * lapse) * ndtr((x - bias) * ndtri((0.75 - lapse) / (1 - 2 * lapse)) / threshold)
    return x, rng.random(n) < p


@pytest.mark.parametrize(("threshold", "bias", "lapse"), [(2, 0, 0), (3, 0, 0.05), (3, 4, 0.02), (1, -1, 0.1)])
def test_recovers_the_observer(threshold, bias, lapse):
    curve = fit(*answers(threshold, bias, lapse))
    assert curve.threshold.flags == ()
    assert curve.threshold.value == pytest.approx(threshold, rel=0.15)
    assert curve.bias == pytest.approx(bias, abs=0.5)
    assert curve.lapse == pytest.approx(lapse, abs=0.03)
    assert curve.threshold.low <= threshold <= curve.threshold.high


def test_interval_covers_the_threshold():
    intervals = [fit(*answers(3, 1, 0.03, n=600, seed=seed)).threshold.interval for seed in range(24)]
    assert sum(low <= 3 <= high for low, high in intervals) >= 20


def test_reversing_the_sign_changes_the_bias_only():
    x, positive = answers(3, 2, 0.02)
    curve, mirrored = fit(x, positive), fit(-x, ~positive)
    assert mirrored.threshold.value == pytest.approx(curve.threshold.value, rel=1e-3)
    assert mirrored.bias == pytest.approx(-curve.bias, abs=1e-2)


@pytest.mark.parametrize(("threshold", "flag"), [(0.01, "below_range"), (30, "above_range"), (1e6, "no_slope")])
def test_a_threshold_outside_what_was_asked_is_not_made_up(threshold, flag):
    curve = fit(*answers(threshold))
    assert curve.threshold.value is None
    assert curve.threshold.flags == (flag,)


def test_always_the_same_answer_has_no_slope():
    assert fit(OFFSETS, [True] * 12).threshold.flags == ("no_slope",)


def test_nothing_asked():
    assert fit([], []).threshold.value is None
