"""How much a number changes over ordered groups, whether that is less than a margin, and what could have been shown.

The change is the slope of a straight line through the groups' means, times the number of steps from the first group to
the last: what a trend test looks for, in the number's own unit. Nothing here knows about models or claims.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import stdtr, stdtrit

from vtbench_study.trend_tests import jonckheere_p

SIGNIFICANCE_LEVEL = 0.05
POWER = 0.8
DRAWS = 4000
"""Data sets drawn for a power: its standard error is 0.006 at 0.8."""


@dataclass(frozen=True, slots=True)
class Change:
    """The change from the first group to the last along the fitted line.

    Attributes:
        value: in the number's unit.
        stderr: standard error.
        df: Satterthwaite's degrees of freedom.
    """

    value: float
    stderr: float
    df: float

    def interval(self, level: float) -> tuple[float, float]:
        """Return the two-sided interval of a level, as 0.95."""
        half = self.stderr * float(stdtrit(self.df, 0.5 + level / 2))
        return self.value - half, self.value + half

    def equivalence_p(self, margin: float) -> float:
        """Return the p-value of two one-sided tests that the true change is within -margin and margin.

        The larger of the p-values against a change of -margin or less and of margin or more (Schuirmann, "A comparison
        of the two one-sided tests procedure", J. Pharmacokinetics and Biopharmaceutics 15:657, 1987). It is under 0.05
        exactly where the 90 % interval lies within the margin.
        """
        if self.stderr == 0:
            return 0.0 if abs(self.value) < margin else 1.0
        return float(stdtr(self.df, (abs(self.value) - margin) / self.stderr))

    def equivalence_power(self, margin: float) -> float:
        """Return the probability that `equivalence_p` is under 0.05 where nothing changes, at this standard error."""
        if self.stderr == 0:
            return 1.0
        allowed = margin / self.stderr - float(stdtrit(self.df, 1 - SIGNIFICANCE_LEVEL))
        return max(0.0, 2 * float(stdtr(self.df, allowed)) - 1)


def linear_change(
    groups: Sequence[Sequence[float]], shared: Sequence[tuple[float, float]] | None = None
) -> Change | None:
    """Return the change over groups of values, each group with a variance of its own.

    Args:
        groups: values from the first to the last group, each with an equal weight in the line.
        shared: of each group, the variance of an error that all its values share, as from images that they share, and
            its degrees of freedom; none by default.

    Returns:
        None for fewer than two groups, or a group of fewer than two values.

    >>> found = linear_change([[0.1, 0.3], [0.2, 0.4], [0.3, 0.5]])
    >>> round(found.value, 3), round(found.stderr, 3), round(found.df, 3)
    (0.2, 0.141, 2.0)
    """
    if len(groups) < 2 or min(len(group) for group in groups) < 2:
        return None
    places = np.arange(len(groups)) - (len(groups) - 1) / 2
    weights = (places * (len(groups) - 1) / (places @ places)).tolist()
    parts = [
        (weight**2 * float(np.var(group, ddof=1)) / len(group), len(group) - 1.0)
        for weight, group in zip(weights, groups, strict=True)
    ]
    parts += [(weight**2 * variance, df) for weight, (variance, df) in zip(weights, shared or (), strict=False)]
    total = sum(variance for variance, _ in parts)
    df = total**2 / sum(variance**2 / of for variance, of in parts) if total > 0 else 1.0
    value = sum(weight * float(np.mean(group)) for weight, group in zip(weights, groups, strict=True))
    return Change(value, math.sqrt(total), df)


def pooled_deviation(groups: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation within groups, pooled; None where no group has two values.

    >>> round(pooled_deviation([[1.0, 3.0], [5.0, 7.0], [2.0], []]), 3)
    1.414
    """
    freedom = sum(max(len(group) - 1, 0) for group in groups)
    if freedom < 1:
        return None
    return math.sqrt(
        sum((len(group) - 1) * float(np.var(group, ddof=1)) for group in groups if len(group) > 1) / freedom
    )


@lru_cache
def detectable_change(sizes: tuple[int, ...]) -> float | None:
    """Return the change that Jonckheere's test finds with a power of 0.8, in standard deviations within groups.

    By 4,000 data sets (seeded) of normal values around a straight line. None if the test can find nothing.

    Args:
        sizes: of the groups.
    """
    pairs = sum(a * b for i, a in enumerate(sizes) for b in sizes[i + 1 :])
    critical = next(
        (j for j in range(math.ceil(pairs / 2), pairs + 1) if jonckheere_p(j, sizes) < SIGNIFICANCE_LEVEL), 0
    )
    if not critical:
        return None
    noise = np.random.default_rng(0).standard_normal((DRAWS, sum(sizes)))
    place = np.repeat(np.arange(len(sizes)), sizes)
    first, second = np.nonzero(place[:, None] < place[None, :])
    gap = (place[second] - place[first]) / (len(sizes) - 1)
    difference = noise[:, second] - noise[:, first]

    def power(change: float) -> float:
        statistics = (difference + change * gap > 0).sum(axis=1)
        return float(((statistics >= critical) | (statistics <= pairs - critical)).mean())

    low, high = 0.0, 1.0
    while power(high) < POWER:
        low, high = high, 2 * high
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high
