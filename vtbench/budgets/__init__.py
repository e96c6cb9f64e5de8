"""The token budgets that come with vtbench; what a budget is says `vtbench.budget`, how each is made `factories`.

Importing this package does not import numpy; using it does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtbench.budgets.amount import Amount
    from vtbench.budgets.complexity import Complexity, ComplexityAtMean
    from vtbench.budgets.merging import Merge
    from vtbench.budgets.places import DownSample, GridKeep, RandomKeep
    from vtbench.budgets.saliency import Saliency
    from vtbench.budgets.spread import Spread

__all__ = [
    "Amount",
    "Complexity",
    "ComplexityAtMean",
    "DownSample",
    "GridKeep",
    "Merge",
    "RandomKeep",
    "Saliency",
    "Spread",
]

_HOMES = {
    "Amount": "amount",
    "Complexity": "complexity",
    "ComplexityAtMean": "complexity",
    "DownSample": "places",
    "GridKeep": "places",
    "Merge": "merging",
    "RandomKeep": "places",
    "Saliency": "saliency",
    "Spread": "spread",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
