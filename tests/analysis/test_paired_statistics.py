"""Paired tests against scipy, known values and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, ttest_rel
from vtbench_analysis.comparison.paired_statistics import RatioTerms, holm, mcnemar, ratio_difference, t_difference


def terms(values, clusters=None, denominators=None):
    values = np.asarray(values, dtype=float)
    whole = np.ones(len(values)) if denominators is None else np.asarray(denominators, dtype=float)
    return RatioTerms(values, whole, tuple(clusters if clusters is not None else [""] * len(values)))


def table(both, lost, won, neither):
    first = [1] * both + [1] * lost + [0] * won + [0] * neither
    other = [1] * both + [0] * lost + [1] * won + [0] * neither
    return np.array(first), np.array(other)


@pytest.mark.parametrize(("lost", "won"), [(0, 6), (5, 12), (12, 5), (7, 7), (1, 0)])
def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_answers(lost, won):
    found = mcnemar(*table(20, lost, won, 10))
    tail = 2 * binom.cdf(min(lost, won), lost + won, 0.5)
    assert found.p == pytest.approx(min(1, tail))
    assert found.value == pytest.approx((won - lost) / (30 + lost + won))
    assert found.interval[0] < found.value < found.interval[1]


def test_mcnemar_of_a_published_table():
    # Agresti, Categorical Data Analysis, approval of the prime minister: 794, 150, 86, 570; z = -4.17, p = 3e-5
    found = mcnemar(*table(794, 150, 86, 570))
    assert found.value == pytest.approx(-0.04)
    assert found.p == pytest.approx(3.7e-5, rel=0.1)
    assert found.interval == pytest.approx((-0.059, -0.021), abs=0.001)


def test_agreement_everywhere_is_no_certainty():
    found = ratio_difference(terms([1] * 40), terms([1] * 40))
    assert (found.value, found.p, found.method) == (0, 1, "exact McNemar")
    assert found.interval[0] < -0.02
    assert found.interval[1] > 0.02


def test_other_values_take_the_paired_t_test():
    rng = np.random.default_rng(0)
    first = rng.random(30)
    other = np.clip(first + rng.normal(0.05, 0.1, 30), 0, 1)
    found, expected = ratio_difference(terms(first), terms(other)), ttest_rel(other, first)
    interval = expected.confidence_interval()
    assert found.method == "paired t"
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx((interval.low, interval.high))


def test_copies_of_a_scene_add_no_certainty():
    rng = np.random.default_rng(1)
    first, other = rng.random(25), rng.random(25)
    scenes = [f"scene{i}" for i in range(25)]
    once = ratio_difference(terms(first), terms(other))
    copied = ratio_difference(
        terms(np.repeat(first, 4), np.repeat(scenes, 4)), terms(np.repeat(other, 4), np.repeat(scenes, 4))
    )
    assert copied.p == pytest.approx(once.p)
    assert copied.interval == pytest.approx(once.interval)


def coverage(draw, truth, seeds=300):
    """Share of intervals that hold the truth, and of p-values under 0.05."""
    found = [ratio_difference(*draw(np.random.default_rng(seed))) for seed in range(seeds)]
    held = sum(low <= truth <= high for low, high in (f.interval for f in found))
    return held / seeds, sum(f.p < 0.05 for f in found) / seeds


def answers(rng, shift):
    """60 scenes of two questions each; the scene decides much of both runs' answers."""
    ease = rng.beta(2, 1, size=(60, 1))
    first = rng.random((60, 2)) < 0.9 * ease
    other = rng.random((60, 2)) < (0.9 - shift) * ease
    names = np.repeat([f"c{i}" for i in range(60)], 2)
    return terms(first.ravel(), names), terms(other.ravel(), names)


def test_intervals_of_clustered_answers_cover_the_difference():
    held, found = coverage(lambda rng: answers(rng, 0.3), truth=-0.3 * 2 / 3)
    assert 0.92 <= held <= 0.98
    assert found > 0.6


def test_runs_that_are_alike_differ_by_chance_as_often_as_said():
    held, found = coverage(lambda rng: answers(rng, 0.0), truth=0.0)
    assert 0.92 <= held <= 0.98
    assert 0.02 <= found <= 0.08


def graphs(rng):
    """Scene graphs: long ones are harder, and both runs find the same scenes hard."""
    true = rng.integers(4, 20, 80)
    ease = rng.beta(6, 2, 80) * np.where(true > 12, 0.8, 1)
    return tuple(
        terms(2 * rng.binomial(true, share * ease), denominators=2 * true) for share in (1.0, 0.9)
    )  # fmt: skip


def test_intervals_of_a_difference_of_ratios_cover_it():
    many = [np.random.default_rng(10**6 + i) for i in range(200)]
    values = [ratio_difference(*graphs(rng)).value for rng in many]
    held, _ = coverage(graphs, truth=float(np.mean(values)))
    assert 0.91 <= held <= 0.98


def test_pairs_whose_answers_cancel_are_not_taken_for_certainty():
    names = np.repeat([f"c{i}" for i in range(20)], 2)
    found = ratio_difference(terms([1, 0] * 20, names), terms([0, 1] * 20, names))
    assert found.value == 0
    assert found.interval[1] > 0.25
    assert found.p == 1


def test_what_cannot_be_said_is_none():
    nothing = terms([0, 0], denominators=[0, 0])
    assert ratio_difference(nothing, nothing).value is None
    one = ratio_difference(terms([1, 0], ["a", "a"]), terms([1, 1], ["a", "a"]))
    assert (one.value, one.interval, one.p, one.flags) == (0.5, None, None, ("one_scene",))
    same = t_difference(0.0, 0.0, 9, "jackknife")
    assert (same.p, same.flags) == (None, ("identical",))


def test_holm_counts_what_was_tested_and_keeps_the_order():
    # Holm's own procedure by hand: 4 x .01, 3 x .02, then never less than the one before
    assert holm([0.02, 0.5, None, 0.01, 0.025]) == pytest.approx([0.06, 0.5, None, 0.04, 0.06])
    assert holm([None, 0.04]) == [None, 0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
