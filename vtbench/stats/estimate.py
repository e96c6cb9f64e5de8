"""`Estimate`, the noun of all statistics, and Student's t interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from vtbench.types import Score

if TYPE_CHECKING:
    from collections.abc import Mapping

Z95 = float(ndtri(0.975))
"""97.5 % quantile of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error and 95 % interval, and the p-value where it was tested against 0.

    What cannot be computed is None, and `flags` says why.
    """

    value: float | None
    stderr: float | None = None
    interval: tuple[float, float] | None = None
    """95 %."""
    n: int = 0
    """Number of samples."""
    clusters: int = 0
    """Number of independent units that the samples form."""
    p: float | None = None
    """Two-sided p-value of the hypothesis that the true value is 0; None where that was not tested."""
    test: str = ""
    """Name of the test that `p` is from."""
    flags: tuple[str, ...] = ()

    @property
    def low(self) -> float:
        """Lower end of the interval; minus infinity without one."""
        return self.interval[0] if self.interval else -math.inf

    @property
    def high(self) -> float:
        """Upper end of the interval; infinity without one."""
        return self.interval[1] if self.interval else math.inf

    def rescaled(self, zero: float, one: float) -> Estimate:
        """Return it on the scale where `zero` becomes 0 and `one` 1, e.g. an accuracy relative to chance.

        >>> Estimate(0.75, 0.05, (0.625, 0.875)).rescaled(zero=0.5, one=1.0).row()
        {'value': 0.5, 'low': 0.25, 'high': 0.75}
        """
        length = one - zero
        return replace(
            self,
            value=None if self.value is None else (self.value - zero) / length,
            stderr=None if self.stderr is None else self.stderr / length,
            interval=((self.low - zero) / length, (self.high - zero) / length) if self.interval else None,
            p=None,
            test="",
        )

    def row(self) -> dict[str, float | None]:
        """Return `value`, `low` and `high`, as curves and documents store them; None without an interval.

        >>> Estimate(0.5, interval=(0.4, 0.6)).row()
        {'value': 0.5, 'low': 0.4, 'high': 0.6}
        """
        low, high = self.interval or (None, None)
        return {"value": self.value, "low": low, "high": high}

    def score(
        self,
        *,
        chance: float | None = None,
        flags: tuple[str, ...] = (),
        detail: Mapping[str, Any] | None = None,
        percent: bool = True,
    ) -> Score:
        """Return it as a `Score`, with `flags` after its own."""
        return Score(
            self.value, self.stderr, self.interval, self.n, chance, (*self.flags, *flags), dict(detail or {}), percent
        )


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t; of the normal distribution for infinitely many degrees of freedom."""
    return Z95 if math.isinf(freedom) else float(stdtrit(freedom, 0.975))


def t_p_value(statistic: float, freedom: float) -> float:
    """Return the two-sided p-value of a t statistic; of a normal one for infinitely many degrees of freedom."""
    return 2 * float(stdtr(freedom, -abs(statistic)))


def t_interval(
    value: float, stderr: float, freedom: float, limits: tuple[float, float] = (-math.inf, math.inf)
) -> tuple[float, float]:
    """Return the 95 % interval value ± t · SE, t being the 97.5 % quantile of Student's t.

    Args:
        value: the estimate.
        stderr: its standard error.
        freedom: degrees of freedom; infinity gives the normal quantile.
        limits: smallest and largest possible value; the interval is clipped to them.

    >>> [round(end, 3) for end in t_interval(0.5, 0.1, freedom=9)]
    [0.274, 0.726]
    """
    reach = t_quantile(freedom) * stderr
    return max(limits[0], value - reach), min(limits[1], value + reach)


def cluster_numbers(clusters: Sequence[str]) -> tuple[np.ndarray, int]:
    """Number the clusters in order of appearance, (n,), and count them; an empty name is a cluster of its own.

    >>> cluster_numbers(["b", "", "b", ""])
    (array([0, 1, 0, 2]), 3)
    """
    names: list[str | int] = [cluster or index for index, cluster in enumerate(clusters)]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.intp), len(numbers)


def sorted_cluster_numbers(clusters: Sequence[str]) -> np.ndarray:
    """Number the clusters in the order of their names, (n,), which does not depend on the order of the samples.

    An empty name is a cluster of its own.

    >>> sorted_cluster_numbers(["b", "a", "b"]), sorted_cluster_numbers(["b", "", "b", ""])
    (array([1, 0, 1]), array([0, 1, 0, 2]))
    """
    names = np.asarray(clusters, dtype=np.str_)
    named = names != ""
    numbers = np.empty(len(names), dtype=np.intp)
    numbers[named] = np.unique(names[named], return_inverse=True)[1]
    numbers[~named] = numbers[named].max(initial=-1) + 1 + np.arange(len(names) - named.sum())
    return numbers
