"""What a run says to a person: progress while it works, a table when it is done.

All of it goes to standard error where `--json` wants standard output for itself. rich is imported when there is
something to show.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Task as Bar

    from vtbench.results import RunResult


class Listener:
    """Is told how a run goes. This one is silent."""

    def begin(
        self, path: Path, tasks: Mapping[str, tuple[int, int]], left_out: Mapping[str, Mapping[str, str]]
    ) -> None:
        """A run begins at `path`; `tasks` holds the number of samples, and of those already there."""

    def advance(self, task: str, samples: int, failed: int) -> None:
        """So many more samples of `task` are done, so many of which failed."""

    def end(self) -> None:
        """The run is over, done or not."""

    def note(self, text: str) -> None:
        """One line worth knowing: which tracker was told of the run, say."""


class Progress(Listener):
    """Bars with samples per second and the time left, on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: Bar) -> Text:
                speed = task.finished_speed or task.speed
                return Text(f"{speed:.1f}/s" if speed else "", style="cyan")

        self.console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[failed]}", style="red"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._ids: dict[str, Any] = {}
        self._failed: dict[str, int] = {}
        self.path: Path | None = None
        self.done = self.total = 0

    def begin(
        self, path: Path, tasks: Mapping[str, tuple[int, int]], left_out: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Show where the run is, what it leaves out, and a bar for each task."""
        self.path = path
        self.console.print(f"run      {path}", highlight=False, markup=False)
        for task, reasons in left_out.items():
            for metric, reason in reasons.items():
                self.console.print(f"left out {metric} of {task}: {reason}", highlight=False, markup=False)
        for task, (total, done) in tasks.items():
            self._ids[task] = self._bars.add_task(task, total=total, completed=done, failed="")
            self.done, self.total = self.done + done, self.total + total
        self._bars.start()

    def advance(self, task: str, samples: int, failed: int) -> None:
        """Move the task's bar."""
        self.done += samples
        self._failed[task] = self._failed.get(task, 0) + failed
        text = f"{self._failed[task]} failed" if self._failed[task] else ""
        self._bars.update(self._ids[task], advance=samples, failed=text)

    def end(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()

    def note(self, text: str) -> None:
        """Print the line."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def number(value: float | None, percent: bool) -> str:
    """Write a score as tables show it.

    >>> number(0.5125, percent=True), number(1.25, percent=False), number(None, percent=True)
    ('51.2', '1.250', '-')
    """
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if percent else f"{value:.3f}"


def spending(spent: Mapping[str, float]) -> str:
    """Write what a task took of a model that is paid by tokens.

    >>> spending({"tokens_in": 8300, "tokens_out": 20, "cost": 0.012})
    '8,300 tokens in, 20 tokens out, cost 0.012'
    """
    texts = {name: f"{value:,} {name.replace('_', ' ')}" for name, value in spent.items()}
    return ", ".join({**texts, "cost": f"cost {spent['cost']:.4g}"}.values() if "cost" in spent else texts.values())


def show(result: RunResult, stderr: bool) -> None:
    """Print the table of results, and where the run is."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(stderr=stderr)
    if not console.is_terminal:
        console.width = 120
    for task, reasons in result.document["left_out"].items():
        title = escape(f"{result.config.model} · {task}")
        table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for column in ("score", "value", "95 %", "chance", "majority", "n", ""):
            table.add_column(column, justify="left" if column in ("score", "") else "right", no_wrap=column != "")
        for row in (row for row in result.rows() if row["task"] == task):
            percent = row["percent"]
            interval = "" if row["low"] is None else f"{number(row['low'], percent)} – {number(row['high'], percent)}"
            baselines = ["" if row[key] is None else number(row[key], percent) for key in ("chance", "majority")]
            cells = [row["score"], number(row["value"], percent), interval, *baselines, str(row["n"]), row["flags"]]
            table.add_row(*map(escape, cells))
        for metric in reasons:
            table.add_row(escape(metric), "-", "", "", "", "", "left out", style="dim")
        console.print(table)
        for metric, reason in reasons.items():
            console.print(f"left out {metric}: {reason}", highlight=False, markup=False, soft_wrap=True)
    for task, spent in result.document.get("spent", {}).items():
        console.print(f"{task}: {spending(spent)}", highlight=False, markup=False)
    for task, failed in result.document["failed"].items():
        if failed:
            console.print(f"{task}: {failed} samples failed; samples.jsonl says why", style="red", markup=False)
    console.print(f"written  {result.path}", highlight=False, markup=False, soft_wrap=True)
