"""Paired differences: McNemar's test and Tango's interval against formulas, likelihoods, the t-test and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import chi2, t, ttest_rel

from vtbench.stats import Z95, RatioTerms, difference, mcnemar, ratio_difference, tango


def own(n):
    return [""] * n


def scenes(count, size):
    return [f"scene {i}" for i in range(count) for _ in range(size)]


def terms(values, clusters=None, denominators=None):
    values = np.asarray(values, dtype=float)
    whole = np.ones(len(values)) if denominators is None else np.asarray(denominators, dtype=float)
    return RatioTerms(values, whole, tuple(clusters if clusters is not None else own(len(values))))


def table(won, lost, n):
    """Right (1) and wrong (0) answers of two runs, of which `won` and `lost` only one has right."""
    rest = n - won - lost
    return [1] * won + [0] * lost + [1] * rest, [0] * won + [1] * lost + [1] * rest


# one sample a unit: McNemar and Tango themselves


@pytest.mark.parametrize(("won", "lost"), [(0, 6), (5, 12), (12, 5), (7, 7), (1, 0)])
def test_the_p_value_is_that_of_mcnemars_chi_squared(won, lost):
    found = difference(*table(won, lost, 40), own(40))
    assert found.test == "McNemar"
    assert found.p == pytest.approx(chi2.sf((won - lost) ** 2 / (won + lost), 1))
    assert found.value == pytest.approx((won - lost) / 40)


def test_mcnemar_of_a_published_table():
    # Agresti, Categorical Data Analysis, approval of the prime minister: 794, 150, 86, 570; z^2 = 17.36
    found = difference(*table(86, 150, 1600), own(1600))
    assert found.value == pytest.approx(-0.04)
    assert found.p == pytest.approx(chi2.sf(17.36, 1), rel=0.01)
    assert found.interval == pytest.approx((-0.059, -0.021), abs=0.001)


@pytest.mark.parametrize(
    ("won", "lost", "n", "published"),
    [
        (1, 7, 21, (-0.517, -0.026)),  # airway hyper-responsiveness, Fagerland, Lydersen and Laake (2014)
        (12, 2, 50, (0.0611, 0.3447)),  # Newcombe, Statistics in Medicine 17 (1998)
    ],
)
def test_tango_of_published_tables(won, lost, n, published):
    assert difference(*table(won, lost, n), own(n)).interval == pytest.approx(published, abs=1e-3)


def score_statistic(d, won, lost, n):
    """(D - d) / SE under d, the probability of a loss fitted by a search of the likelihood, not by Tango's formula."""

    def deviance(q):
        cells = [(won, q + d), (lost, q), (n - won - lost, 1 - 2 * q - d)]
        return -sum(k * np.log(max(p, 1e-300)) for k, p in cells if k)

    q = minimize_scalar(deviance, bounds=(max(0, -d), (1 - d) / 2), method="bounded", options={"xatol": 1e-12}).x
    return ((won - lost) / n - d) / np.sqrt((2 * q + d - d * d) / n)


@pytest.mark.parametrize(
    ("won", "lost", "n"), [(5, 12, 60), (9, 2, 20), (0, 4, 30), (3, 3, 25), (15, 0, 20), (60, 90, 1000)]
)
def test_the_ends_of_the_interval_are_where_the_score_test_begins_to_reject(won, lost, n):
    low, high = tango(won, lost, n)
    assert score_statistic(float(low), won, lost, n) == pytest.approx(Z95, abs=2e-4)
    assert score_statistic(float(high), won, lost, n) == pytest.approx(-Z95, abs=2e-4)


@pytest.mark.parametrize(("n", "z"), [(1, Z95), (30, Z95), (2000, 2.5)])
def test_agreement_everywhere_has_a_closed_form(n, z):
    low, high = tango(0, 0, n, z)
    assert (-low, high) == (pytest.approx(z * z / (n + z * z)), pytest.approx(z * z / (n + z * z)))


def test_all_won_ends_at_one():
    found = difference([1] * 12, [0] * 12, own(12))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(1 - 2 * Z95**2 / (2 * Z95**2 + 12), abs=0.2)
    assert found.p < 0.001


def test_intervals_of_arrays_are_those_of_their_elements():
    won, lost = np.array([0.0, 3.5, 7]), np.array([[1.0], [2]])
    low, high = tango(won, lost, 20)
    assert low.shape == high.shape == (2, 3)
    assert (float(low[1, 2]), float(high[1, 2])) == tuple(map(float, tango(7, 2, 20)))


# units that are scenes, graded scores, ratios


