"""Tables that a run under token budgets prints below its scores: the budget that was used, or the frontier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.console.formatting import interval_text, number
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
        title = f"accuracy against visual tokens · {task}"
        table = score_table(title, ["budget"], ["tokens", "prefill", "right", "beside", "right", "over", "95 %"])
        for name, score in points.items():
            for row in point_rows(name, score):
                table.add_row(*row)
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


def point_rows(name: str, score: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the table rows of a budget: its own value, and beside it each rival's, with the difference's interval."""
    detail = score["detail"]
    prefill = "" if detail["prefill_ms"] is None else f"{detail['prefill_ms']:.2f} ms"
    own = [name, f"{detail['tokens']:.1f}", prefill, _percent(score["value"])]
    rivals = {rival: row for rival in RIVALS if (row := detail.get(rival)) is not None}
    if not rivals:
        yield [*own, "", "", "", ""]
    for rival, row in rivals.items():
        interval = interval_text(None if row["low"] is None else (row["low"], row["high"]), percent=True)
        yield [*own, rival, _percent(row["value"]), f"{100 * row['over']:+.1f}", interval]
        own = ["", "", "", ""]


def _percent(value: float | None) -> str:
    return number(value, percent=True) + " %" * (value is not None)


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
