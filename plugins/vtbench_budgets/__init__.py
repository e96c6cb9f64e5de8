"""Token budgets: policies that keep, drop or merge visual tokens, and metrics of their cost and accuracy.

`vtbench.budget` has the protocol. Importing this package does not import numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vtbench
from vtbench.plugin import lazy_exports
from vtbench_budgets.factories import BUDGETS, METRICS

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vtbench.budget import Budget
    from vtbench.metric import Metric
    from vtbench_budgets.complexity import Complexity, ComplexityAtMean
    from vtbench_budgets.farthest_point import FarthestPoint
    from vtbench_budgets.merging import Merge
    from vtbench_budgets.positional import DownSample, GridKeep, RandomKeep
    from vtbench_budgets.saliency import Saliency
    from vtbench_budgets.token_count import TokenCount

__all__ = [
    "Complexity",
    "ComplexityAtMean",
    "DownSample",
    "FarthestPoint",
    "GridKeep",
    "Merge",
    "RandomKeep",
    "Saliency",
    "TokenCount",
]
__getattr__ = lazy_exports(
    __name__,
    {
        "Complexity": "complexity",
        "ComplexityAtMean": "complexity",
        "DownSample": "positional",
        "FarthestPoint": "farthest_point",
        "GridKeep": "positional",
        "Merge": "merging",
        "RandomKeep": "positional",
        "Saliency": "saliency",
        "TokenCount": "token_count",
    },
)


@vtbench.hookimpl
def vtbench_budgets() -> dict[str, Callable[..., Budget]]:
    """Return the budgets."""
    return dict(BUDGETS)


@vtbench.hookimpl
def vtbench_metrics() -> dict[str, Callable[..., Metric]]:
    """Return the metrics of a budget's cost, and of accuracy against tokens kept."""
    return dict(METRICS)


@vtbench.hookimpl
def vtbench_run_tables() -> dict[str, Callable[[Path, Mapping[str, Any]], Iterable[RenderableType]]]:
    """Return the tables of a run's budget and of its frontier."""
    from vtbench_budgets.tables import run_tables

    return {"budgets": run_tables}
