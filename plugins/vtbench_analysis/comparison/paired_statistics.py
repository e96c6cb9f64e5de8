"""All statistics of this package: paired differences of two runs on the same units, with intervals and p-values.

The difference is always the other run's value minus the first run's. Intervals are 95 %, p-values are two-sided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm, t

from vtbench.stats import Estimate, ratio
from vtbench_redundancy.statistics import cluster_jackknife

Z95 = float(norm.ppf(0.975))


@dataclass(frozen=True, slots=True)
class RatioTerms:
    """One score of one run as a ratio of sums: a numerator and a denominator for each of its n units."""

    numerators: np.ndarray
    """(n,) each between 0 and its denominator."""
    denominators: np.ndarray
    """(n,) non-negative; all 1 where the score is a mean."""
    clusters: tuple[str, ...]
    """n names of the cluster (scene) that the unit belongs to; an empty name is a cluster of its own."""

    @property
    def binary(self) -> bool:
        """Whether every unit is either right (1 of 1) or wrong (0 of 1)."""
        return bool((self.denominators == 1).all() and np.isin(self.numerators, (0, 1)).all())


@dataclass(frozen=True, slots=True)
class Difference:
    """A paired difference of two runs. A number that cannot be computed is None; `flags` says why."""

    value: float | None
    interval: tuple[float, float] | None = None
    """95 %."""
    p: float | None = None
    """Two-sided p-value."""
    method: str = ""
    """Name of the test."""
    flags: tuple[str, ...] = ()


def ratio_estimate(terms: RatioTerms) -> Estimate:
    """Return one run's ratio with its cluster-robust standard error and interval (`vtbench.stats`)."""
    return ratio(terms.numerators.tolist(), terms.denominators.tolist(), terms.clusters)


def ratio_difference(first: RatioTerms, other: RatioTerms) -> Difference:
    """Test whether two runs differ in one score, unit by unit.

    Binary units without shared clusters: exact McNemar. All others: the linearised difference of the two ratios, with
    the units of a cluster summed, and Student's t on the number of clusters minus one. With denominators of 1 and no
    shared clusters that is the paired t-test. For binary units in clusters, the standard error is at least that of
    Bonett and Price for independent units.

    Args:
        first: the first run's terms.
        other: the other run's terms; the same units in the same order.

    >>> one = RatioTerms(np.array([1, 1, 0, 0]), np.ones(4), ("a", "a", "b", "b"))
    >>> two = RatioTerms(np.array([1, 1, 1, 0]), np.ones(4), ("a", "a", "b", "b"))
    >>> ratio_difference(one, two).value
    0.25
    """
    if not first.denominators.sum() or not other.denominators.sum():
        return Difference(None, flags=("empty",))
    cluster_of_unit, n_clusters = _cluster_numbers(first.clusters)
    clustered = n_clusters < len(cluster_of_unit)
    binary = first.binary and other.binary
    if binary and not clustered:
        return mcnemar(first.numerators, other.numerators)
    residuals = _linearised_residuals(other) - _linearised_residuals(first)
    sums = np.bincount(cluster_of_unit, weights=residuals, minlength=n_clusters)
    value = _ratio(other) - _ratio(first)
    if n_clusters < 2:
        return Difference(value, flags=("one_scene",) if clustered else ("one_sample",))
    stderr = math.sqrt(n_clusters / (n_clusters - 1) * float(np.square(sums).sum()))
    if binary:  # where the answers of every pair cancel, their spread is 0 and says nothing
        stderr = max(stderr, _bonett_price(first.numerators, other.numerators)[1])
    method = "paired t by scene" if clustered else "paired t"
    return t_difference(value, stderr, n_clusters - 1, method, limit=1.0)


def mcnemar(first: np.ndarray, other: np.ndarray) -> Difference:
    """Exact McNemar test of two runs' right (1) and wrong (0) answers to the same independent questions.

    Under the null hypothesis, the answers that only one run has right are equally likely to be either run's (McNemar,
    Psychometrika 12, 1947). The interval is Bonett and Price's adjusted Wald interval (J. Educ. Behav. Stat. 37, 2012),
    which does not shrink to zero width where the runs agree everywhere. Test and interval are two methods, so near
    p = 0.05 they may disagree.

    >>> one, two = np.array([1] * 10 + [0] * 10), np.array([1] * 8 + [0] * 2 + [1] * 9 + [0])
    >>> found = mcnemar(one, two)  # right in the first run alone: 2, in the other alone: 9
    >>> round(found.value, 3), round(found.p, 4), [round(end, 3) for end in found.interval]
    (0.35, 0.0654, [0.026, 0.611])
    """
    lost, won = _discordant(first, other)
    centre, stderr = _bonett_price(first, other)
    interval = (max(-1.0, centre - Z95 * stderr), min(1.0, centre + Z95 * stderr))
    p = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return Difference((won - lost) / len(first), interval, p, "exact McNemar")