def test_agreement_everywhere_is_no_certainty():
    found = difference([1.0] * 40, [1.0] * 40, own(40))
    assert (found.value, found.p) == (0, 1)
    assert -found.low == found.high == pytest.approx(Z95**2 / (40 + Z95**2))
    by_scene = difference([1.0] * 40, [1.0] * 40, scenes(10, 4))
    z = t.ppf(0.975, 9)
    assert by_scene.high == pytest.approx(z * z / (10 + z * z))  # scenes, not samples, agree


def test_graded_scores_of_many_samples_have_the_paired_t_test():
    rng = np.random.default_rng(0)
    theirs = rng.uniform(0.2, 0.8, 3000)
    ours = theirs + rng.normal(0.005, 0.05, 3000)
    found, expected = difference(ours, theirs, own(3000)), ttest_rel(ours, theirs)
    interval = expected.confidence_interval()
    assert found.test == "paired score test"
    assert found.p == pytest.approx(expected.pvalue, rel=0.2)
    assert found.interval == pytest.approx((interval.low, interval.high), abs=2e-5)
    assert found.stderr == pytest.approx((ours - theirs).std(ddof=1) / np.sqrt(3000))


def test_a_graded_score_at_half_scale_has_half_the_difference():
    right, wrong = table(9, 3, 30)
    whole = difference(right, wrong, scenes(15, 2))
    half = difference(np.array(right) / 2, np.array(wrong) / 2, scenes(15, 2))
    assert half.value == whole.value / 2
    assert half.p == pytest.approx(whole.p, rel=0.2)
    assert half.low == pytest.approx(whole.low / 2, abs=0.02)


def test_copies_of_a_scene_add_no_certainty():
    rng = np.random.default_rng(1)
    ours, theirs = rng.integers(0, 2, (2, 25))
    once = difference(ours, theirs, scenes(25, 1))
    copied = difference(np.repeat(ours, 4), np.repeat(theirs, 4), scenes(25, 4))
    assert copied.value == pytest.approx(once.value)
    assert copied.clusters == 25
    assert copied.high - copied.low > once.high - once.low  # Student's t for the normal distribution


def test_pairs_whose_answers_cancel_are_not_taken_for_certainty():
    found = difference([1, 0] * 20, [0, 1] * 20, scenes(20, 2))
    assert (found.value, found.p) == (0, 1)
    low, high = tango(20, 20, 40, t.ppf(0.975, 19))
    assert found.interval == pytest.approx((float(low), float(high)))  # as of 40 independent answers
    assert found.stderr == pytest.approx(np.sqrt(1 / 40))


def test_scenes_that_answer_alike_count_as_one_answer_each():
    alike = difference(np.repeat([1] * 12 + [0] * 28, 2), np.repeat([0] * 12 + [1] * 4 + [0] * 24, 2), scenes(40, 2))
    low, high = tango(12 * 39 / 40, 4 * 39 / 40, 39, t.ppf(0.975, 39))  # the variance over scenes has divisor 39
    assert alike.interval == pytest.approx((float(low), float(high)))
    assert alike.p == pytest.approx(mcnemar(12 * 39 / 40, 4 * 39 / 40, 39))


def test_the_difference_of_ratios_is_linearised():
    rng = np.random.default_rng(2)
    den = rng.integers(1, 9, (2, 400))
    num = rng.binomial(den, [[0.8], [0.6]])
    ours, theirs = (terms(num[i], denominators=den[i]) for i in range(2))
    found = ratio_difference(ours, theirs)
    residuals = [(of.numerators - of.value * of.denominators) / of.denominators.sum() for of in (ours, theirs)]
    stderr = np.sqrt(400 / 399 * np.square(residuals[0] - residuals[1]).sum())
    assert found.value == pytest.approx(ours.value - theirs.value)
    assert found.stderr == pytest.approx(stderr)
    reach = t.ppf(0.975, 399) * stderr
    assert found.interval == pytest.approx((found.value - reach, found.value + reach), abs=0.1 * reach)


def test_ratios_with_whole_denominators_are_means():
    rng = np.random.default_rng(3)
    first, other = rng.integers(0, 2, (2, 60))
    names = scenes(20, 3)
    tripled = ratio_difference(*(terms(3 * of, names, denominators=[3] * 60) for of in (first, other)))
    plain = difference(first, other, names)
    assert tripled.interval == pytest.approx(plain.interval)
    assert tripled.p == pytest.approx(plain.p)


