"""Paired tests: two runs' numbers on the same samples in, their difference with interval and p-value out.

The difference is always the other run's value less the first one's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, norm, t

Z95 = float(norm.ppf(0.975))


@dataclass(frozen=True, slots=True)
class Reading:
    """One score of one run as a ratio of sums: a numerator and a denominator for each of its units."""

    numerators: np.ndarray
    """(n,) each between 0 and its denominator."""
    denominators: np.ndarray
    """(n,) not negative; all 1 where the score is a mean."""
    clusters: tuple[str, ...]
    """n names of what the unit belongs to; an empty name is a cluster of its own."""

    @property
    def binary(self) -> bool:
        """Whether every unit is simply right or wrong."""
        return bool((self.denominators == 1).all() and np.isin(self.numerators, (0, 1)).all())


@dataclass(frozen=True, slots=True)
class Difference:
    """How far apart two runs are. A number is None where it cannot be said; `flags` says why."""

    value: float | None
    interval: tuple[float, float] | None = None
    """95 %."""
    p: float | None = None
    """Two-sided; how often runs that are alike would be at least so far apart."""
    method: str = ""
    flags: tuple[str, ...] = ()


def difference(first: Reading, other: Reading) -> Difference:
    """Test whether two runs differ in one score, unit by unit.

    Right-or-wrong units of their own: exact McNemar. All others: the linearised difference of the two ratios, with
    units of one cluster summed, and Student's t on the number of clusters less one. With denominators of 1 and no
    shared clusters that is the paired t-test.

    Args:
        first: of the first run.
        other: of the other run; the same units in the same order.

    >>> one = Reading(np.array([1, 1, 0, 0]), np.ones(4), ("a", "a", "b", "b"))
    >>> two = Reading(np.array([1, 1, 1, 0]), np.ones(4), ("a", "a", "b", "b"))
    >>> difference(one, two).value
    0.25
    """
    if not first.denominators.sum() or not other.denominators.sum():
        return Difference(None, flags=("empty",))
    names = [cluster or index for index, cluster in enumerate(first.clusters)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    together = len(numbers) < len(names)
    binary = first.binary and other.binary
    if binary and not together:
        return mcnemar(first.numerators, other.numerators)
    groups = len(numbers)
    residuals = _residuals(other) - _residuals(first)
    sums = np.bincount([numbers[name] for name in names], weights=residuals, minlength=groups)
    value = _value(other) - _value(first)
    if groups < 2:
        return Difference(value, flags=("one_scene",) if together else ("one_sample",))
    stderr = math.sqrt(groups / (groups - 1) * float(np.square(sums).sum()))
    if binary:  # where the answers of every pair cancel, their spread is 0 and says nothing
        stderr = max(stderr, _discordance(first.numerators, other.numerators)[1])
    return by_error(value, stderr, groups - 1, "paired t by scene" if together else "paired t", limit=1.0)


def _value(reading: Reading) -> float:
    return float(reading.numerators.sum() / reading.denominators.sum())


def _residuals(reading: Reading) -> np.ndarray:
    """What each unit adds to the error of the ratio, by linearisation (Cochran, Sampling Techniques, eq. 11.12)."""
    left: np.ndarray = reading.numerators - _value(reading) * reading.denominators
    return left / reading.denominators.sum()


def by_error(value: float, stderr: float, freedom: float, method: str, limit: float = math.inf) -> Difference:
    """Return a difference with Student's t interval and p-value.

    Args:
        value: the difference.
        stderr: its standard error; 0 says nothing about chance, so there is neither interval nor p, flagged
            `identical` or `no_spread`.
        freedom: degrees of freedom, infinite for the normal distribution.
        method: how the error was found.
        limit: no difference can be larger.

    >>> round(by_error(2.262, 1.0, 9, "jackknife").p, 3)
    0.05
    """
    if stderr <= 1e-12 * max(1.0, abs(value)):
        return Difference(value, method=method, flags=("no_spread",) if abs(value) > 1e-9 else ("identical",))
    reach = float(t.ppf(0.975, freedom)) * stderr
    interval = (max(-limit, value - reach), min(limit, value + reach))
    return Difference(value, interval, 2 * float(t.sf(abs(value) / stderr, freedom)), method)


def mcnemar(first: np.ndarray, other: np.ndarray) -> Difference:
    """Exact McNemar test of two runs' right (1) and wrong (0) answers to the same independent questions.

    Under the null, the answers that only one run has right fall to either like a fair coin (McNemar, Psychometrika 12,
    1947). The interval is Bonett and Price's adjusted one (J. Educ. Behav. Stat. 37, 2012), which does not
    shrink to nothing where the runs agree everywhere. Test and interval are two methods: near 0.05 they may disagree.

    >>> one, two = np.array([1] * 10 + [0] * 10), np.array([1] * 8 + [0] * 2 + [1] * 9 + [0])
    >>> found = mcnemar(one, two)  # right in the first run alone: 2, in the other alone: 9
    >>> round(found.value, 3), round(found.p, 4), [round(end, 3) for end in found.interval]
    (0.35, 0.0654, [0.026, 0.611])
    """
    lost, won = int(((first == 1) & (other == 0)).sum()), int(((first == 0) & (other == 1)).sum())
    centre, stderr = _discordance(first, other)
    interval = (max(-1.0, centre - Z95 * stderr), min(1.0, centre + Z95 * stderr))
    p = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return Difference((won - lost) / len(first), interval, p, "exact McNemar")


def _discordance(first: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Centre and standard error of Bonett and Price: one answer more that only either run has right."""
    n = len(first)
    lost = (int(((first == 1) & (other == 0)).sum()) + 1) / (n + 2)
    won = (int(((first == 0) & (other == 1)).sum()) + 1) / (n + 2)
    return won - lost, math.sqrt((won + lost - (won - lost) ** 2) / (n + 2))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values of one table for their number (Holm, Scand. J. Stat. 6, 1979).

    At most 5 % of tables in which nothing differs then have any value under 0.05. None, where nothing was tested, does
    not count.

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
