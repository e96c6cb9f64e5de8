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

    def phase(self, what: str, about: str = "") -> None:
        """The run does something that takes time before or after the samples are asked.

        Args:
            what: `loading`, `fitting`, `scoring` or `writing`.
            about: the model, the task or the file.
        """

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
    """What the run is doing, on standard error: a bar for each task, and one that moves for what is not counted.

    Where standard error is no terminal, each phase of a run that has begun is one line.
    """

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars
        from rich.text import Text

        class Count(MofNCompleteColumn):
            def render(self, task: Bar) -> Text:
                return super().render(task) if task.total is not None else Text()

        class Rate(ProgressColumn):
            def render(self, task: Bar) -> Text:
                speed = (task.finished_speed or task.speed) if task.total is not None else None
                return Text(f"{speed:.1f}/s" if speed else "", style="cyan")

        class Clock(TimeRemainingColumn):
            def render(self, task: Bar) -> Text:
                if task.total is not None:
                    return super().render(task)
                return Text(f"{task.elapsed or 0:.0f} s", style="progress.elapsed")

        self.console = open_console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            Count(),
            Rate(),
            Clock(compact=True, elapsed_when_finished=True),
            TextColumn("{task.fields[failed]}", style="red", markup=False),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self._ids: dict[str, Any] = {}
        self._failed: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        self._phase: Any = None
        self.path: Path | None = None
        self.done = self.total = 0

    def phase(self, what: str, about: str = "") -> None:
        """Show it until samples are asked, or until the next phase."""
        text = f"{what:<9}{about}".rstrip()
        if not self.console.is_terminal:
            if self.path is not None:  # before, an error is the only line
                self.console.print(text, highlight=False, soft_wrap=True)
            return
        self._end_phase()
        self._phase = self._bars.add_task(text, total=None, failed="")
        self._bars.start()

    def _end_phase(self) -> None:
        if self._phase is not None:
            self._bars.remove_task(self._phase)
            self._phase = None

    def begin(
        self, path: Path, tasks: Mapping[str, tuple[int, int]], left_out: Mapping[str, Mapping[str, str]]
    ) -> None:
        """Print the run's path and the metrics left out, and show a bar for each task."""
        self.path = path
        self._end_phase()
        self.console.print(f"run      {path}", highlight=False, soft_wrap=True)
        for task, reasons in left_out.items():
            for metric, reason in reasons.items():
                self.console.print(f"left out {metric} of {task}: {reason}", highlight=False, soft_wrap=True)
        for task, (total, done) in tasks.items():
            self._ids[task] = self._bars.add_task(task, total=total, completed=done, failed="")
            self._stored[task] = done
            self.done, self.total = self.done + done, self.total + total
        self._bars.start()

    def advance(self, task: str, samples: int, failed: int) -> None:
        """Advance the task's bar."""
        self._end_phase()
        if task not in self._failed:  # its time begins here, and not with the fitting before it
            self._bars.reset(self._ids[task], completed=self._stored[task])
        self.done += samples
        self._failed[task] = self._failed.get(task, 0) + failed
        text = f"{self._failed[task]} failed" if self._failed[task] else ""
        self._bars.update(self._ids[task], advance=samples, failed=text)

    def end(self) -> None:
        """Stop the bars at their current state."""
        self._end_phase()
        self._bars.stop()

    def note(self, text: str) -> None:
        """Print the line."""
        self.console.print(text, highlight=False, soft_wrap=True)
