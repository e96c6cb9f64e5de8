"""Tables that a run under token budgets prints below its scores: the budget that was used, or the frontier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.console.formatting import number
from vtbench.console.tables import score_table
from vtbench.runs.reader import read_run
from vtbench_budgets.frontier_points import RIVALS

if TYPE_CHECKING:
    from rich.console import RenderableType


def run_tables(path: Path, document: Mapping[str, Any]) -> Iterator[RenderableType]:
    """Yield the budget of each task, and the frontier if there is one."""
    yield from used(read_run(path).get("budgets", {}))
    for task, scores in document["scores"].items():
        points = {
            name.removeprefix("frontier."): score for name, score in scores.items() if name.startswith("frontier.")
        }
        if not points:
            continue
        table = score_table(f"accuracy against visual tokens · {task}")
        for column in ("budget", "tokens", "right", *(part for rival in RIVALS for part in (rival, "over")), "prefill"):
            table.add_column(column, justify="left" if column == "budget" else "right", no_wrap=True)
        for name, score in points.items():
            table.add_row(*cells(name, score))
        yield table
        yield from verdicts(points)


def used(budgets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield one line per task.

    >>> list(used({"quiz": {"budget": "complexity by cosine times 0.5, grid", "pictures": 128, "mean": 23.98}}))
    ['budget   quiz: complexity by cosine times 0.5, grid; fitted on 128 images, of which the mean is 23.98 tokens']
    """
    for task, facts in budgets.items():
        fitted = "; fitted on {pictures} images, of which the mean is {mean:.4g} tokens" if "mean" in facts else ""
        yield f"budget   {task}: {facts['budget']}{fitted.format(**facts)}"


def cells(name: str, score: Mapping[str, Any]) -> list[str]:
    """Return a table row: the budget's value and each rival's, with the difference and its interval."""
    detail = score["detail"]
    found = [name, f"{detail['tokens']:.1f}", number(score["value"], True)]
    for row in (detail.get(rival) for rival in RIVALS):
        found += ["", ""] if row is None else [number(row["value"], True), _over(row)]
    return [*found, "" if detail["prefill_ms"] is None else f"{detail['prefill_ms']:.2f} ms"]


def _over(row: Mapping[str, Any]) -> str:
    reach = "" if row["low"] is None else f" ({100 * row['low']:+.1f}, {100 * row['high']:+.1f})"
    return f"{100 * row['over']:+.1f}{reach}"


def verdicts(points: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield which budgets beat, or lose to, each rival, by the 95 % interval of the paired difference.

    >>> flags = {"merge:t=0.9": ("above_random",), "saliency:p=0.5": ("below_random", "below_grid"), "all": ()}
    >>> for line in verdicts({name: {"flags": some} for name, some in flags.items()}):
    ...     print(line)
    random at the same mean count: beaten by merge:t=0.9; beats saliency:p=0.5
    grid at the same mean count: beaten by none; beats saliency:p=0.5
    """
    for rival in RIVALS:
        above, below = (
            ", ".join(name for name, point in points.items() if f"{side}_{rival}" in point["flags"]) or "none"
            for side in ("above", "below")
        )
        yield f"{rival} at the same mean count: beaten by {above}; beats {below}"