def test_what_cannot_be_said_is_none():
    nothing = terms([0, 0], denominators=[0, 0])
    assert ratio_difference(nothing, nothing).flags == ("empty",)
    one = ratio_difference(terms([1, 1], ["a", "a"]), terms([1, 0], ["a", "a"]))
    assert (one.value, one.interval, one.p, one.flags) == (0.5, None, None, ("one_scene",))
    assert difference([1], [0], own(1)).flags == ("one_sample",)


# properties

ANSWERS = st.lists(
    st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1]), st.sampled_from(["", "a", "b", "c"])),
    min_size=2,
    max_size=40,
)
GRADED = st.lists(
    st.tuples(st.sampled_from([0, 0.25, 0.5, 1]), st.sampled_from([0, 0.5, 1]), st.sampled_from(["", "a", "b"])),
    min_size=2,
    max_size=30,
)


@settings(deadline=None)
@given(st.one_of(ANSWERS, GRADED))
def test_the_interval_leaves_out_zero_where_the_test_rejects(samples):
    found = difference(*zip(*samples, strict=True))
    assume(found.interval is not None)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert 0 <= found.p <= 1
    if abs(found.p - 0.05) > 1e-6:
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


@settings(deadline=None)
@given(st.one_of(ANSWERS, GRADED), st.randoms(use_true_random=False))
def test_exchanging_the_runs_turns_the_sign_and_the_order_of_samples_does_not_count(samples, random):
    ours, theirs, clusters = zip(*samples, strict=True)
    found, turned = difference(ours, theirs, clusters), difference(theirs, ours, clusters)
    assume(found.interval is not None)
    assert turned.value == pytest.approx(-found.value)
    assert turned.interval == pytest.approx((-found.high, -found.low), abs=1e-9)
    assert turned.p == pytest.approx(found.p)
    mixed = random.sample(samples, len(samples))
    assert difference(*zip(*mixed, strict=True)).interval == pytest.approx(found.interval, abs=1e-9)


@settings(deadline=None)
@given(ANSWERS)
def test_scenes_never_make_the_interval_narrower_than_independent_samples(samples):
    ours, theirs, clusters = zip(*samples, strict=True)
    found, independent = difference(ours, theirs, clusters), difference(ours, theirs, own(len(ours)))
    assume(found.interval is not None)
    assert found.high - found.low >= independent.high - independent.low - 1e-9


# coverage


def coverage(draw, truth, seeds=400):
    """Share of intervals that hold the truth, and of p-values under 0.05."""
    found = [ratio_difference(*draw(np.random.default_rng(seed))) for seed in range(seeds)]
    return np.mean([f.low <= truth <= f.high for f in found]), np.mean([f.p < 0.05 for f in found])


def answers(rng, shift, size=2):
    """60 scenes of several questions each; the scene decides much of both runs' answers."""
    ease = rng.beta(2, 1, size=(60, 1))
    first = rng.random((60, size)) < 0.9 * ease
    other = rng.random((60, size)) < (0.9 - shift) * ease
    names = scenes(60, size) if size > 1 else own(60)
    return terms(other.ravel(), names), terms(first.ravel(), names)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_intervals_of_answers_cover_the_difference(size):
    held, found = coverage(lambda rng: answers(rng, 0.3, size), truth=-0.3 * 2 / 3)
    assert 0.93 <= held <= 0.985
    assert found > 0.4


@pytest.mark.parametrize("size", [1, 2, 5])
def test_runs_that_are_alike_differ_by_chance_as_often_as_said(size):
    held, found = coverage(lambda rng: answers(rng, 0.0, size), truth=0.0)
    assert 0.93 <= held <= 0.985
    assert held + found == pytest.approx(1)


def test_intervals_of_rare_disagreements_cover_the_difference():
    def draw(rng):
        u = rng.random(100)  # 4 % won, 1 % lost
        return terms(u >= 0.01), terms((u < 0.01) | (u >= 0.05))

    held, _ = coverage(draw, truth=0.03)
    assert held >= 0.93  # the paired t-test covers 92 %, and 77 % of 30 samples


def graphs(rng):
    """Scene graphs: long ones are harder, and both runs find the same scenes hard."""
    true = rng.integers(4, 20, 80)
    ease = rng.beta(6, 2, 80) * np.where(true > 12, 0.8, 1)
    return tuple(terms(2 * rng.binomial(true, share * ease), denominators=2 * true) for share in (0.9, 1.0))


def test_intervals_of_a_difference_of_ratios_cover_it():
    truth = np.mean([ratio_difference(*graphs(np.random.default_rng(10**6 + i))).value for i in range(400)])
    held, _ = coverage(graphs, truth)
    assert 0.92 <= held <= 0.98
