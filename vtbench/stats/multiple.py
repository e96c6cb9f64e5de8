"""Adjustment of p-values where several hypotheses are tested together."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for multiple testing (Holm, Scand. J. Stat. 6, 1979).

    The family-wise error rate is controlled: of tables in which nothing differs, at most 5 % have any adjusted value
    under 0.05. None stands for a row that was not tested; it is kept and does not count.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, (len(tested) - rank) * p))
        adjusted[place] = highest
    return adjusted


def holm_from_leader(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values of several items against their leader, where the data picked the leader.

    The best of many equal items leads by luck, so the family is all pairs: with m items left, the leader among them,
    the smallest p-value is multiplied by m (m - 1) / 2, and its item leaves. That is Holm's method on pairs: when the
    first of several equal items is tested, all of them are left. None stands for an item that was not tested.

    >>> holm_from_leader([0.01, None, 0.04, 0.03])  # 4 items with the leader: factors 6, 3 and 1
    [0.06, None, 0.09, 0.09]
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        left = 1 + len(tested) - rank
        highest = max(highest, min(1.0, left * (left - 1) // 2 * p))
        adjusted[place] = highest
    return adjusted
