"""What answers cost: tokens and times, also where an adapter reports only some."""

from __future__ import annotations

import pytest

from vtbench.types import Record
from vtbench_budgets.cost import BudgetCost


def record(index: int, cluster: str) -> Record:
    return Record("quiz", f"quiz/{index}", index, prompt="", target="", cluster=cluster)


def test_answers_of_unknown_cost_are_left_out() -> None:
    """With their clusters: the two of `b` are then one scene of the two that are left."""
    records = [record(i, cluster) for i, cluster in enumerate("aabb")]
    tokens, prefill = (2, None, 4, 6), (0.001, None, 0.002, 0.009)
    observations = [{"tokens": t, "prefill": p, "decode": None} for t, p in zip(tokens, prefill, strict=True)]
    scores = BudgetCost().compute(records, observations)
    assert (scores["tokens_kept"].value, scores["tokens_kept"].n) == (4, 3)
    assert scores["tokens_kept"].detail["least"] == 2
    assert scores["tokens_kept"].detail["most"] == 6
    assert (scores["prefill_ms"].value, scores["prefill_ms"].n) == (pytest.approx(4), 3)
    assert scores["prefill_ms"].detail["median"] == pytest.approx(2)
    assert (scores["decode_ms"].value, scores["decode_ms"].n) == (None, 0)
