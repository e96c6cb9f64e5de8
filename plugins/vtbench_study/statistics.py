"""The statistics of a study: means over seeds with intervals, and tests for a trend over ordered groups.

Nothing here knows about models or claims: numbers go in, numbers come out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata, spearmanr, t, ttest_ind

IMAGE_DF = 9
"""Degrees of freedom of a standard error over images: the jackknife has ten groups."""
PERMUTATIONS = 20_000
"""Permutations drawn for the p-value of `trend_correlation`."""


@dataclass(frozen=True, slots=True)
class SeedMean:
    """A mean over training seeds with its uncertainty. The field names are keys of study.json.

    Attributes:
        mean: over the seeds that have a value; None if none has.
        low, high: 95 % interval over seeds and images; None if neither standard error is known.
        seed_sd: standard deviation between seeds; None for one seed.
        image_se: standard error of the mean due to the choice of images.
        values: one per seed.
    """

    mean: float | None
    low: float | None
    high: float | None
    seed_sd: float | None
    image_se: float | None
    values: tuple[float | None, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self) | {"values": list(self.values)}


def mean_over_seeds(values: Sequence[float | None], stderrs: Sequence[float | None], bounded: bool = False) -> SeedMean:
    """Return the mean over seeds with an interval that covers other seeds and other images.

    All seeds see the same images, so the error over images does not average out: SE² = SD² / k + mean(SE_image²). The
    interval is Student's t with Satterthwaite's degrees of freedom (Biometrics Bulletin 2:110, 1946), from k - 1 for
    the seeds and 9 for the images.

    Args:
        values: one per seed; None if unknown.
        stderrs: the standard error of each value over images; None if unknown.
        bounded: whether values lie in [0, 1]; the interval is then clipped to it.

    >>> m = mean_over_seeds([0.5, 0.6, 0.7], [0.01, 0.01, 0.01])
    >>> round(m.mean, 3), round(m.low, 3), round(m.high, 3), round(m.seed_sd, 3)
    (0.6, 0.361, 0.839, 0.1)
    """
    known = [value for value in values if value is not None]
    if not known:
        return SeedMean(None, None, None, None, None, tuple(values))
    mean, k = float(np.mean(known)), len(known)
    sd = float(np.std(known, ddof=1)) if k > 1 else None
    variances = [stderr**2 for stderr in stderrs if stderr is not None]
    image_variance = float(np.mean(variances)) if variances else None
    parts = [(sd**2 / k, k - 1)] if sd is not None else []
    parts += [(image_variance, IMAGE_DF)] if image_variance is not None else []
    total = sum(variance for variance, _ in parts)
    if not parts:
        return SeedMean(mean, None, None, None, None, tuple(values))
    df = total**2 / sum(v**2 / part_df for v, part_df in parts) if total > 0 else 1.0
    half = float(t.ppf(0.975, df)) * math.sqrt(total)
    low, high = (max(0.0, mean - half), min(1.0, mean + half)) if bounded else (mean - half, mean + half)
    return SeedMean(mean, low, high, sd, None if image_variance is None else math.sqrt(image_variance), tuple(values))


def mean_of_independent(
    values: Sequence[float | None], stderrs: Sequence[float | None]
) -> tuple[float | None, float | None]:
    """Return the mean of independent estimates, and its standard error sqrt(sum of SE²) / n.

    The mean is None if any value is unknown, the standard error if any is unknown.

    >>> mean_of_independent([0.2, 0.4], [0.03, 0.04])
    (0.30000000000000004, 0.025)
    """
    if not values or any(value is None for value in values):
        return None, None
    known = [stderr for stderr in stderrs if stderr is not None]
    stderr = sum(stderr**2 for stderr in known) ** 0.5 / len(values) if len(known) == len(values) else None
    return sum(value for value in values if value is not None) / len(values), stderr


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are known; None if none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def stderr_of_interval(low: float | None, high: float | None) -> float | None:
    """Return the standard error behind a normal 95 % interval: its width / 3.92."""
    return None if low is None or high is None else (high - low) / 3.92


def welch_p(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return the two-sided p-value of Welch's t-test; None if a sample has fewer than two values."""
    return float(ttest_ind(a, b, equal_var=False).pvalue) if min(len(a), len(b)) > 1 else None


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Return Spearman's rank correlation and its two-sided p-value from Student's t.

    None for fewer than four pairs, or if one of the variables is constant.
    """
    if len(pairs) < 4 or len({a for a, _ in pairs}) < 2 or len({b for _, b in pairs}) < 2:
        return None
    rho, p = spearmanr(*zip(*pairs, strict=True))
    return float(rho), float(p)


def trend_correlation(groups: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """Return Spearman's rank correlation of values with the number of their group, and its permutation p-value.

    The p-value is two-sided, from 20,000 random permutations (seeded) and the observed order. None if all values are
    equal.
    """
    group_ranks = rankdata([number for number, group in enumerate(groups) for _ in group])
    value_ranks = rankdata([value for group in groups for value in group])
    a, b = group_ranks - group_ranks.mean(), value_ranks - value_ranks.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    if norm == 0:
        return None, None
    rho = float(a @ b) / norm
    permuted = np.random.default_rng(0).permuted(np.tile(b, (PERMUTATIONS, 1)), axis=1) @ a / norm
    as_extreme = int((np.abs(permuted) >= abs(rho) - 1e-12).sum())
    return rho, (as_extreme + 1) / (PERMUTATIONS + 1)


def jonckheere(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Return Jonckheere's J and the number of pairs of values from two different groups.

    J counts the pairs in which the value of the later group is larger, ties as one half. Jonckheere, "A
    distribution-free k-sample test against ordered alternatives", Biometrika 41:133 (1954).

    >>> jonckheere([[1, 2], [2, 3], [4]])
    (7.5, 8)
    """
    statistic, pairs = 0.0, 0
    for i, lower in enumerate(groups):
        for higher in groups[i + 1 :]:
            statistic += sum(0.5 if a == b else float(a < b) for a in lower for b in higher)
            pairs += len(lower) * len(higher)
    return statistic, pairs


