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
def vtbench_scores() -> dict[str, str]:
    """Return what the scores of budgets are."""
    return {
        "frontier.BUDGET": "Accuracy under this token budget.",
        "tokens_kept": "Visual tokens that the decoder read.",
        "prefill_ms": "Milliseconds to read the prompt; compare only runs of one machine.",
        "decode_ms": "Milliseconds to write the answer; compare only runs of one machine.",
    }


@vtbench.hookimpl
def vtbench_flags() -> dict[str, str]:
    """Return what the flags of a frontier mean."""
    keeping = {"random": "random keeping of as many tokens", "grid": "keeping as many tokens on a grid"}
    return {
        f"{side}_{rival}": f"the budget's accuracy is {side} that of {how}, with the whole interval of the difference"
        for side in ("above", "below")
        for rival, how in keeping.items()
    }


@vtbench.hookimpl
def vtbench_metrics() -> dict[str, Callable[..., Metric]]:
    """Return the metrics of a budget's cost, and of accuracy against tokens kept."""
    return dict(METRICS)


@vtbench.hookimpl
def vtbench_run_tables() -> dict[str, Callable[[Path, Mapping[str, Any]], Iterable[RenderableType]]]:
    """Return the tables of a run's budget and of its frontier."""
    from vtbench_budgets.tables import run_tables

    return {"budgets": run_tables}
