"""Tests for a trend over ordered groups and for a difference of two groups, in few values each.

Nothing here knows about models or claims: numbers go in, numbers come out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import rankdata, spearmanr, ttest_ind

PERMUTATIONS = 20_000
"""Permutations drawn for the p-value of `trend_correlation`."""


def welch_p(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return the two-sided p-value of Welch's t-test; None if a sample has fewer than two values, or neither varies."""
    if min(len(a), len(b)) < 2 or len({*a}) == len({*b}) == 1:
        return None
    return float(ttest_ind(a, b, equal_var=False).pvalue)


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
    counts = _jonckheere_counts(tuple(sizes))
    pairs = len(counts) - 1
    upper = max(math.floor(statistic), math.floor(pairs - statistic))
    upper = max(upper, math.ceil(pairs / 2))
    tail = sum(counts[upper:]) / sum(counts)
    return min(1.0, 2 * tail)


def smallest_jonckheere_p(sizes: Sequence[int]) -> float:
    """Return the smallest two-sided p-value that groups of these sizes can have: 2 / multinomial coefficient."""
    return 2 / (math.factorial(sum(sizes)) // math.prod(math.factorial(size) for size in sizes))


@lru_cache
def _jonckheere_counts(sizes: tuple[int, ...]) -> list[int]:
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
