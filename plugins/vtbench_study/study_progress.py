"""Progress of a study on standard error: which models are done, and on a terminal what each of the others is doing.

A model's job writes what it does to its log, a line each (`say_phase`); the study's own process reads the last of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from vtbench.console.progress import Listener
from vtbench.console.terminal import open_console, say
from vtbench.executor import JobResult

_PHASE = "phase    "
_TAIL = 4096
"""Bytes at the end of a log in which its last phase is looked for."""
_EVERY = 5.0
"""Seconds from one line of counted samples to the next in a model's log."""


def say_phase(text: str) -> None:
    """Write to the log of a model's job what it does."""
    say(f"{_PHASE}{text}")


class PhaseListener(Listener):
    """Writes what a measurement does to the job's log.

    Args:
        name: of the measurement.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: dict[str, tuple[int, int]] = {}
        self._said = 0.0

    def phase(self, what: str, about: str = "") -> None:
        """Write it."""
        say_phase(f"{self._name}: {what} {about}".rstrip())

    def begin(self, path: Path, tasks: Any, left_out: Any) -> None:
        """Remember how many samples there are."""
        self._tasks = dict(tasks)

    def advance(self, task: str, samples: int, failed: int) -> None:
        """Write how many samples of a task are answered, every few seconds."""
        total, done = self._tasks.get(task, (0, 0))
        self._tasks[task] = total, done + samples
        if time.monotonic() - self._said >= _EVERY:
            self._said = time.monotonic()
            say_phase(f"{self._name}: answering {task} {done + samples:,}/{total:,}")


class ProgressLines:
    """A line for each model that is done, or why it failed, and the time left at the pace so far."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._ended = 0

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, ended: JobResult, done: int, total: int) -> None:
        """Print the line of one model, when `done` of `total` are done."""
        self._print(self._line(ended, done, total))

    def _print(self, line: str) -> None:
        say(line, err=True)

    def _line(self, ended: JobResult, done: int, total: int) -> str:
        self._ended += 1
        outcome = f"failed: {ended.error}" if ended.error else f"done in {ended.seconds / 60:.1f} min"
        left = (time.monotonic() - self._began) / self._ended * (total - done)
        return f"{done}/{total}  {ended.name}: {outcome}" + f", {left / 60:.0f} min left" * (done < total)


class ProgressScreen(ProgressLines):
    """The lines, and below them on a terminal what the running jobs do.

    Args:
        logs: directory of the jobs' logs.
    """

    def __init__(self, logs: Path) -> None:
        super().__init__()
        self._logs, self._begun, self._over = logs, time.time(), set[str]()
        self._live = Live(
            console=open_console(stderr=True), get_renderable=self._running, refresh_per_second=1, transient=True
        )

    @staticmethod
    def possible() -> bool:
        """Whether standard error is a terminal."""
        return open_console(stderr=True).is_terminal

    def __enter__(self) -> ProgressScreen:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def __call__(self, ended: JobResult, done: int, total: int) -> None:
        """Print the line of one model above those of the running ones."""
        self._over.add(ended.name)
        super().__call__(ended, done, total)

    def _print(self, line: str) -> None:
        self._live.console.print(line, highlight=False, soft_wrap=True)

    def _running(self) -> Group:
        lines = [f"{name:<20}  {phase}" for name, phase in running_phases(self._logs, self._begun, self._over)]
        head = f"running for {(time.time() - self._begun) / 60:.0f} min; logs in {self._logs}"
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in [head, *lines]))


def running_phases(logs: Path, since: float, over: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each job that has written since a time and is not over, and what it last said that it does."""
    for log in sorted(logs.glob("*.log")):
        try:
            if log.stem not in over and log.stat().st_mtime >= since:
                yield log.stem, _last_phase(log)
        except OSError:  # removed meanwhile
            continue


def _last_phase(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return next((line.removeprefix(_PHASE) for line in reversed(lines) if line.startswith(_PHASE)), "starting")
