"""Progress of a training on standard error: a bar, or lines, with loss, samples per second and time left."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from vtbench.console.terminal import open_console, say


class ProgressBar:
    """A bar, for a terminal."""

    def __init__(self, steps: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}", style="cyan"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=open_console(stderr=True),
        )
        self._id = self._bar.add_task("steps", total=steps, numbers="")

    @staticmethod
    def possible() -> bool:
        """Whether standard error is a terminal."""
        return open_console(stderr=True).is_terminal

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, line: dict[str, Any]) -> None:
        """Update the bar."""
        self._bar.update(self._id, completed=line["step"], numbers=_numbers(line))


class ProgressLines:
    """Lines, for a file or a pipe."""

    def __call__(self, line: dict[str, Any]) -> None:
        """Write a line."""
        left = (line["steps"] - line["step"]) * line["seconds_per_step"]
        say(f"step {line['step']}/{line['steps']}: {_numbers(line)}, {left / 60:.1f} min left", err=True)


def _numbers(line: dict[str, Any]) -> str:
    return f"loss {line['loss']:.3f}, right {100 * line['right']:.1f} %, {line['images_per_s']:.1f} samples/s"
