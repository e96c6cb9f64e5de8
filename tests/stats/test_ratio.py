"""Ratios, proportions and means against closed forms, scipy and resampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, t, ttest_1samp

from vtbench.stats import mean, proportion, ratio, wilson


def own(n):
    return [""] * n


@pytest.mark.parametrize(("right", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (1, 1), (0, 2000), (1871, 2000)])
def test_a_share_of_independent_answers_has_the_wilson_interval(right, n):
    estimate = proportion([1] * right + [0] * (n - right), own(n))
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert estimate.value == right / n
    assert estimate.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_standard_error_of_independent_values_is_that_of_the_mean():
    values = np.random.default_rng(0).random(50)
    assert proportion(values, own(50)).stderr == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_copies_of_a_sample_add_no_certainty():
    values = [0, 1, 1, 0, 1, 1, 1]
    single = proportion(values, own(7))
    copied = proportion(np.repeat(values, 4), np.repeat([f"scene{i}" for i in range(7)], 4))
    assert copied.stderr == pytest.approx(single.stderr)
    assert copied.clusters == 7
    assert copied.interval[1] - copied.interval[0] > single.interval[1] - single.interval[0]  # t against normal


def test_clustered_ratio_agrees_with_a_bootstrap_over_clusters():
    rng = np.random.default_rng(1)
    said = rng.integers(1, 9, size=(400, 2))
    right = rng.binomial(said, rng.beta(6, 2, size=(400, 1)))
    clusters = np.repeat([f"c{i}" for i in range(400)], 2)
    estimate = ratio(right.ravel(), said.ravel(), clusters)
    drawn = rng.integers(0, 400, size=(4000, 400))
    resampled = right.sum(1)[drawn].sum(1) / said.sum(1)[drawn].sum(1)
    assert estimate.value == right.sum() / said.sum()
    assert estimate.stderr == pytest.approx(resampled.std(), rel=0.05)
    assert estimate.interval == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])), abs=0.004)


def test_intervals_cover_the_truth_where_pairs_answer_alike():
    rng = np.random.default_rng(2)
    hits, runs, truth = 0, 600, 0.8
    names = np.repeat([f"c{i}" for i in range(60)], 2)
    for _ in range(runs):
        shared = rng.beta(truth * 2, (1 - truth) * 2, size=(60, 1))  # within-pair correlation 1/3
        low, high = proportion((rng.random((60, 2)) < shared).ravel(), names).interval
        hits += low <= truth <= high
    assert 0.93 <= hits / runs <= 0.98


def test_pairs_that_always_cancel_are_not_taken_for_certainty():
    estimate = proportion([1, 0] * 20, np.repeat([f"c{i}" for i in range(20)], 2))
    assert (estimate.value, estimate.stderr) == (0.5, 0)
    low, high = estimate.interval
    assert low < 0.30  # as wide as that of 20 independent answers
    assert high > 0.70


def test_answers_of_a_pair_that_mostly_cancel_make_the_interval_no_narrower_than_that_of_independent_ones():
    values = [1, 0] * 19 + [1, 1]  # by pairs SE is 0.025, a third of that of 40 independent answers
    estimate = proportion(values, np.repeat([f"c{i}" for i in range(20)], 2))
    assert estimate.stderr == pytest.approx(np.array([1] * 19 + [2]).std(ddof=1) / 2 / np.sqrt(20))
    assert estimate.interval == pytest.approx(wilson(21 / 40, 40, t.ppf(0.975, 19)))


def test_graded_answers_of_little_spread_have_the_interval_of_right_or_wrong_ones():
    assert proportion([0.4, 0.6] * 10, own(20)).interval == pytest.approx(wilson(0.5, 20))
    assert ratio([2, 3] * 10, [5] * 20, own(20)).interval == pytest.approx(wilson(0.5, 100))


def test_a_widened_standard_error_widens_the_interval_and_stays_within_the_cap():
    rng = np.random.default_rng(3)
    right, clusters = rng.integers(0, 2, 200), np.repeat([f"c{i}" for i in range(50)], 4)
    plain, wide = ratio(right, [1] * 200, clusters), ratio(right, [1] * 200, clusters, widen=1.5)
    assert wide.value == plain.value
    assert wide.stderr == pytest.approx(1.5 * plain.stderr)
    size = plain.value * (1 - plain.value) / (wide.stderr**2 * 49 / 50)
    assert size < 200
    assert wide.interval == pytest.approx(wilson(wide.value, size, t.ppf(0.975, 49)))


def test_a_proportion_of_other_values_is_refused():
    for value in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            proportion([0.5, value], own(2))


def test_what_cannot_be_said_is_none():
    nothing = proportion([], [])
    assert (nothing.value, nothing.stderr, nothing.interval, nothing.n) == (None, None, None, 0)
    assert ratio([0, 0], [0, 0], own(2)).value is None
    one_scene = proportion([1, 0, 1], ["a", "a", "a"])
    assert (one_scene.stderr, one_scene.interval) == (None, None)


def test_a_perfect_score_is_exactly_one():
    estimate = ratio([3, 7, 9] * 100, [3, 7, 9] * 100, own(300))
    assert estimate.value == 1.0
    assert estimate.interval[1] == 1.0
    assert 0.97 < estimate.interval[0] < 1.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from(["", "a", "b"])), max_size=20))
def test_intervals_stay_in_range_and_hold_the_value(samples):
    samples = [(min(num, den), den, cluster) for num, den, cluster in samples]
    estimate = ratio(*(list(column) for column in zip(*samples, strict=True))) if samples else proportion([], [])
    if estimate.interval:
        low, high = estimate.interval
        assert 0 <= low <= estimate.value <= high <= 1


def test_the_mean_of_any_values_has_students_interval():
    values = np.random.default_rng(0).normal(7, 3, 40)
    estimate = mean(values.tolist(), own(40))
    expected = ttest_1samp(values, 0).confidence_interval()
    assert estimate.interval == pytest.approx((expected.low, expected.high))
    pairs = mean(np.repeat(values, 2).tolist(), [str(i // 2) for i in range(80)])
    assert pairs.interval == pytest.approx(estimate.interval)
    assert mean([], []).value is None
    assert mean([3, 4], ["one", "one"]).interval is None
