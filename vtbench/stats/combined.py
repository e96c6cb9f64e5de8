"""Means of estimates: over training seeds that see the same images, and over independent sets of images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from vtbench.stats.estimate import Estimate, t_interval


def mean_over_seeds(
    estimates: Sequence[Estimate], freedom: float, limits: tuple[float, float] = (-math.inf, math.inf)
) -> Estimate:
    """Estimate the mean over training seeds, with an interval that covers other seeds and other images.

    All seeds see the same images, so the error over images does not average out: SE² = SD² / k + mean(SE_image²). The
    interval is Student's t with Satterthwaite's degrees of freedom (Biometrics Bulletin 2:110, 1946), from k - 1 for
    the seeds and `freedom` for the images.

    Args:
        estimates: one per seed; `value` is None if unknown, and `stderr` is over images, or None if unknown.
        freedom: degrees of freedom of the standard errors over images.
        limits: smallest and largest possible value; the interval is clipped to them.

    Returns:
        `n` is the number of seeds with a value. Standard error and interval None for one seed without standard error.

    >>> found = mean_over_seeds([Estimate(x, 0.01) for x in (0.5, 0.6, 0.7)], freedom=9)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.6, 0.361, 0.839)
    """
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    k = len(values)
    if not values:
        return Estimate(None)
    value = float(np.mean(values))
    parts = [(float(np.var(values, ddof=1)) / k, k - 1.0)] if k > 1 else []
    variances = [estimate.stderr**2 for estimate in estimates if estimate.stderr is not None]
    parts += [(float(np.mean(variances)), freedom)] if variances else []
    if not parts:
        return Estimate(value, n=k, clusters=k)
    total = sum(variance for variance, _ in parts)
    combined = total**2 / sum(variance**2 / of for variance, of in parts) if total > 0 else 1.0
    return Estimate(value, math.sqrt(total), t_interval(value, math.sqrt(total), combined, limits), k, k)


def mean_of_independent(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of independent estimates, with standard error sqrt(sum of SE²) / n and without interval.

    The value is None if any is unknown, the standard error if any is unknown.

    >>> found = mean_of_independent([Estimate(0.2, 0.03), Estimate(0.4, 0.04)])
    >>> round(found.value, 3), found.stderr
    (0.3, 0.025)
    """
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    if not values or len(values) < len(estimates):
        return Estimate(None)
    stderrs = [estimate.stderr for estimate in estimates if estimate.stderr is not None]
    stderr = math.sqrt(sum(s**2 for s in stderrs)) / len(values) if len(stderrs) == len(values) else None
    return Estimate(sum(values) / len(values), stderr, n=len(values))
