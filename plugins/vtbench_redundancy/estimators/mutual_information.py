"""Mutual information of any two variables, by the estimator of the Redundancy Score.

docs/yardstick.md compares this function with external benchmarks.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from vtbench_redundancy.errors import InputError
from vtbench_redundancy.estimators.gaussian import GroupSums, information
from vtbench_redundancy.estimators.image_groups import assign_groups
from vtbench_redundancy.estimators.ksg import check_paired, ksg, standardize
from vtbench_redundancy.estimators.normal_scores import normal_scores
from vtbench_redundancy.estimators.permutation_null import noisy_pixels
from vtbench_redundancy.protocol import MIN_IMAGES, Protocol

Estimator = Literal["gaussian", "ksg"]

JITTER = 1e-6
"""Added to the variances of x, for numerical rank only."""
ROWS = 2
"""The covariance of "gaussian" needs this many rows for each of its coordinates."""


def mutual_information(
    x: np.ndarray,
    y: np.ndarray,
    *,
    estimator: Estimator = "gaussian",
    permutations: int = 5,
    seed: int = 0,
) -> float:
    """Estimate the mutual information of two variables, in whatever units their coordinates are.

    Both estimators see normal scores of the coordinates (`copula.normal_scores`) and nothing else, so a monotone map of
    a coordinate changes next to nothing.

    "gaussian" is the estimator of `rs-v1` without its noise floor: log-determinants, in-sample and
    cross-validated (`gaussian.information`), less their mean over permutations of y. It is right where x and y have a
    Gaussian copula, in as many coordinates as the rows allow; it misses what correlations of normal scores do not show.
    A truth without bound, as between copies, becomes about 10 nats for each coordinate that is copied.

    "ksg" goes by nearest neighbours (`ksg.ksg` with k = 3). It finds dependence of any form, in up to three coordinates
    a side. It is right for independent data as it is, so it takes no permutations.

    Args:
        x: (n, p) one row an observation.
        y: (n, q) the other variable of the same observations.
        estimator: "gaussian" or "ksg".
        permutations: of y, whose mean is the bias that "gaussian" takes off; with 0 the bias stays.
        seed: of the folds and permutations of "gaussian", of the noise against ties of "ksg".

    Returns:
        Nats; as it scatters about 0 for independent data, it can be negative. 0 where all of x or all of y is constant.

    Raises:
        InputError: arrays that are not two tables of real numbers with equally many rows, values that are not finite
            (how many, and where), under 50 rows, for "gaussian" under two rows a coordinate, no such estimator.

    >>> x, noise = np.random.default_rng(0).standard_normal((2, 2000, 1))
    >>> round(mutual_information(x, np.exp(x + noise)), 2), round(float(np.log(2) / 2), 2)
    (0.34, 0.35)
    """
    if estimator not in get_args(Estimator):
        raise InputError(f"estimator is {estimator!r}; wanted one of {', '.join(get_args(Estimator))}")
    if permutations < 0:
        raise InputError(f"permutations is {permutations}; wanted 0 or more")
    x, y = check_paired(x, y)
    if len(x) < MIN_IMAGES:
        raise InputError(f"{len(x)} rows are too few for an estimate; give at least {MIN_IMAGES}, better 2,000")
    x_scores, y_scores = (normal_scores(torch.as_tensor(standardize(table))) for table in (x, y))
    if not x_scores.any() or not y_scores.any():
        return 0.0
    if estimator == "ksg":
        return ksg(x_scores.numpy(), y_scores.numpy(), seed=seed)
    return _gaussian(x_scores, y_scores, permutations, seed)


def _gaussian(x_np: Tensor, y_nq: Tensor, permutations: int, seed: int) -> float:
    """The estimator of the Redundancy Score, with x as the only token and y as the image at full resolution."""
    (n, p), q, groups_count = x_np.shape, y_nq.shape[1], Protocol().groups
    if n < ROWS * (p + q):
        raise InputError(f"{n} rows are too few for {p} and {q} coordinates; give at least {ROWS * (p + q)}, or ksg")
    groups = assign_groups(n, None, groups_count, seed)
    x_np, y_nq = x_np[groups.order], _whitened(y_nq[groups.order], JITTER)
    pixels = noisy_pixels(y_nq, groups.sizes, floor=0.0, permutations=permutations, seed=seed)
    every_group = torch.ones(1, groups_count, dtype=torch.float64)
    return float(information(GroupSums.of(x_np[:, None], pixels), every_group, JITTER).joint[0])


def _whitened(y_nq: Tensor, jitter: float) -> Tensor:
    """Return y as uncorrelated coordinates of variance 1, without copies and constants.

    Directions of less variance than the jitter are left out: x does not resolve them either.
    """
    values, axes = torch.linalg.eigh(y_nq.T @ y_nq / len(y_nq))
    kept = values > jitter
    return y_nq @ axes[:, kept] / values[kept].sqrt()
