"""The difference of two runs' scores of which no pairs are known: each enters with its own value and interval."""

from __future__ import annotations

import math

from vtbench.stats.estimate import Estimate, t_p_value, t_quantile

_FREEDOM = 9
"""Degrees of freedom of the test: the fewest that a score with a Student's t interval usually has (ten groups)."""


def independent_difference(ours: Estimate, theirs: Estimate) -> Estimate:
    r"""Estimate how far `ours` exceeds `theirs`, as if no sample were shared.

    The interval is recovered from both intervals, each end by the distances that bear on it:
    low = d - sqrt((a - a_low)^2 + (b_high - b)^2), high = d + sqrt((a_high - a)^2 + (b - b_low)^2)
    (Zou and Donner, Statistics in Medicine 27, 2008; for shares it is method 10 of Newcombe, Statistics in Medicine 17,
    1998). The p-value is Student's t on nine degrees of freedom, scaled so that p < 0.05 exactly where the interval
    leaves out 0; its tails are the wide ones of a jackknife over ten groups, also where a score has more. Runs on the
    same samples differ by less than this test can see, since what the samples contribute does not cancel.

    Returns:
        value None where one is unknown; neither interval nor p-value, flagged `no_interval`, where an interval is.

    >>> found = independent_difference(Estimate(0.8, interval=(0.7, 0.88)), Estimate(0.5, interval=(0.4, 0.6)))
    >>> [round(x, 3) for x in (found.value, *found.interval, found.p)]
    [0.3, 0.159, 0.428, 0.001]
    """
    if ours.value is None or theirs.value is None:
        return Estimate(None)
    value = ours.value - theirs.value
    if ours.interval is None or theirs.interval is None:
        return Estimate(value, flags=("no_interval",))
    below = math.hypot(ours.value - ours.low, theirs.high - theirs.value)
    above = math.hypot(ours.high - ours.value, theirs.value - theirs.low)
    reach = below if value > 0 else above
    if value and not reach:
        return Estimate(value, flags=("no_spread",))
    p = t_p_value(t_quantile(_FREEDOM) * value / reach, _FREEDOM) if value else 1.0
    return Estimate(value, None, (value - below, value + above), min(ours.n, theirs.n), 0, p, "unpaired")