def jackknife_difference(
    first_nF: np.ndarray,
    other_nF: np.ndarray,
    clusters: Sequence[str],
    statistic: Callable[[np.ndarray], np.ndarray],
) -> Difference:
    """Test the difference of a smooth statistic of column means, by the delete-one-cluster jackknife.

    Both runs' samples of a cluster are left out together. Where samples share clusters the reference distribution is
    Student's t on the number of clusters minus one, else the normal distribution.

    Args:
        first_nF: the first run's values, a row a sample.
        other_nF: the other run's values, of the same shape and order.
        clusters: n names; an empty name is a cluster of its own.
        statistic: of means (..., F), along the last axis.
    """
    width = first_nF.shape[1]
    both = np.hstack([first_nF, other_nF])
    found = cluster_jackknife(
        both, clusters, lambda means: statistic(means[..., width:]) - statistic(means[..., :width])
    )
    if found.stderr is None:
        return Difference(found.value, flags=("one_scene",))
    n_clusters = _cluster_numbers(clusters)[1]
    freedom = math.inf if n_clusters == len(clusters) else n_clusters - 1
    return t_difference(found.value, found.stderr, freedom, "jackknife")


def t_difference(value: float, stderr: float, freedom: float, method: str, limit: float = math.inf) -> Difference:
    """Return a difference with Student's t interval and p-value.

    Args:
        value: the difference.
        stderr: its standard error. Where it is 0 there is neither interval nor p-value; the difference is flagged
            `identical` if it is 0 too, else `no_spread`.
        freedom: degrees of freedom; infinite for the normal distribution.
        method: name of the test.
        limit: the largest possible absolute difference; the interval is clipped to it.

    >>> round(t_difference(2.262, 1.0, 9, "jackknife").p, 3)
    0.05
    """
    if stderr <= 1e-12 * max(1.0, abs(value)):
        return Difference(value, method=method, flags=("no_spread",) if abs(value) > 1e-9 else ("identical",))
    low, high = t_interval(value, stderr, freedom)
    interval = (max(-limit, low), min(limit, high))
    return Difference(value, interval, 2 * float(t.sf(abs(value) / stderr, freedom)), method)


def t_interval(value: float, stderr: float, freedom: float) -> tuple[float, float]:
    """Return the 95 % interval `value` -/+ t(0.975, freedom) * stderr.

    >>> [round(end, 2) for end in t_interval(0.0, 1.0, 9)]
    [-2.26, 2.26]
    """
    reach = float(t.ppf(0.975, freedom)) * stderr
    return value - reach, value + reach


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for multiple testing (Holm, Scand. J. Stat. 6, 1979).

    The family-wise error rate is controlled: of tables in which nothing differs, at most 5 % have any adjusted value
    under 0.05. None stands for a row that was not tested; it is kept and does not count.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = highest
    return adjusted


def _cluster_numbers(clusters: Sequence[str]) -> tuple[list[int], int]:
    """Number the clusters in order of appearance; an empty name is a cluster of its own."""
    names = [cluster or index for index, cluster in enumerate(clusters)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names], len(numbers)


def _ratio(terms: RatioTerms) -> float:
    return float(terms.numerators.sum() / terms.denominators.sum())


def _linearised_residuals(terms: RatioTerms) -> np.ndarray:
    """Each unit's contribution to the error of the ratio, linearised (Cochran, Sampling Techniques, eq. 11.12)."""
    left: np.ndarray = terms.numerators - _ratio(terms) * terms.denominators
    return left / terms.denominators.sum()


def _discordant(first: np.ndarray, other: np.ndarray) -> tuple[int, int]:
    """Count the units that only the first run has right, and those that only the other has right."""
    return int(((first == 1) & (other == 0)).sum()), int(((first == 0) & (other == 1)).sum())


def _bonett_price(first: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Centre and standard error of Bonett and Price's interval: one pseudo-count in each discordant cell."""
    n = len(first)
    lost, won = ((count + 1) / (n + 2) for count in _discordant(first, other))
    return won - lost, math.sqrt((won + lost - (won - lost) ** 2) / (n + 2))