def jonckheere_p(statistic: float, sizes: Sequence[int]) -> float:
    """Return the exact two-sided p-value of J for groups of these sizes, all orders of the values equally likely.

    J is a sum of independent Mann-Whitney statistics, of each group against all before it, whose counts are Gaussian
    binomial coefficients. A half-integer J (ties) gets the p-value of the nearest integer towards the middle.

    >>> round(jonckheere_p(0, [2, 2, 2, 2]) * 2520, 6)
    2.0
    """
    counts = _jonckheere_counts(sizes)
    pairs = len(counts) - 1
    upper = max(math.floor(statistic), math.floor(pairs - statistic))
    upper = max(upper, math.ceil(pairs / 2))
    tail = sum(counts[upper:]) / sum(counts)
    return min(1.0, 2 * tail)


def smallest_jonckheere_p(sizes: Sequence[int]) -> float:
    """Return the smallest two-sided p-value that groups of these sizes can have: 2 / multinomial coefficient."""
    return 2 / (math.factorial(sum(sizes)) // math.prod(math.factorial(size) for size in sizes))


def _jonckheere_counts(sizes: Sequence[int]) -> list[int]:
    """Return the number of arrangements with J = 0, 1, 2, ...: the coefficients of the q-multinomial."""
    counts, n_before = [1], sizes[0]
    for size in sizes[1:]:
        counts = _polynomial_product(counts, _gaussian_binomial(n_before + size, size))
        n_before += size
    return counts


def _gaussian_binomial(n: int, k: int) -> list[int]:
    """Return the coefficients of the Gaussian binomial [n choose k]_q, by its Pascal rule."""
    rows: dict[tuple[int, int], list[int]] = {}
    for m in range(n + 1):
        for j in range(min(m, k) + 1):
            if j in (0, m):
                rows[m, j] = [1]
                continue
            left, right = rows[m - 1, j - 1], [0] * j + rows[m - 1, j]
            length = max(len(left), len(right))
            rows[m, j] = [
                (left[i] if i < len(left) else 0) + (right[i] if i < len(right) else 0) for i in range(length)
            ]
    return rows[n, k]


def _polynomial_product(a: Sequence[int], b: Sequence[int]) -> list[int]:
    product = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product
