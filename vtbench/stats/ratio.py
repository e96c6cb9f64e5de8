"""Ratios of sums, proportions and means over samples in clusters, each with standard error and 95 % interval.

Almost every score is a ratio of sums over samples: an accuracy is right / asked, an F1 is 2 x right / (described +
true). One estimator serves them all, and samples with an empty denominator need no special case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vtbench.stats.estimate import Z95, Estimate, cluster_numbers, t_interval, t_quantile


def wilson(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's score interval of a share observed in `n` independent trials.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). It holds near 0 and
    1 too, where value +- 1.96 standard errors does not.

    >>> [round(end, 3) for end in wilson(0.0, 10)]
    [0.0, 0.278]
    """
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (max(0.0, float(centre - half)) if share > 0 else 0.0, min(1.0, float(centre + half)) if share < 1 else 1.0)


def ratio(
    numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[str], widen: float = 1.0
) -> Estimate:
    r"""Estimate sum(numerators) / sum(denominators), a share in [0, 1], with samples clustered by scene.

    Standard error by linearisation, with G clusters and residual sums e_g = sum over the cluster of (num - R den):
    SE^2 = G / (G - 1) * sum_g e_g^2 / (sum den)^2   (Cochran, Sampling Techniques, 3rd ed., eq. 11.12).
    With every sample its own cluster and denominators of 1 that is the usual s / sqrt(n).

    The interval is Wilson's at the effective size R (1 - R) / SE^2 (Korn and Graubard, Survey Methodology 24, 1998),
    with Student's t on G - 1 degrees of freedom for the normal quantile where samples do share clusters. The effective
    size never exceeds the sum of denominators, so that the interval is never narrower than that of independent
    answers. Where SE is 0 and says nothing (all right, all wrong, the answers of each pair cancel) it is the number of
    clusters.

    Args:
        numerators: one per sample, each between 0 and its denominator.
        denominators: one per sample, not negative.
        clusters: one per sample; an empty name is a cluster of its own.
        widen: factor on the standard error, for samples that depend on one another in more than their clusters.

    Returns:
        value None where the denominators sum to 0; standard error and interval None where one cluster is all there is.

    >>> ratio([2, 4, 1], [3, 4, 3], ["a", "b", "c"]).value
    0.7
    """
    num, den = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    n, total = len(num), float(den.sum())
    number_n, groups = cluster_numbers(clusters)
    if total == 0:
        return Estimate(None, n=n, clusters=groups)
    value = float(num.sum() / total)
    residuals = np.bincount(number_n, weights=num - value * den, minlength=groups)
    clustered = groups < n
    if groups == 1:
        return Estimate(value, None, None if clustered else wilson(value, 1), n, groups)
    variance = widen**2 * float((residuals**2).sum()) / total**2
    stderr = float(np.sqrt(groups / (groups - 1) * variance))
    size = min(value * (1 - value) / variance if variance > 0 else groups, total)
    interval = wilson(value, size, t_quantile(groups - 1 if clustered else math.inf))
    return Estimate(value, stderr, interval, n, groups)


def proportion(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Estimate the mean of values in [0, 1], right or wrong or in between: `ratio` with denominators of 1.

    Raises:
        ValueError: a value is outside [0, 1], where Wilson's interval is undefined; use `mean`.

    >>> proportion([1, 0, 1, 1], ["", "", "", ""]).value
    0.75
    """
    if not all(0 <= value <= 1 for value in values):
        raise ValueError("proportion takes values from 0 to 1; mean takes any")
    return ratio(values, [1.0] * len(values), clusters)


def mean(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Estimate the mean of values of any range, with Student's t interval over clusters.

    >>> [round(end, 3) for end in mean([1, 2, 3, 4], ["a", "a", "b", "b"]).interval]
    [-10.206, 15.206]

    Returns:
        value None without values; standard error and interval None where one cluster is all there is.
    """
    if not len(values):
        return Estimate(None)
    number_n, groups = cluster_numbers(clusters)
    value = float(np.mean(values))
    if groups == 1:
        return Estimate(value, n=len(values), clusters=groups)
    sums = np.bincount(number_n, weights=np.asarray(values, dtype=float) - value)
    stderr = float(np.sqrt(groups / (groups - 1) * np.square(sums).sum())) / len(values)
    return Estimate(value, stderr, t_interval(value, stderr, groups - 1), len(values), groups)
