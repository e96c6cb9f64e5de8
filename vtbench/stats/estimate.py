"""Uncertainty of a share: numbers a sample in, value with standard error and 95 % interval out.

Every score here is a ratio of sums over samples: an accuracy is right / asked, an F1 is 2 x right / (said + true). So
one estimator serves them all, nothing empty has to be dropped, and samples that share a scene are one unit of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm, t

from vtbench.types import Score

if TYPE_CHECKING:
    from collections.abc import Mapping

Z95 = float(norm.ppf(0.975))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio and how sure it is. `clusters` is the number of independent units behind it."""

    value: float | None
    stderr: float | None
    interval: tuple[float, float] | None
    n: int
    clusters: int

    def score(
        self,
        *,
        chance: float | None = None,
        flags: tuple[str, ...] = (),
        detail: Mapping[str, Any] | None = None,
        percent: bool = True,
    ) -> Score:
        """Return it as a `Score`."""
        return Score(self.value, self.stderr, self.interval, self.n, chance, flags, dict(detail or {}), percent)


def wilson(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Return Wilson's score interval of a share observed in `n` independent trials.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927). It holds near 0 and
    1 too, where value +- 1.96 standard errors does not.
    """
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (max(0.0, float(centre - half)) if share > 0 else 0.0, min(1.0, float(centre + half)) if share < 1 else 1.0)


def ratio(numerators: Sequence[float], denominators: Sequence[float], clusters: Sequence[str]) -> Estimate:
    r"""Estimate sum(numerators) / sum(denominators), a share in [0, 1], with samples clustered by scene.

    Standard error by linearisation, with G clusters and residual sums e_g = sum over the cluster of (num - R den):
    SE^2 = G / (G - 1) * sum_g e_g^2 / (sum den)^2   (Cochran, Sampling Techniques, 3rd ed., eq. 11.12).
    With every sample its own cluster and denominators of 1 that is the usual s / sqrt(n).

    The interval is Wilson's at the effective size R (1 - R) / SE^2 (Korn and Graubard, Survey Methodology 24, 1998),
    with Student's t on G - 1 degrees of freedom for the normal quantile where samples do share clusters. The effective
    size never exceeds the sum of denominators, so that the interval is never narrower than that of independent
    answers. Where SE is 0 and says nothing (all right, all wrong, the answers of each pair cancel) it is the number of
    clusters.

    Args:
        numerators: one a sample, each between 0 and its denominator.
        denominators: one a sample, not negative.
        clusters: one a sample; an empty name is a cluster of its own.

    Returns:
        value None where the denominators sum to 0; standard error and interval None where one cluster is all there is.
    """
    num, den = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    n, total = len(num), float(den.sum())
    names: list[Any] = [cluster or index for index, cluster in enumerate(clusters)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = len(numbers)
    if total == 0:
        return Estimate(None, None, None, n, groups)
    value = float(num.sum() / total)
    residuals = np.bincount([numbers[name] for name in names], weights=num - value * den, minlength=groups)
    clustered = groups < n
    if groups == 1:
        return Estimate(value, None, None if clustered else wilson(value, 1), n, groups)
    spread = float((residuals**2).sum()) / total**2
    stderr = float(np.sqrt(groups / (groups - 1) * spread))
    size = min(value * (1 - value) / spread if spread > 0 else groups, total)
    quantile = float(t.ppf(0.975, groups - 1)) if clustered else Z95
    return Estimate(value, stderr, wilson(value, size, quantile), n, groups)


def mean(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Estimate the mean of values in [0, 1]: `ratio` with denominators of 1.

    >>> mean([1, 0, 1, 1], ["", "", "", ""]).value
    0.75
    """
    return ratio(values, [1.0] * len(values), clusters)


def any_mean(values: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Estimate the mean of values of any range, with Student's t interval over clusters.

    >>> [round(end, 3) for end in any_mean([1, 2, 3, 4], ["a", "a", "b", "b"]).interval]
    [-10.206, 15.206]

    Returns:
        value None without values; standard error and interval None where one cluster is all there is.
    """
    if not len(values):
        return Estimate(None, None, None, 0, 0)
    names: list[Any] = [cluster or index for index, cluster in enumerate(clusters)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups, value = len(numbers), float(np.mean(values))
    if groups == 1:
        return Estimate(value, None, None, len(values), groups)
    sums = np.bincount([numbers[name] for name in names], weights=np.asarray(values, dtype=float) - value)
    stderr = float(np.sqrt(groups / (groups - 1) * np.square(sums).sum())) / len(values)
    reach = float(t.ppf(0.975, groups - 1)) * stderr
    return Estimate(value, stderr, (value - reach, value + reach), len(values), groups)


def difference(ours: Sequence[float], theirs: Sequence[float], clusters: Sequence[str]) -> Estimate:
    """Estimate the mean difference of two credits in [0, 1] of the same samples, `ours` less `theirs`.

    Where answers are right or wrong the standard error is at least that of Bonett and Price's adjusted interval (J.
    Educ. Behav. Stat. 37, 2012), which does not shrink to nothing where the two agree everywhere.

    >>> [round(end, 3) for end in difference([1, 1, 1, 0], [1, 1, 0, 0], [""] * 4).interval]
    [-0.643, 1.0]
    """
    apart = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    found = any_mean(apart.tolist(), clusters)
    if found.value is None or found.stderr is None:
        return found
    stderr, n = found.stderr, len(apart)
    if np.isin([ours, theirs], (0, 1)).all():
        won, lost = (int((apart > 0).sum()) + 1) / (n + 2), (int((apart < 0).sum()) + 1) / (n + 2)
        stderr = max(stderr, float(np.sqrt((won + lost - (won - lost) ** 2) / (n + 2))))
    reach = float(t.ppf(0.975, found.clusters - 1)) * stderr
    interval = (max(-1.0, found.value - reach), min(1.0, found.value + reach))
    return Estimate(found.value, stderr, interval, n, found.clusters)
