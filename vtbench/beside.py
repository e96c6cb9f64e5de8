"""Several models' scores side by side: a `ManyResults` in, one table on the terminal out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vtbench.console import number

if TYPE_CHECKING:
    from vtbench.many import ManyResults


def beside(found: ManyResults) -> list[tuple[str, str, list[str]]]:
    """Return task, score and one cell a model, for every score that any model has, in the order of the first.

    A cell holds the value and its 95 % interval, `-` where a score has no value, and nothing where the model has no
    such score. One that is flagged ends in an asterisk.
    """
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for row in found.rows():
        cells.setdefault((row["task"], row["score"]), {})[row["model"]] = _cell(row)
    # tasks stay together, whichever model has a score that the others lack
    order = sorted(cells, key=lambda key: [task for task, _ in cells].index(key[0]))
    return [(task, score, [cells[task, score].get(m, "") for m in found.results]) for task, score in order]


def _cell(row: dict[str, Any]) -> str:
    text = number(row["value"], row["percent"])
    if row["low"] is not None:
        text += f" {'–'.join(number(row[end], row['percent']) for end in ('low', 'high'))}"
    return text + "*" * bool(row["flags"])


def show_beside(found: ManyResults, stderr: bool) -> None:
    """Print the table, where the runs are, which models failed, and what compares them sample by sample."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = 160
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("task", "score"):
        table.add_column(column, no_wrap=True)
    for model in found.results:
        table.add_column(escape(model), justify="right")
    before = None
    for task, score, cells in beside(found):
        if before not in (None, task):
            table.add_section()
        table.add_row(escape(task) if task != before else "", escape(score), *cells)
        before = task
    if found.results:
        console.print(table)
    if flags := sorted({flag for row in found.rows() for flag in row["flags"].split()}):
        text = f"*  flagged ({', '.join(flags)}): each run's results.json has the flags"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    for model, result in found.results.items():
        console.print(f"written  {result.path}", highlight=False, markup=False, soft_wrap=True)
        for task, failed in result.document["failed"].items():
            if failed:
                text = f"{model} · {task}: {failed} samples failed; samples.jsonl says why"
                console.print(text, style="red", markup=False, soft_wrap=True)
    for model, why in found.failed.items():
        console.print(f"{model} failed: {why}", style="red", highlight=False, markup=False, soft_wrap=True)
    if len(found.results) > 1:
        paths = " ".join(str(result.path) for result in found.results.values())
        console.print(f"compare  vtbench compare {paths}", highlight=False, markup=False, soft_wrap=True)
