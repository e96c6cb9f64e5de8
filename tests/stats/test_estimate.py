"""Standard errors and intervals against closed forms, scipy and resampling."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_1samp

from vtbench import stats
from vtbench.stats import any_mean, difference, mean, ratio


def own(n):
    return [""] * n


@pytest.mark.parametrize(("right", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (1, 1), (0, 2000), (1871, 2000)])
def test_a_share_of_independent_answers_has_the_wilson_interval(right, n):
    estimate = mean([1] * right + [0] * (n - right), own(n))
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert estimate.value == right / n
    assert estimate.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_standard_error_of_independent_values_is_that_of_the_mean():
    values = np.random.default_rng(0).random(50)
    assert mean(values, own(50)).stderr == pytest.approx(values.std(ddof=1) / np.sqrt(50))


def test_copies_of_a_sample_add_no_certainty():
    values = [0, 1, 1, 0, 1, 1, 1]
    single = mean(values, own(7))
    copied = mean(np.repeat(values, 4), np.repeat([f"scene{i}" for i in range(7)], 4))
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
        low, high = mean((rng.random((60, 2)) < shared).ravel(), names).interval
        hits += low <= truth <= high
    assert 0.93 <= hits / runs <= 0.98


def test_pairs_that_always_cancel_are_not_taken_for_certainty():
    estimate = mean([1, 0] * 20, np.repeat([f"c{i}" for i in range(20)], 2))
    assert (estimate.value, estimate.stderr) == (0.5, 0)
    low, high = estimate.interval
    assert low < 0.30  # as wide as that of 20 independent answers
    assert high > 0.70


def test_what_cannot_be_said_is_none():
    nothing = mean([], [])
    assert (nothing.value, nothing.stderr, nothing.interval, nothing.n) == (None, None, None, 0)
    assert ratio([0, 0], [0, 0], own(2)).value is None
    one_scene = mean([1, 0, 1], ["a", "a", "a"])
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
    estimate = ratio(*(list(column) for column in zip(*samples, strict=True))) if samples else mean([], [])
    if estimate.interval:
        low, high = estimate.interval
        assert 0 <= low <= estimate.value <= high <= 1


def test_the_mean_of_any_values_has_students_interval():
    values = np.random.default_rng(0).normal(7, 3, 40)
    estimate = any_mean(values.tolist(), own(40))
    expected = ttest_1samp(values, 0).confidence_interval()
    assert estimate.interval == pytest.approx((expected.low, expected.high))
    pairs = any_mean(np.repeat(values, 2).tolist(), [str(i // 2) for i in range(80)])
    assert pairs.interval == pytest.approx(estimate.interval)
    assert any_mean([], []).value is None
    assert any_mean([3, 4], ["one", "one"]).interval is None


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize(("ours", "theirs"), [(0.85, 0.7), (0.98, 0.97), (0.5, 0.5)])
def test_the_interval_of_a_paired_difference_covers_it(ours, theirs, clustered):
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        hardness = rng.random(200)
        if clustered:
            hardness[1::2] = np.where(rng.random(100) < 0.5, hardness[::2], hardness[1::2])
        other = np.where(rng.random(200) < 0.5, hardness, rng.random(200))
        clusters = [str(i // 2) for i in range(200)] if clustered else own(200)
        found = difference((hardness < ours).astype(float), (other < theirs).astype(float), clusters)
        hits += found.interval[0] <= ours - theirs <= found.interval[1]
    assert hits >= 0.92 * 300


def test_two_that_agree_everywhere_are_not_surely_alike():
    found = difference([1.0] * 10, [1.0] * 10, own(10))
    assert found.value == 0
    assert found.interval[0] < 0 < found.interval[1]


def test_the_examples_in_the_docstrings_are_right():
    assert doctest.testmod(stats) == (0, 3)
