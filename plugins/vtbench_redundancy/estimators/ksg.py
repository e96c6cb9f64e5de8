"""Mutual information from nearest neighbours (KSG): no model of the dependence, but few coordinates.

It finds dependence that correlations of normal scores, and so the Gaussian copula, cannot show.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from vtbench_redundancy.errors import InputError

TIE = 1e-10
"""Standard deviation of the noise that breaks ties, in standard deviations of the coordinate."""


def ksg(x_np: np.ndarray, y_nq: np.ndarray, k: int = 3, seed: int = 0) -> float:
    """Estimate mutual information from the distances to k-th nearest neighbours.

    I(X;Y) = ψ(k) + ψ(n) − ⟨ψ(n_x + 1) + ψ(n_y + 1)⟩ (Kraskov, Stögbauer and Grassberger 2004, Physical Review E
    69:066138, eq. 8, their first algorithm). n_x counts the other rows that are nearer in x than the k-th neighbour is
    in x and y together, n_y the same in y; the norm is the maximum norm. Every coordinate is standardised first.

    Trust it with some thousand rows, on up to three coordinates a side. Independent data give 0 on average in any
    number of coordinates; but the more there are, the wider is a neighbourhood of k rows, and dependence finer than it
    is lost: the error is downwards. Strong dependence is fine dependence: rows must grow exponentially with the true
    value (Gao, Ver Steeg and Galstyan 2015, arXiv 1411.2003), and no estimate exceeds ψ(n) − ψ(k). Long tails and skew
    cost accuracy too, which `mutual_information` avoids: it takes normal scores first. docs/yardstick.md has figures.

    Ties have no nearest neighbour: as the paper advises, tiny noise is added, Gaussian of 1e-10 standard deviations,
    drawn from `seed`. Values that differ by more keep their order.

    Args:
        x_np: (n, p) one row an observation.
        y_nq: (n, q) the other variable of the same observations.
        k: which neighbour. More of them scatter less and miss more; the paper advises 2 to 4.
        seed: of the noise against ties.

    Returns:
        Nats; as it scatters about 0 for independent data, it can be negative.

    Raises:
        InputError: arrays that are not two tables of real numbers with equally many rows, values that are not finite
            (how many, and where), k below 1, not more than k rows.

    >>> x, noise = np.random.default_rng(0).standard_normal((2, 2000, 1))
    >>> y = x**2 + 0.5 * noise
    >>> round(float(np.corrcoef(x.T, y.T)[0, 1]), 2), round(ksg(x, y), 2)
    (-0.08, 0.8)
    """
    x, y = check_paired(x_np, y_nq)
    if not 1 <= k < len(x):
        raise InputError(f"k is {k} for {len(x)} rows; wanted at least 1 and fewer than there are rows")
    generator = np.random.default_rng(seed)
    x, y = (standardize(table) + TIE * generator.standard_normal(table.shape) for table in (x, y))
    both = np.hstack([x, y])
    reach = cKDTree(both).query(both, k + 1, p=np.inf)[0][:, -1]  # the row itself is its own nearest
    inside = np.nextafter(reach, 0)  # a ball holds its rim, where the k-th neighbour lies
    x_counts, y_counts = (
        cKDTree(table).query_ball_point(table, inside, p=np.inf, return_length=True) for table in (x, y)
    )  # with the row itself: n_x + 1, n_y + 1
    return float(digamma(k) + digamma(len(x)) - np.mean(digamma(x_counts) + digamma(y_counts)))


def check_paired(x_np: np.ndarray, y_nq: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check two variables of the same observations, and return them as float64 tables.

    Raises:
        InputError: as `ksg`.
    """
    tables = {"x": np.asarray(x_np), "y": np.asarray(y_nq)}
    for name, table in tables.items():
        if table.ndim != 2 or 0 in table.shape:
            hint = "; one coordinate is a column, as in x[:, None]" if table.ndim == 1 else ""
            raise InputError(f"{name} has shape {table.shape}; wanted (rows, coordinates){hint}")
        if table.dtype.kind not in "fiub":
            raise InputError(f"{name} holds {table.dtype}; wanted real numbers")
        bad = np.argwhere(~np.isfinite(table))
        if len(bad):
            first = ", ".join(map(str, bad[0]))
            raise InputError(
                f"{name} holds {len(bad)} values that are NaN or infinite, the first at [{first}]; leave those rows out"
            )
    x, y = tables.values()
    if len(x) != len(y):
        raise InputError(f"x has {len(x)} rows but y has {len(y)}; both must have one row an observation")
    return x.astype(np.float64), y.astype(np.float64)


def standardize(table: np.ndarray) -> np.ndarray:
    """Return columns of mean 0 and standard deviation 1; a constant column becomes zeros."""
    centred = table - table.mean(axis=0)
    varies = table.max(axis=0) > table.min(axis=0)
    return np.divide(centred, centred.std(axis=0), out=np.zeros_like(centred), where=varies)
