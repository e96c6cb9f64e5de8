"""Where the models of a study are trained and measured: jobs in, word of each as it ends out.

A job is a command in a process of its own, so that one which dies takes nothing with it.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Protocol

from vtbench.errors import VtbenchError


@dataclass(frozen=True, slots=True)
class Job:
    """A command, and the file that takes what it says."""

    name: str
    command: tuple[str, ...]
    log: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended: `error` is its last line, None where all went well."""

    name: str
    seconds: float
    error: str | None


class Executor(Protocol):
    """Runs jobs, in any order and as many at once as there is room for."""

    def run(self, jobs: Sequence[Job]) -> Iterator[Ended]:
        """Yield word of each job as it ends. Closed early, it ends those that are running."""
        ...


class Local:
    """Processes on this machine, which share its cores.

    Args:
        workers: jobs at once; by default one for every core, at most four.

    Raises:
        VtbenchError: less than one worker.
    """

    def __init__(self, workers: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.workers = min(cores, 4) if workers is None else workers
        if self.workers < 1:
            raise VtbenchError(f"workers must be at least 1, not {workers}")
        self.threads = max(1, cores // self.workers)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock, self._closed = threading.Lock(), False

    def run(self, jobs: Sequence[Job]) -> Iterator[Ended]:
        """Yield word of each job as it ends. Closed early, it ends those that are running."""
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: set[Future[Ended]] = {pool.submit(self._one, job) for job in jobs}
            try:
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                self._end(waiting)

    def _one(self, job: Job) -> Ended:
        began = monotonic()
        environment = os.environ | {"OMP_NUM_THREADS": str(self.threads), "TOKENIZERS_PARALLELISM": "false"}
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            with self._lock:
                if self._closed:
                    return Ended(job.name, 0.0, "not begun")
                # Nobody writes to the pipe: its end tells the job that this process is gone, however it went.
                process = subprocess.Popen(job.command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment)
                self._running[job.name] = process
            status = process.wait()
        with self._lock:
            del self._running[job.name]
        return Ended(job.name, monotonic() - began, None if status == 0 else _last_line(job.log, status))

    def _end(self, waiting: set[Future[Ended]]) -> None:
        for future in waiting:
            future.cancel()
        with self._lock:
            self._closed = True
            for process in self._running.values():
                process.terminate()


def _last_line(log: Path, status: int) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    ended = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    return f"{lines[-1].strip()} ({ended}; {log})" if lines and status > 0 else f"{ended}; {log}"
