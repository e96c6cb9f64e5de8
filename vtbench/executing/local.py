"""The executor `local`: a run's model in this process, a study's jobs in processes beside it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from time import monotonic

from vtbench.config import RunConfig
from vtbench.errors import VtbenchError
from vtbench.executing.process import begin, why
from vtbench.executing.worker import Worker
from vtbench.executor import Ended, Job, Say
from vtbench.registry import Registry
from vtbench.types import Task


class Local:
    """This machine.

    Args:
        workers: jobs at once, which share its cores; by default one for every core, at most four. A run has one worker.

    Raises:
        VtbenchError: less than one worker.
    """

    def __init__(self, workers: int | None = None) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._asked = workers
        self.workers = min(cores, 4) if workers is None else workers
        if self.workers < 1:
            raise VtbenchError(f"workers must be at least 1, not {workers}")
        self.threads = max(1, cores // self.workers)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock, self._closed = threading.Lock(), False

    def crew(self, config: RunConfig, tasks: Sequence[Task], registry: Registry, say: Say) -> Worker:
        """Create the model here.

        Raises:
            VtbenchError: more than one worker was asked for, or the model cannot be loaded.
        """
        if (self._asked or 1) > 1:
            raise VtbenchError(
                f"--workers {self._asked}: a run here has one worker; --executor ray spreads it over more"
            )
        return Worker(config, tasks, registry)

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
        with self._lock:
            if self._closed:
                return Ended(job.name, 0.0, "not begun")
            process = self._running[job.name] = begin(job, self.threads)
        status = process.wait()
        with self._lock:
            del self._running[job.name]
        return Ended(job.name, monotonic() - began, why(job, status))

    def _end(self, waiting: set[Future[Ended]]) -> None:
        for future in waiting:
            future.cancel()
        with self._lock:
            self._closed = True
            for process in self._running.values():
                process.terminate()
