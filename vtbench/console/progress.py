"""Progress of a run: the events that a `Listener` receives, and progress bars on standard error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtbench.console.terminal import open_console

if TYPE_CHECKING:
    from rich.progress import Task as Bar


class Listener:
    """Receives the progress events of a run. The base class ignores them."""

    def begin(
        self, path: Path, tasks: Mapping[str, tuple[int, int]], left_out: Mapping[str, Mapping[str, str]]
    ) -> None:
        """A run begins at `path`.

        Args:
            path: the run's directory.
            tasks: by task, the number of samples and the number of those already stored.
            left_out: by task and metric, the reason why the metric is left out.
        """

    def advance(self, task: str, samples: int, failed: int) -> None:
        """Another `samples` samples of `task` are done, of which `failed` failed."""

    def end(self) -> None:
        """The run has ended, finished or not."""

    def note(self, text: str) -> None:
        """Show one line to the user, for example where a tracker stored the run."""


class Progress(Listener):
    """Bars with samples per second and the time left, on standard error."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: Bar) -> Text:
                speed = task.finished_speed or task.speed
                return Text(f"{speed:.1f}/s" if speed else "", style="cyan")

        self.console = open_console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            Rate(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[failed]}", style="red", markup=False),
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
        """Print the run's path and the metrics left out, and show a bar for each task."""
        self.path = path
        self.console.print(f"run      {path}", highlight=False)
        for task, reasons in left_out.items():
            for metric, reason in reasons.items():
                self.console.print(f"left out {metric} of {task}: {reason}", highlight=False)
        for task, (total, done) in tasks.items():
            self._ids[task] = self._bars.add_task(task, total=total, completed=done, failed="")
            self.done, self.total = self.done + done, self.total + total
        self._bars.start()

    def advance(self, task: str, samples: int, failed: int) -> None:
        """Advance the task's bar."""
        self.done += samples
        self._failed[task] = self._failed.get(task, 0) + failed
        text = f"{self._failed[task]} failed" if self._failed[task] else ""
        self._bars.update(self._ids[task], advance=samples, failed=text)

    def end(self) -> None:
        """Stop the bars at their current state."""
        self._bars.stop()

    def note(self, text: str) -> None:
        """Print the line."""
        self.console.print(text, highlight=False, soft_wrap=True)
