"""Progress of a training on standard error: what it does, then a bar, or lines, with loss, samples and time left."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as Bar
from rich.text import Text

from vtbench.console.terminal import open_console, say


class ProgressBar:
    """A bar, for a terminal: of the steps, or one that moves for what is not counted.

    Args:
        steps: of the training.
    """

    def __init__(self, steps: int) -> None:
        class Count(MofNCompleteColumn):
            def render(self, task: Bar) -> Text:
                return super().render(task) if task.total is not None else Text()

        class Clock(ProgressColumn):
            left = TimeRemainingColumn(compact=True, elapsed_when_finished=True)

            def render(self, task: Bar) -> Text:
                return self.left.render(task) if task.total is not None else Text(f"{task.elapsed or 0:.0f} s")

        self._steps = steps
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            Count(),
            TextColumn("{task.fields[numbers]}", style="cyan", markup=False),
            Clock(),
            console=open_console(stderr=True),
        )
        self._id = self._bar.add_task("beginning", total=None, numbers="")

    @staticmethod
    def possible() -> bool:
        """Whether standard error is a terminal."""
        return open_console(stderr=True).is_terminal

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def phase(self, what: str, about: str = "") -> None:
        """Show what the training does before or after its steps."""
        self._bar.reset(self._id, total=None, description=f"{what:<9}{about}".rstrip(), numbers="")

    def __call__(self, line: dict[str, Any]) -> None:
        """Update the bar."""
        self._bar.update(
            self._id, description="training", total=self._steps, completed=line["step"], numbers=_numbers(line)
        )


class ProgressLines:
    """Lines, for a file or a pipe. Until the first step there is none: an error is the only line."""

    def __init__(self) -> None:
        self._begun = False

    def phase(self, what: str, about: str = "") -> None:
        """Write a line for what the training does after its steps."""
        if self._begun:
            say(f"{what:<9}{about}".rstrip(), err=True)

    def __call__(self, line: dict[str, Any]) -> None:
        """Write a line."""
        self._begun = True
        left = (line["steps"] - line["step"]) * line["seconds_per_step"]
        say(f"step {line['step']}/{line['steps']}: {_numbers(line)}, {left / 60:.1f} min left", err=True)


def _numbers(line: dict[str, Any]) -> str:
    return f"loss {line['loss']:.3f}, right {100 * line['right']:.1f} %, {line['images_per_s']:.1f} samples/s"
