"""General statistics of estimates: jackknife standard errors, Student's t intervals, convergence over half-samples.

Nothing here knows about tokens, images or mutual information; everything works on plain values, replicates and
clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm, t

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """A value with its standard error and 95 % interval."""

    value: float
    stderr: float | None
    """None where the interval has no standard error of its own (Fieller's), or from a single cluster."""
    interval: tuple[float, float] | None
    """95 %; None from a single cluster."""


def group_jackknife(values_T: Tensor, groups: int) -> Tensor:
    """Return the standard error of the delete-a-group jackknife.

    SE² = (G − 1) / G Σ_g (θ_g − mean θ)², θ_g being the estimate without group g of G groups of nearly equal size (Kott
    2001, Journal of Official Statistics 17:521).

    Args:
        values_T: (T, ...) the estimate from all data, then the G replicates; what follows is ignored.
        groups: G.

    >>> import torch
    >>> round(float(group_jackknife(torch.tensor([0.0, 1.0, 2.0, 3.0, 2.0]), 4)), 3)
    1.225
    """
    replicates = values_T[1 : groups + 1]
    spread = (replicates - replicates.mean(dim=0)).square().sum(dim=0)
    return ((groups - 1) / groups * spread).sqrt()


def t_interval(value: float, stderr: float, freedom: float) -> tuple[float, float]:
    """Return the 95 % interval value ± t · SE, t being the 97.5 % quantile of Student's t.

    Args:
        value: the estimate.
        stderr: its standard error.
        freedom: degrees of freedom; infinity gives the normal quantile.

    >>> [round(end, 3) for end in t_interval(0.5, 0.1, freedom=9)]
    [0.274, 0.726]
    """
    quantile = norm.ppf(0.975) if np.isinf(freedom) else t.ppf(0.975, freedom)
    reach = float(quantile) * stderr
    return value - reach, value + reach


def unconverged(value: float, half: float | None, stderr: float) -> bool:
    """Whether an estimate differs from the mean of the same estimate on both halves by over 2 standard errors.

    The mean over two halves has the larger bias of a sample of half the size, but hardly more noise than the estimate
    from all data, so the difference shows bias.

    Args:
        value: the estimate from all data.
        half: the mean of the estimates from two disjoint halves; None where the halves are too small, which counts as
            unconverged.
        stderr: standard error of `value`.
    """
    return half is None or abs(half - value) > 2 * stderr


def below_noise(values_T: Tensor, groups: int, null_spread: float = 0.0) -> bool:
    """Whether an estimate is under 3 standard errors, by the jackknife or by its spread under a null, if larger.

    Args:
        values_T: (T,) as in `group_jackknife`.
        groups: number of replicates.
        null_spread: standard deviation of the estimate under the null.
    """
    return float(values_T[0]) < 3 * max(float(group_jackknife(values_T, groups)), null_spread)


def cluster_jackknife(
    values_nF: np.ndarray, clusters: Sequence[str], statistic: Callable[[np.ndarray], np.ndarray]
) -> IntervalEstimate:
    """Estimate a smooth statistic of column means, with the interval of the delete-one-cluster jackknife.

    SE² = (G − 1) / G Σ_g (θ_g − mean θ)², where θ_g leaves out cluster g of G (Efron and Tibshirani, An Introduction to
    the Bootstrap, 1993, eq. 11.5). As in `vtbench.stats`, samples of one cluster are one unit, and where
    any share a cluster the interval takes Student's t on G − 1 degrees of freedom instead of the normal quantile.

    Args:
        values_nF: (n, F), a row a sample.
        clusters: n names; an empty name is a cluster of its own.
        statistic: of means (..., F), along the last axis.

    >>> found = cluster_jackknife(np.array([[0.0], [1.0], [2.0]]), ["", "", ""], lambda means: means[..., 0])
    >>> found.value, round(found.stderr, 3)
    (1.0, 0.577)
    """
    names = [cluster or index for index, cluster in enumerate(clusters)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = len(numbers)
    value = float(statistic(values_nF.mean(axis=0)))
    if groups < 2:
        return IntervalEstimate(value, None, None)
    member = [numbers[name] for name in names]
    sums = np.zeros((groups, values_nF.shape[1]))
    np.add.at(sums, member, values_nF)
    left = len(names) - np.bincount(member)
    without = statistic((values_nF.sum(axis=0) - sums) / left[:, None])
    stderr = float(np.sqrt((groups - 1) / groups * np.square(without - without.mean()).sum()))
    freedom = float("inf") if groups == len(names) else groups - 1
    return IntervalEstimate(value, stderr, t_interval(value, stderr, freedom))


def cluster_mean(values_n: np.ndarray, clusters: Sequence[str]) -> IntervalEstimate:
    """Estimate the mean of values of any range by `cluster_jackknife`."""
    return cluster_jackknife(values_n[:, None], clusters, lambda means: means[..., 0])
