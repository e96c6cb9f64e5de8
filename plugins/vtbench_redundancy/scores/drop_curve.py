"""S4, the drop curve: accuracy retained when only a fraction of the visual tokens is kept.

Samples have a score in [0, 1] with none, with some and with all of their visual tokens; `area` and `f95` summarise the
curve. It is the functional counterpart of the Redundancy Score, after the random deletion of visual tokens behind the
encoder in what is public of arXiv 2602.06914: where tokens are redundant, few of them are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.integrate import trapezoid

from vtbench.stats import Estimate, difference, jackknife_of_means, mean

FRACTIONS = (0.01, 0.05, 0.1, 0.25, 0.5)
"""Fractions of the visual tokens that are kept, between none and all."""
RETAINED = 0.95


def area(means: np.ndarray, fractions: Sequence[float] = FRACTIONS) -> np.ndarray:
    """Return the mean retention over log10 f, from the smallest of `fractions` to 1, by trapezoids.

    Retention is the share of what all tokens add to none that is left: (a_f - a_0) / (a_1 - a_0).

    Args:
        means: (..., F + 2) mean score a_f with no token, with each growing part of them, and with all.
        fractions: the F fractions.

    >>> area(np.array([0.4, 0.5, 0.7, 0.8]), [0.01, 0.1]).round(4)  # retention 0.25, 0.75, 1
    np.float64(0.6875)
    """
    at = np.log10([*fractions, 1.0])
    gained = means - means[..., :1]
    found: np.ndarray = trapezoid(gained[..., 1:] / gained[..., -1:], at) / (at[-1] - at[0])
    return found


def f95(gains: np.ndarray, fractions: Sequence[float] = FRACTIONS) -> float:
    """Return the smallest fraction such that it and every larger one retain 95 %.

    Retention between two measured fractions is linear in the fraction's logarithm. Where all of them retain enough the
    smallest is the answer, and an upper bound; where none does, the whole.

    Args:
        gains: (F + 1) for each part and for the whole, a_f - 0.05 a_0 - 0.95 a_1: at least 0 where 95 % are retained.
        fractions: the F fractions, growing.

    >>> round(f95(np.array([-0.45, -0.05, 0.05]), [0.01, 0.1]), 3)  # retention 0.5, 0.9, 1: half way from 0.1 to 1
    0.316
    """
    at = np.log10([*fractions, 1.0])
    short = np.flatnonzero(gains < 0)
    if len(short) == 0:
        return float(fractions[0])
    i = short[-1]
    if i == len(fractions):
        return 1.0
    share = gains[i] / (gains[i] - gains[i + 1])
    return float(10 ** (at[i] + share * (at[i + 1] - at[i])))


def area_estimate(score_nF: np.ndarray, clusters: Sequence[str], fractions: Sequence[float] = FRACTIONS) -> Estimate:
    """Return `area` of scores, a column each for none, the fractions and all, with the interval of the jackknife."""
    return jackknife_of_means(score_nF, clusters, lambda means: area(means, fractions))


def f95_estimate(score_nF: np.ndarray, clusters: Sequence[str], fractions: Sequence[float] = FRACTIONS) -> Estimate:
    """Return `f95` of scores in [0, 1], a column each for none, the fractions and all.

    Its interval holds the fractions that are not told apart from 95 %: f95 of the upper and of the lower ends of the
    gains' own intervals (Fieller, "Some problems in interval estimation", JRSS B 16, 1954). In simulated curves it
    covers 94 to 100 %, where a jackknife of log f95 covers 77 to 100 %.
    """
    gains_nF = score_nF[:, 1:] - (1 - RETAINED) * score_nF[:, :1] - RETAINED * score_nF[:, -1:]
    each = [mean(column.tolist(), clusters) for column in gains_nF.T]
    value = f95(np.array([gain.value for gain in each]), fractions)
    intervals = [gain.interval for gain in each if gain.interval]
    found = Estimate(value, n=len(score_nF), clusters=each[0].clusters)
    if not intervals:
        return found
    low, high = (f95(np.array(ends), fractions) for ends in zip(*intervals, strict=True))
    return replace(found, interval=(high, low))


def has_signal(score_nF: np.ndarray, clusters: Sequence[str]) -> bool:
    """Whether answers with all tokens are better than answers with none, by the interval of the mean difference."""
    return difference(score_nF[:, -1].tolist(), score_nF[:, 0].tolist(), clusters).low > 0
