"""Runs a part in a process of its own: its figures arrive one by one, and whatever ends it ends nothing else.

A part that takes too long is killed with the processes that it started; a GPU that ran out of memory, or whose context
is broken, is whole again for the next part. The figures that were known by then are kept.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from gpu_parts.workload import Workload
from vtbench.errors import VtbenchError
from vtbench.runs.provenance import strict


@dataclass(frozen=True, slots=True)
class Part:
    """One of the measurements."""

    module: str
    """Of `gpu_parts`; its `measure(*arguments, workload)` yields figures."""
    arguments: tuple[str, ...]
    seconds: float
    """Time limit."""

    def measure(self, load: Workload) -> Any:
        """Yield the figures."""
        return import_module(f"gpu_parts.{self.module}").measure(*self.arguments, load)


@dataclass(slots=True)
class Result:
    """What became of a part."""

    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    """With the start of its process."""
    failed: str | None = None
    """The reason, in one line."""


def run(
    command: list[str], part: Part, load: Workload, log: Path, show: Callable[[str, Any], None], limit: float | None
) -> Result:
    """Run a part.

    Args:
        command: starts a process that calls `serve`; a part's fields and the workload are appended as JSON.
        part: what is measured.
        load: how much.
        log: file for what the process writes to stderr.
        show: called with each figure as soon as it is known.
        limit: seconds, in place of the part's own limit.
    """
    result, began, limit = Result(), time.perf_counter(), limit or part.seconds
    stopped = threading.Event()
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, json.dumps(asdict(part)), json.dumps(asdict(load))],
            stdout=subprocess.PIPE, stderr=stderr, start_new_session=True,
        )  # fmt: skip

    def stop() -> None:
        with suppress(ProcessLookupError):  # it has just ended
            os.killpg(process.pid, signal.SIGKILL)
            stopped.set()

    timer = threading.Timer(limit, stop)
    timer.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            name, value = json.loads(line)
            if name == "failed":
                result.failed = value
            else:
                result.figures[name] = value
                show(name, value)
        status = process.wait()
    finally:
        timer.cancel()
        if process.poll() is None:  # we were interrupted
            os.killpg(process.pid, signal.SIGKILL)
    result.seconds = time.perf_counter() - began
    if stopped.is_set():
        result.failed = f"stopped after its {limit:g} s"
    elif status and result.failed is None:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        result.failed = f"its process ended with status {status}: {said[-1] if said else 'it said nothing'}"
    return result


def serve(part: str, load: str) -> int:
    """Measure a part in this process; write each figure as a line of JSON to what was its stdout.

    Returns:
        Exit status: 1 if the part failed; the reason is then the last line, and its traceback is in stderr.
    """
    lines = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no figure

    def write(name: str, value: Any) -> None:
        print(json.dumps([name, strict(value)]), file=lines)

    try:
        for name, value in Part(**json.loads(part)).measure(Workload(**json.loads(load))):
            write(name, value)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        said = (str(error).strip().splitlines() or [""])[0]
        write("failed", said if isinstance(error, VtbenchError) else f"{type(error).__name__}: {said}")
        return 1
    return 0
