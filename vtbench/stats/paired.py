r"""The difference of two runs' scores on the same samples: one method for its interval and its p-value.

Each sample contributes a difference d_i in [-1, 1]. W and L are the sums of the positive and of the negative ones; of
right or wrong answers, they count the samples that only one of the runs has right. The test is McNemar's, z = (W - L) /
sqrt(W + L). The interval is Tango's, which holds the differences that the same score test does not reject. It leaves
out 0 exactly where p < 0.05, so interval and p-value agree.

Samples that share scenes, graded scores and ratios of sums enter with effective numbers: W, L and n are multiplied by
what the variance of independent right or wrong answers, ((W + L) / n - D^2) / n, is to the variance over scenes (Rao
and Scott, Biometrics 48, 1992). `benchmarks/interval_coverage.py` compares the method with others (docs/scoring.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vtbench.stats.estimate import Z95, Estimate, cluster_numbers, t_p_value, t_quantile

_BISECTIONS = 60
"""Halve an interval of length 2 to less than the spacing of floating-point numbers near 1."""


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
    def value(self) -> float:
        """The ratio."""
        return float(self.numerators.sum() / self.denominators.sum())

    @property
    def is_mean(self) -> bool:
        """Whether every denominator is 1."""
        return bool((self.denominators == 1).all())

    @property
    def is_binary(self) -> bool:
        """Whether every unit is either right (1 of 1) or wrong (0 of 1)."""
        return self.is_mean and bool(np.isin(self.numerators, (0, 1)).all())


def difference(ours: Sequence[float], theirs: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Estimate the mean difference of two runs' scores in [0, 1] of the same samples, `ours` less `theirs`.

    >>> found = difference([1] * 8 + [0] * 2 + [1] * 9 + [0], [1] * 10 + [0] * 10, [""] * 20)
    >>> round(found.value, 3), round(found.p, 4), [round(end, 3) for end in found.interval]
    (0.35, 0.0348, [0.027, 0.602])
    """
    ones = np.ones(len(clusters))
    terms = (RatioTerms(np.asarray(of, dtype=float), ones, tuple(clusters)) for of in (ours, theirs))
    return ratio_difference(*terms)


def ratio_difference(ours: RatioTerms, theirs: RatioTerms) -> Estimate:
    """Estimate how far one run's ratio of sums exceeds another's on the same units, and test whether it does.

    A unit's difference d_i is that of its scores, where these are means; else the difference of the ratios plus n times
    that of the unit's linearised residuals, so that the d_i average to the difference of the ratios (Cochran, Sampling
    Techniques, eq. 11.12). The normal quantile is taken for independent right or wrong answers, which is McNemar's
    test itself; Student's t on the number of clusters minus one for all others. As in `ratio`, the interval is never
    narrower than that of independent units, and where all d_i are equal and their variance says nothing, the
    effective number is that of clusters.

    Args:
        ours: the terms of one run.
        theirs: the other run's terms; the same units in the same order.

    Returns:
        value None, flagged `empty`, where the denominators of a run sum to 0; neither interval nor p-value, flagged
        `one_scene` or `one_sample`, where one cluster is all there is.

    >>> one = RatioTerms(np.array([1, 1, 0, 0]), np.ones(4), ("a", "a", "b", "b"))
    >>> two = RatioTerms(np.array([1, 1, 1, 0]), np.ones(4), ("a", "a", "b", "b"))
    >>> ratio_difference(two, one).value
    0.25
    """
    number_n, groups = cluster_numbers(ours.clusters)
    n, clustered = len(number_n), groups < len(number_n)
    if not ours.denominators.sum() or not theirs.denominators.sum():
        return Estimate(None, n=n, clusters=groups, flags=("empty",))
    value = ours.value - theirs.value
    if groups < 2:
        return Estimate(value, n=n, clusters=groups, flags=("one_scene",) if clustered else ("one_sample",))
    d_n = _unit_differences(ours, theirs)
    sums = np.bincount(number_n, weights=d_n - value, minlength=groups)
    by_cluster = groups / (groups - 1) * float(np.square(sums).sum()) / n**2
    independent = float(np.square(d_n - value).sum()) / n**2
    binary = ours.is_binary and theirs.is_binary
    exact = binary and not clustered
    won, lost = float(np.maximum(d_n, 0).sum()), float(np.maximum(-d_n, 0).sum())
    size: float = groups  # of independent units n; also where all d_n are equal, as their variance says nothing
    if not exact and np.ptp(d_n) > 1e-12 * max(1.0, abs(value)):
        size = ((won + lost) / n - value**2) / max(by_cluster, independent)
    freedom = math.inf if exact else groups - 1
    won, lost = won * size / n, lost * size / n
    low, high = tango(won, lost, size, t_quantile(freedom))
    name = ("McNemar" if binary else "paired score test") + (" by scene" if clustered else "")
    return Estimate(
        value,
        math.sqrt(max(by_cluster, independent)),
        (min(value, float(low)), max(value, float(high))),
        n,
        groups,
        mcnemar(won, lost, freedom),
        name,
    )


