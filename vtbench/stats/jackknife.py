"""The jackknife, leaving out one cluster or one group at a time: intervals of statistics that have no formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from vtbench.stats.estimate import Estimate, cluster_numbers, t_interval, t_p_value

Statistic = Callable[[np.ndarray], np.ndarray]
"""A smooth statistic of means (..., F), along the last axis."""


def jackknife_stderr(replicates: Sequence[float]) -> float:
    """Return the standard error of an estimate from its replicates.

    SE² = (G − 1) / G Σ_g (θ_g − mean θ)², θ_g being the estimate without cluster g, or without group g of G groups of
    nearly equal size (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, eq. 11.5; Kott, Journal of Official
    Statistics 17:521, 2001).

    >>> round(jackknife_stderr([1.0, 2.0, 3.0, 2.0]), 3)
    1.225
    """
    theta_G = np.asarray(replicates, dtype=float)
    groups = len(theta_G)
    return math.sqrt((groups - 1) / groups * float(np.square(theta_G - theta_G.mean()).sum()))


def jackknife(value: float, replicates: Sequence[float], n: int = 0, widen: float = 1.0) -> Estimate:
    """Return an estimate with the interval of its replicates: Student's t on their number minus one.

    Args:
        value: the estimate from all data.
        replicates: the estimate without each cluster, or group of clusters, in turn.
        n: number of samples.
        widen: factor on the standard error, where measured coverage asks for one.

    Returns:
        standard error and interval None from fewer than two replicates.
    """
    groups = len(replicates)
    if groups < 2:
        return Estimate(value, n=n, clusters=groups)
    stderr = widen * jackknife_stderr(replicates)
    return Estimate(value, stderr, t_interval(value, stderr, groups - 1), n, groups)


def jackknife_of_means(values_nF: np.ndarray, clusters: Sequence[str], statistic: Statistic) -> Estimate:
    """Estimate a smooth statistic of column means, leaving out one cluster at a time.

    Args:
        values_nF: (n, F), one row per sample.
        clusters: n names; an empty name is a cluster of its own.
        statistic: of means (..., F), along the last axis.

    >>> found = jackknife_of_means(np.array([[0.0], [1.0], [2.0]]), ["", "", ""], lambda means: means[..., 0])
    >>> found.value, round(found.stderr, 3)
    (1.0, 0.577)
    """
    number_n, groups = cluster_numbers(clusters)
    value = float(statistic(values_nF.mean(axis=0)))
    if groups < 2:
        return jackknife(value, [0.0] * groups, len(values_nF))
    sums_GF = np.zeros((groups, values_nF.shape[1]))
    np.add.at(sums_GF, number_n, values_nF)
    left_G = len(number_n) - np.bincount(number_n)
    return jackknife(value, statistic((values_nF.sum(axis=0) - sums_GF) / left_G[:, None]).tolist(), len(values_nF))


def jackknife_difference(
    ours_nF: np.ndarray, theirs_nF: np.ndarray, clusters: Sequence[str], statistic: Statistic
) -> Estimate:
    """Estimate and test the difference of a statistic of two runs on the same samples, `ours` less `theirs`.

    Both runs' samples of a cluster are left out together.

    Args:
        ours_nF: one run's values, one row per sample.
        theirs_nF: the other run's values, of the same shape and order.
        clusters: n names; an empty name is a cluster of its own.
        statistic: of means (..., F), along the last axis.
    """
    width = ours_nF.shape[1]
    both = np.hstack([ours_nF, theirs_nF])
    return t_test(
        jackknife_of_means(both, clusters, lambda means: statistic(means[..., :width]) - statistic(means[..., width:]))
    )


def t_test(found: Estimate) -> Estimate:
    """Test a jackknifed difference against 0 by its own Student's t, so that p-value and interval agree.

    Returns:
        neither interval nor p-value where there is no variance: flagged `identical` if the difference is 0 too, else
        `no_spread`; `one_scene` from a single cluster.

    >>> round(t_test(Estimate(2.262, 1.0, (0.0, 4.524), clusters=10)).p, 3)
    0.05
    """
    value, stderr = found.value, found.stderr
    if value is None or stderr is None:
        return replace(found, flags=("one_scene",))
    if stderr <= 1e-12 * max(1.0, abs(value)):
        flags = ("no_spread",) if abs(value) > 1e-9 else ("identical",)
        return replace(found, interval=None, test="jackknife", flags=flags)
    return replace(found, p=t_p_value(value / stderr, found.clusters - 1), test="jackknife")
