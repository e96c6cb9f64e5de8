"""The test of a claimed trend: its verdict, its size beside a margin, and what so few models could have shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from vtbench.stats import Estimate
from vtbench_study.model_results import IMAGE_DF
from vtbench_study.trend_size import SIGNIFICANCE_LEVEL, detectable_change, linear_change, pooled_deviation
from vtbench_study.trend_tests import jonckheere, jonckheere_p, smallest_jonckheere_p, trend_correlation

Verdict = Literal["reproduced", "not reproduced", "reversed", "cannot tell"]
Direction = Literal["falls", "rises"]


@dataclass(frozen=True, slots=True)
class Trend:
    """The test of a claimed order. The field names are keys of study.json.

    Attributes:
        claimed: the paper's direction.
        verdict: see `trend_test`.
        statistic: Jonckheere's J: of `pairs` pairs of models of two families, those whose value rises with complexity.
        pairs: number of such pairs.
        p: exact two-sided p-value of J; None if no p-value below 0.05 is possible with so few models.
        rho: Spearman's rank correlation of value and complexity.
        rho_p: its two-sided permutation p-value.
        means_ordered: whether the families' means are strictly in the claimed order.
        change: of the number, from the simplest to the most complex family: the slope of a straight line through the
            families' means, times the steps between these families; None with a single model of a family.
        change_low, change_high: its 95 % interval.
        margin: change of RS that counts as none; None for a number that is no RS.
        within_low, within_high: the 90 % interval of the change, which two one-sided tests compare with the margin.
        equivalence_p: their p-value, against a change of the margin or more.
        equivalent: whether it is under 0.05.
        equivalence_power: probability of this verdict where nothing changes, at this standard error.
        seed_sd: standard deviation between seeds, pooled over the families.
        detectable: change that Jonckheere's test finds with a power of 0.8, with these seeds and this `seed_sd`.
    """

    claimed: Direction
    verdict: Verdict
    statistic: float | None
    pairs: int
    p: float | None
    rho: float | None
    rho_p: float | None
    means_ordered: bool
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    margin: float | None = None
    within_low: float | None = None
    within_high: float | None = None
    equivalence_p: float | None = None
    equivalent: bool | None = None
    equivalence_power: float | None = None
    seed_sd: float | None = None
    detectable: float | None = None

    def document(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


def trend_test(groups: Sequence[Sequence[float | None]], claimed: Direction) -> Trend:
    """Test whether values move with the order of their groups.

    Args:
        groups: the values of each family, from the simplest to the most complex; None if unknown.
        claimed: the paper's direction.

    Returns:
        The verdict is `reproduced` if Jonckheere's test has p < 0.05 and the values move as claimed, `reversed` if
        they move the other way, `not reproduced` for a larger p, and `cannot tell` if no p < 0.05 is possible.

    >>> trend_test([[0.9, 0.8], [0.7, 0.75], [0.5, 0.6], [0.4, 0.3]], "falls").verdict
    'reproduced'
    >>> trend_test([[0.9, 0.8], [0.7, 0.75], [0.5, 0.6], [0.4, 0.3]], "rises").verdict
    'reversed'
    """
    known = [[value for value in group if value is not None] for group in groups]
    known = [group for group in known if group]
    sizes = [len(group) for group in known]
    if len(known) < 2 or len(known) < len(groups) or smallest_jonckheere_p(sizes) >= SIGNIFICANCE_LEVEL:
        return Trend(claimed, "cannot tell", None, 0, None, None, None, False)
    statistic, pairs = jonckheere(known)
    p = jonckheere_p(statistic, sizes)
    rho, rho_p = trend_correlation(known)
    direction = "rises" if statistic > pairs / 2 else "falls"
    result: Verdict = (
        "not reproduced" if p >= SIGNIFICANCE_LEVEL else "reproduced" if direction == claimed else "reversed"
    )
    steps = np.diff([np.mean(group) for group in known])
    ordered = bool((steps < 0).all() if claimed == "falls" else (steps > 0).all())
    return Trend(claimed, result, statistic, pairs, p, rho, rho_p, ordered)


def sized(trend: Trend, groups: Sequence[Sequence[Estimate]], margin: float | None, own_images: bool) -> Trend:
    """Add to a trend how large it is, whether that is less than a margin, and what could have been found.

    Args:
        trend: of these groups.
        groups: the estimates of each family; those without a value are left out.
        margin: change that counts as none; None tests no equivalence.
        own_images: whether each family is measured on images of its own. All its models see the same ones, so their
            standard error over images does not average out; on images that all families share it mostly cancels.
    """
    known = [[found for found in group if found.value is not None] for group in groups]
    values = [[float(found.value) for found in group if found.value is not None] for group in known]
    change = linear_change(values, [_image_variance(group) for group in known] if own_images else None)
    deviation = pooled_deviation(values)
    per_deviation = detectable_change(tuple(map(len, values))) if min(map(len, values), default=0) else None
    detectable = None if deviation is None or per_deviation is None else per_deviation * deviation
    trend = replace(trend, margin=margin, seed_sd=deviation, detectable=detectable)
    if change is None:
        return trend
    (low, high), (within_low, within_high) = change.interval(0.95), change.interval(0.9)
    trend = replace(trend, change=change.value, change_low=low, change_high=high)
    if margin is None:
        return trend
    p = change.equivalence_p(margin)
    return replace(
        trend, within_low=within_low, within_high=within_high, equivalence_p=p, equivalent=p < SIGNIFICANCE_LEVEL,
        equivalence_power=change.equivalence_power(margin),
    )  # fmt: skip


def _image_variance(group: Sequence[Estimate]) -> tuple[float, float]:
    """Return the variance over images that a family's models share, and its degrees of freedom."""
    variances = [found.stderr**2 for found in group if found.stderr is not None]
    return float(np.mean(variances)) if variances else 0.0, IMAGE_DF