def mcnemar(won: float, lost: float, freedom: float = math.inf) -> float:
    """Return the p-value of McNemar's test that a run wins as many samples as it loses.

    z = (W - L) / sqrt(W + L), without a correction for continuity (McNemar, Psychometrika 12, 1947). It rejects as
    often as the mid-p version, and closer to 5 % than the exact one (Fagerland, Lydersen and Laake, BMC Medical
    Research Methodology 13, 2013).

    Args:
        won: number of samples that only this run has right.
        lost: number of those that only the other has right.
        freedom: degrees of freedom, of effective numbers; infinity gives McNemar's normal distribution.

    >>> round(mcnemar(86, 150), 6)  # Agresti, Categorical Data Analysis: approval of the prime minister
    3.1e-05
    """
    return t_p_value((won - lost) / math.sqrt(won + lost), freedom) if won + lost else 1.0


def tango(won: ArrayLike, lost: ArrayLike, n: ArrayLike, z: ArrayLike = Z95) -> tuple[np.ndarray, np.ndarray]:
    """Return Tango's score interval of (won - lost) / n, elementwise.

    It holds the differences D with (W - L - n D)^2 <= z^2 n (2 q + D - D^2), where q is the probability of a loss that
    is most likely under D (Tango, Statistics in Medicine 17, 1998). At D = 0 that is McNemar's test.

    Args:
        won: number of samples that only one run has right; need not be whole.
        lost: number of those that only the other has right.
        n: number of samples, at least `won + lost` where those are counts.
        z: quantile of the test statistic.

    >>> [round(float(end), 3) for end in tango(1, 7, 21)]  # Fagerland, Lydersen and Laake, Stat. Med. 33 (2014)
    [-0.517, -0.026]
    """
    won, lost, n, z = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (won, lost, n, z)))
    value = (won - lost) / n
    low, inside = np.full_like(value, -1.0), value.copy()
    high, within = np.full_like(value, 1.0), value.copy()
    for _ in range(_BISECTIONS):
        middle = (low + inside) / 2
        rejected = _tango_excess(middle, won, lost, n, z) > 0
        low, inside = np.where(rejected, middle, low), np.where(rejected, inside, middle)
        middle = (high + within) / 2
        rejected = _tango_excess(middle, won, lost, n, z) > 0
        high, within = np.where(rejected, middle, high), np.where(rejected, within, middle)
    return inside, within


def _tango_excess(d: np.ndarray, won: np.ndarray, lost: np.ndarray, n: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return by how much the squared score exceeds z^2 times its variance under the difference d."""
    b = (2 * n - won + lost) * d - won - lost
    c = -lost * d * (1 - d)
    root = np.sqrt(np.maximum(b * b - 8 * n * c, 0))
    # the larger root of 2 n q^2 + b q + c = 0, in the form that does not cancel
    loss = np.where(b > 0, -2 * c / np.where(b > 0, b + root, 1), (root - b) / (4 * n))
    variance = n * np.maximum(2 * loss + d * (1 - d), 0)
    excess: np.ndarray = np.square(won - lost - n * d) - z * z * variance
    return excess


def _unit_differences(ours: RatioTerms, theirs: RatioTerms) -> np.ndarray:
    """Return (n,) differences of the units, which average to the difference of the ratios."""
    if ours.is_mean and theirs.is_mean:
        return ours.numerators - theirs.numerators
    n = len(ours.numerators)
    own, other = (n * (of.numerators - of.value * of.denominators) / of.denominators.sum() for of in (ours, theirs))
    differences: np.ndarray = ours.value - theirs.value + own - other
    return differences
