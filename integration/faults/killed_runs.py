"""Runs in processes that are killed, and what is compared of them afterwards."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host_fakes import FakeModel, Plugin, quiz

import vtbench
from vtbench.budget import Budget
from vtbench.errors import VtbenchError
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.types import Output, Sample

SAMPLES, BATCH = 60, 4
REFUSED, BROKEN = 2, 70
"""Exit status of a process whose run was refused in one line, and of one that had a traceback."""


class SlowModel(FakeModel):
    """Takes `pause` seconds for a batch."""

    def __init__(self, pause: float = 0.0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.pause = pause

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Budget | None = None) -> list[Output]:
        """Answer, after a pause."""
        time.sleep(self.pause)
        return super().generate(samples, max_new_tokens, budget)


class Slow(Plugin):
    """The fakes, with the slow model."""

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Callable[..., Any]]:
        """Offer the model."""
        return {"slow": SlowModel}


@dataclass
class Bench:
    """One task and the results of a run of it that nothing interrupted."""

    home: Path
    moody: bool
    """Whether an answer depends on the batch, as rounding does."""
    pause: float = 0.0
    task: Path = field(init=False)
    results: bytes = field(init=False)
    seconds: float = field(init=False)

    def __post_init__(self) -> None:
        self.task = quiz(self.home, SAMPLES, missing=[3], metrics="[hits, ranked, seen]")
        whole = self.home / "whole"
        self.run(self.home / "first")  # imports what a run imports, so that forked processes need not
        began = time.monotonic()
        self.run(whole)
        self.seconds = time.monotonic() - began
        self.results = (newest(whole) / "results.json").read_bytes()

    def run(self, output: Path, resume: bool | str = False) -> None:
        """Run the task, or go on with the run in `output`."""
        arguments = {"moody": self.moody, "fails_on": ["question 7?"], "pause": self.pause}
        vtbench.run(
            "slow",
            [self.task],
            output=output,
            resume=resume,
            batch_size=BATCH,
            model_args=arguments,
            registry=Registry({"slow": Slow()}),
            report=True,
        )

    def go_on(self, output: Path) -> None:
        """Resume the run in `output`, or begin one where none has got as far as its run.json."""
        self.run(output, resume=any(output.glob("*/run.json")))

    def check(self, run: Path) -> None:
        """Check that a finished run has the scores of the uninterrupted one, and every index exactly once."""
        lines = [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
        assert sorted(line["index"] for line in lines) == list(range(SAMPLES))
        assert [line["index"] for line in sorted(lines, key=lambda line: line["index"]) if line["error"]] == [3, 7]
        assert (run / "results.json").read_bytes() == self.results


def newest(output: Path) -> Path:
    """Return the run in a directory of one run."""
    (path,) = {file.parent for file in output.glob("*/run.json")}
    return path


def start(work: Callable[[], object]) -> int:
    """Do `work` in a forked process, which has everything imported; return its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process:
        return process
    status = BROKEN
    try:
        work()
        status = 0
    except VtbenchError:
        status = REFUSED
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def kill_after(process: int, seconds: float) -> int:
    """Kill a process after some time, and return its exit status: -9 if it had not ended by itself."""
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return end(process)


def end(process: int) -> int:
    """Wait for a process, and return its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
