"""Does a number fall from the simplest family to the most complex one? Values by family in, a tested trend out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

Verdict = Literal["reproduced", "not reproduced", "reversed", "cannot tell"]
Direction = Literal["falls", "rises"]
SIGNIFICANT = 0.05
RESAMPLES = 20_000


@dataclass(frozen=True, slots=True)
class Trend:
    """A claim about an order, tested.

    Attributes:
        statistic: Jonckheere's J: pairs of values from two families that rise with complexity, of `pairs`.
        p: its exact two-sided p-value; None with too few values for any to be under 0.05.
        rho: Spearman's rank correlation of value and complexity, and its two-sided permutation p-value, `rho_p`.
        means_ordered: whether the families' means stand exactly in the claimed order.
    """

    claimed: Direction
    verdict: Verdict
    statistic: float | None
    pairs: int
    p: float | None
    rho: float | None
    rho_p: float | None
    means_ordered: bool

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


def trend(groups: Sequence[Sequence[float | None]], claimed: Direction) -> Trend:
    """Test whether values move with the order of their groups.

    Args:
        groups: the values of each family, from the simplest to the most complex; None where unknown.
        claimed: what the paper says of them.

    Returns:
        `reproduced` where Jonckheere's test has p < 0.05 and the values move as claimed; `reversed` where they move
        the other way; `not reproduced` where they do not move; `cannot tell` where no p under 0.05 is possible.

    >>> trend([[0.9, 0.8], [0.7, 0.75], [0.5, 0.6], [0.4, 0.3]], "falls").verdict
    'reproduced'
    >>> trend([[0.9, 0.8], [0.7, 0.75], [0.5, 0.6], [0.4, 0.3]], "rises").verdict
    'reversed'
    """
    known = [[value for value in group if value is not None] for group in groups]
    known = [group for group in known if group]
    sizes = [len(group) for group in known]
    if len(known) < 2 or len(known) < len(groups) or _least_p(sizes) >= SIGNIFICANT:
        return Trend(claimed, "cannot tell", None, 0, None, None, None, False)
    statistic, pairs = jonckheere(known)
    p = jonckheere_p(statistic, sizes)
    rho, rho_p = spearman(known)
    way = "rises" if statistic > pairs / 2 else "falls"
    verdict: Verdict = "not reproduced" if p >= SIGNIFICANT else "reproduced" if way == claimed else "reversed"
    steps = np.diff([np.mean(group) for group in known])
    ordered = bool((steps < 0).all() if claimed == "falls" else (steps > 0).all())
    return Trend(claimed, verdict, statistic, pairs, p, rho, rho_p, ordered)


def jonckheere(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Return how many pairs of values from two groups rise with the groups' order, ties half, and the number of pairs.

    Jonckheere, "A distribution-free k-sample test against ordered alternatives", Biometrika 41:133 (1954).

    >>> jonckheere([[1, 2], [2, 3], [4]])
    (7.5, 8)
    """
    rises, pairs = 0.0, 0
    for i, lower in enumerate(groups):
        for higher in groups[i + 1 :]:
            rises += sum(0.5 if a == b else float(a < b) for a in lower for b in higher)
            pairs += len(lower) * len(higher)
    return rises, pairs


def jonckheere_p(statistic: float, sizes: Sequence[int]) -> float:
    """Return the exact two-sided p-value of J where all orders of the values are equally likely.

    J is a sum of independent Mann-Whitney statistics, of each group against all before it, whose counts are Gaussian
    binomial coefficients. With ties the p-value is that of the nearest count towards the middle.

    >>> round(jonckheere_p(0, [2, 2, 2, 2]) * 2520, 6)
    2.0
    """
    counts = _counts(sizes)
    pairs = len(counts) - 1
    far = max(math.floor(statistic), math.floor(pairs - statistic))
    far = max(far, math.ceil(pairs / 2))
    tail = sum(counts[far:]) / sum(counts)
    return min(1.0, 2 * tail)


def spearman(groups: Sequence[Sequence[float]]) -> tuple[float | None, float | None]:
    """Return Spearman's rank correlation of values with the number of their group, and its permutation p-value.

    The p-value is two-sided, from 20,000 drawn orders (seeded), the given one among them. None where all values are
    alike.
    """
    order = rankdata([number for number, group in enumerate(groups) for _ in group])
    values = rankdata([value for group in groups for value in group])
    a, b = order - order.mean(), values - values.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    if size == 0:
        return None, None
    rho = float(a @ b) / size
    draws = np.random.default_rng(0).permuted(np.tile(b, (RESAMPLES, 1)), axis=1) @ a / size
    as_far = int((np.abs(draws) >= abs(rho) - 1e-12).sum())
    return rho, (as_far + 1) / (RESAMPLES + 1)


def _least_p(sizes: Sequence[int]) -> float:
    arrangements = math.factorial(sum(sizes)) // math.prod(math.factorial(size) for size in sizes)
    return 2 / arrangements


def _counts(sizes: Sequence[int]) -> list[int]:
    """Return in how many arrangements J is 0, 1, 2, ...: the coefficients of the q-multinomial."""
    counts, before = [1], sizes[0]
    for size in sizes[1:]:
        counts = _times(counts, _binomial(before + size, size))
        before += size
    return counts


def _binomial(n: int, k: int) -> list[int]:
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


def _times(a: Sequence[int], b: Sequence[int]) -> list[int]:
    product = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] += x * y
    return product
