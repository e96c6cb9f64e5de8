"""The token budgets that the contract of adapters is checked under."""

from __future__ import annotations

from vtbench_budgets import Complexity, DownSample, FarthestPoint, GridKeep, Merge, RandomKeep, Saliency, TokenCount

BUDGETS = (
    GridKeep(TokenCount(fraction=1)),
    RandomKeep(TokenCount(mean=3.4)),
    DownSample(TokenCount(count=4)),
    GridKeep(TokenCount(count=0)),
    Saliency(0.6),
    Merge(0.6),
    Complexity(0.3),
)
"""Each way to make fewer tokens: all, drawn numbers of them, averages, none, by attention, merged, by the image."""
FEW_BUDGETS = (RandomKeep(TokenCount(mean=3.4)), Saliency(0.6))
"""Numbers of tokens that differ within a batch, drawn and by the model's own attention."""
MORE_BUDGETS = (
    *(policy(TokenCount(fraction=1)) for policy in (RandomKeep, DownSample, FarthestPoint)),
    Saliency(1),
    Saliency(0.6, "norm"),
    FarthestPoint(TokenCount(fraction=0.7)),
    Complexity(1, "rank", "grid"),
)
"""What differs from these in the choice of tokens alone, which a policy makes without the model: checked on one."""
