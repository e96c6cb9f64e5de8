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
