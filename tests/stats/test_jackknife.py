"""The jackknife against closed forms, the t-test and the delta method."""

import math

import numpy as np
import pytest
from scipy import stats

from vtbench.stats import (
    Estimate,
    jackknife,
    jackknife_difference,
    jackknife_of_means,
    jackknife_stderr,
    mean,
    t_test,
)


def own(n):
    return [""] * n


def first(means):
    return means[..., 0]


def share(means):
    return means[..., 0] / means[..., 1]


def test_of_a_mean_it_is_the_usual_standard_error_and_students_interval():
    values = np.random.default_rng(0).random(50)
    found = jackknife_of_means(values[:, None], own(50), first)
    expected = stats.ttest_1samp(values, 0).confidence_interval()
    assert found.stderr == pytest.approx(values.std(ddof=1) / math.sqrt(50))
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert (found.n, found.clusters) == (50, 50)


def test_copies_in_one_cluster_add_no_certainty():
    values = np.random.default_rng(0).random(50)
    once = jackknife_of_means(values[:, None], own(50), first)
    twice = jackknife_of_means(np.repeat(values, 2)[:, None], [str(i // 2) for i in range(100)], first)
    assert twice.interval == pytest.approx(once.interval)
    assert twice.interval == pytest.approx(mean(np.repeat(values, 2), [str(i // 2) for i in range(100)]).interval)


def test_of_a_ratio_of_means_it_is_near_the_delta_method():
    rng = np.random.default_rng(1)
    den = rng.uniform(1, 3, 400)
    num = den * rng.uniform(0.2, 0.6, 400)
    found = jackknife_of_means(np.column_stack([num, den]), own(400), share)
    residuals = num - found.value * den
    assert found.value == pytest.approx(num.sum() / den.sum())
    assert found.stderr == pytest.approx(residuals.std(ddof=1) / den.mean() / 20, rel=0.01)


@pytest.mark.parametrize("groups", [2, 10, 37])
def test_replicates_have_students_t_on_one_less_than_their_number(groups):
    replicates = np.random.default_rng(2).normal(0.5, 0.01, groups)
    found = jackknife(0.5, replicates.tolist(), n=500, widen=1.25)
    stderr = 1.25 * math.sqrt((groups - 1) ** 2 / groups) * replicates.std(ddof=1)
    assert found.stderr == pytest.approx(stderr)
    assert found.interval == pytest.approx(stats.t.interval(0.95, groups - 1, 0.5, stderr))
    assert found.stderr == pytest.approx(1.25 * jackknife_stderr(replicates.tolist()))


def test_a_difference_of_means_has_the_paired_t_test():
    rng = np.random.default_rng(3)
    theirs = rng.random((30, 1))
    ours = theirs + rng.normal(0.05, 0.1, (30, 1))
    found, expected = jackknife_difference(ours, theirs, own(30), first), stats.ttest_rel(ours[:, 0], theirs[:, 0])
    interval = expected.confidence_interval()
    assert (found.p, found.test) == (pytest.approx(expected.pvalue), "jackknife")
    assert found.interval == pytest.approx((interval.low, interval.high))


def test_p_value_and_interval_agree():
    for value in (2.2621, 2.2623):  # t(0.975, 9) = 2.26216
        found = t_test(jackknife(value, (value + np.array([1.0, -1.0] * 5) / 3).tolist()))
        assert found.stderr == pytest.approx(1.0)
        assert (found.p < 0.05) == (found.low > 0)


def test_what_cannot_be_said_is_none():
    assert jackknife(0.5, []).interval is None
    alone = jackknife_of_means(np.array([[0.5], [0.7]]), ["one", "one"], first)
    assert (alone.value, alone.interval, t_test(alone).flags) == (0.6, None, ("one_scene",))
    same, apart = (t_test(jackknife(value, [value] * 10)) for value in (0.0, 0.3))
    assert (same.p, same.interval, same.flags) == (None, None, ("identical",))
    assert (apart.p, apart.interval, apart.flags) == (None, None, ("no_spread",))
    assert t_test(Estimate(None)).p is None
