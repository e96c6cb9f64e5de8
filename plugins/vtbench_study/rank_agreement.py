"""Do two measurements put models in the same order? Spearman's correlation, exact p-value, interval and power.

Numbers go in, numbers come out. Values of one model under several pairs of measurements (families) are not independent,
so that models are permuted and drawn as wholes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.stats import rankdata

from vtbench.stats import Z95
from vtbench_study.trend_size import POWER, SIGNIFICANCE_LEVEL

FEWEST = 4
"""Models under which nothing is said."""
_EXACT = 8
"""Most models of which all orders are tried."""
_DRAWN = 20_000
"""Orders that are drawn where there are more models, and ..."""
_RESAMPLED = 4_000
"""... resamples of the models for an interval of the mean over families."""
_FEWEST_RESAMPLED = 8
"""Models from which on a resample says something."""
_SIMULATED = 4_000
"""Data sets for the power."""


@dataclass(frozen=True, slots=True)
class RankAgreement:
    """How well one order of models agrees with another.

    Attributes:
        models: number of models that have all values.
        rho: Spearman's rank correlation, with midranks; the mean over families where there are several. None with fewer
            than four models, or where one side is constant.
        low: of the 95 % interval; None where it is not known.
        high: of the same.
        p: two-sided, over all orders of the models.
        detectable: the smallest correlation that such a number of models finds in four of five cases; None for a mean
            over families, whose spread depends on how alike these are, and where no order is significant.
        verdict: `carries over`, `reversed`, `not shown`, or `cannot tell`.
    """

    models: int
    rho: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    detectable: float | None = None
    verdict: str = "cannot tell"

    def row(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


def rank_agreement(x: Sequence[Sequence[float]], y: Sequence[Sequence[float]]) -> RankAgreement:
    """Return how well models keep their order from one measurement to another.

    Args:
        x: (models, families), one value for each model and family.
        y: (models, families), the other measurement of the same.
    """
    xs, ys = np.array(x, float), np.array(y, float)
    models = len(xs)
    rhos = _correlations(xs, ys) if models >= FEWEST else None
    if rhos is None:
        return RankAgreement(models)
    rho = float(rhos.mean())
    p = _permutation_p(xs, ys, rho)
    one = len(rhos) == 1
    low, high = _fisher_interval(rho, models) if one else _resampled_interval(xs, ys)
    if 2 / math.factorial(models) >= SIGNIFICANCE_LEVEL:  # not even the same order is significant
        return RankAgreement(models, rho, low, high, p)
    verdict = "not shown" if p >= SIGNIFICANCE_LEVEL else "carries over" if rho > 0 else "reversed"
    return RankAgreement(models, rho, low, high, p, detectable_correlation(models) if one else None, verdict)


@lru_cache
def detectable_correlation(models: int) -> float | None:
    """Return the smallest Spearman correlation that the test finds with a power of 80 %; None if it can find none.

    By 4,000 data sets (seeded) of models whose two values are bivariate normal, against the critical value of the
    permutation test itself. Where values are normal with Pearson correlation r, Spearman's is 6/π asin(r/2).

    >>> round(detectable_correlation(7), 2), detectable_correlation(4)
    (0.92, None)
    """
    ranks = np.arange(models) - (models - 1) / 2
    null = np.sort([abs(float(ranks @ ranks[order])) for order in _orders(models)])[::-1] / float(ranks @ ranks)
    most = math.ceil(SIGNIFICANCE_LEVEL * len(null)) - 1  # p < 0.05: that many orders may be as extreme
    critical = next((value for value in np.unique(null) if (null >= value - 1e-12).sum() <= most), None)
    if critical is None:
        return None
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((2, _SIMULATED, models))
    x_ranks = rankdata(x, axis=1) - (models + 1) / 2

    def power(pearson: float) -> float:
        y_ranks = rankdata(pearson * x + math.sqrt(1 - pearson**2) * noise, axis=1) - (models + 1) / 2
        rhos = (x_ranks * y_ranks).sum(axis=1) / float(ranks @ ranks)
        return float((np.abs(rhos) >= critical - 1e-12).mean())

    found = brentq(lambda pearson: power(pearson) - POWER, 0.0, 1.0, xtol=1e-4)
    return 6 / math.pi * math.asin(float(found) / 2)


def _correlations(xs_MF: np.ndarray, ys_MF: np.ndarray) -> np.ndarray | None:
    """Return Spearman's correlation of each family; None where a side of one is constant."""
    a, b = _centred_ranks(xs_MF), _centred_ranks(ys_MF)
    norms: np.ndarray = np.sqrt((a * a).sum(0) * (b * b).sum(0))
    return None if (norms == 0).any() else np.asarray((a * b).sum(0) / norms)


def _centred_ranks(values_MF: np.ndarray) -> np.ndarray:
    """Return the midranks of the models in each family, with their mean subtracted."""
    ranks: np.ndarray = rankdata(values_MF, axis=0)
    return ranks - ranks.mean(0)


def _permutation_p(xs_MF: np.ndarray, ys_MF: np.ndarray, rho: float) -> float:
    """Return the share of orders of the models whose mean correlation is at least as far from 0.

    Every model keeps its values of all families together. The observed order is counted among drawn ones.
    """
    a, b = _centred_ranks(xs_MF), _centred_ranks(ys_MF)
    b = b / np.sqrt((a * a).sum(0) * (b * b).sum(0)) / b.shape[1]
    cross_MM = a @ b.T  # a sum over families: an order of models is then a sum over its entries
    rows, exact = np.arange(len(a)), len(a) <= _EXACT
    extreme = sum(abs(float(cross_MM[rows, order].sum())) >= abs(rho) - 1e-12 for order in _orders(len(a)))
    return extreme / math.factorial(len(a)) if exact else (extreme + 1) / (_DRAWN + 1)


def _orders(models: int) -> Iterator[np.ndarray]:
    if models <= _EXACT:
        yield from map(np.array, permutations(range(models)))
        return
    rng = np.random.default_rng(0)
    for _ in range(_DRAWN):
        yield rng.permutation(models)


def _fisher_interval(rho: float, models: int) -> tuple[float, float]:
    """Return the 95 % interval by Fisher's z with standard error sqrt((1 + rho² / 2) / (n - 3)).

    Bonett and Wright, Psychometrika 65:23 (2000). A correlation of ±1, whose z is infinite, is put half a step of
    attainable values inside.
    """
    inside = 1 - 3 / (models**3 - models)
    z = math.atanh(max(-inside, min(inside, rho)))
    half = Z95 * math.sqrt((1 + rho**2 / 2) / (models - 3))
    return math.tanh(z - half), math.tanh(z + half)


def _resampled_interval(xs_MF: np.ndarray, ys_MF: np.ndarray) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the mean over families: percentiles over models drawn with replacement."""
    models = len(xs_MF)
    if models < _FEWEST_RESAMPLED:
        return None, None
    rng = np.random.default_rng(0)
    drawn = (rng.integers(models, size=models) for _ in range(_RESAMPLED))
    found = [rhos.mean() for rows in drawn if (rhos := _correlations(xs_MF[rows], ys_MF[rows])) is not None]
    if len(found) < _RESAMPLED / 2:
        return None, None
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
