"""The executor `local`: a run's model in this process; copies of it, and a study's jobs, in child processes."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from time import monotonic

from vtbench.engine.process import failure_reason, start_job
from vtbench.errors import VtbenchError
from vtbench.executor import Job, JobResult, Notify, Work, WorkerPool


class Local:
    """Runs everything on this machine.

    Args:
        workers: number of concurrent jobs, which share the cores; by default one per core, at most four. Of a run, the
            number of copies of the model; by default one.

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

    def start(self, work: Work, notify: Notify) -> WorkerPool:
        """Create the model in this process; several copies in processes of their own, one a GPU.

        Raises:
            VtbenchError: there are fewer GPUs, or the model cannot be loaded.
        """
        if (self._asked or 1) == 1:
            return work.worker()
        from vtbench.engine.process_pool import ProcessPool
        from vtbench.engine.worker_devices import worker_environments

        return ProcessPool(work, worker_environments(self.workers, work.device, self.threads), notify)

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Yield the result of each job as it ends. A closed generator ends the running jobs."""
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: set[Future[JobResult]] = {pool.submit(self._one, job) for job in jobs}
            try:
                while waiting:
                    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            finally:
                self._end(waiting)

    def _one(self, job: Job) -> JobResult:
        began = monotonic()
        with self._lock:
            if self._closed:
                return JobResult(job.name, 0.0, "not begun")
            process = self._running[job.name] = start_job(job, self.threads)
        status = process.wait()
        with self._lock:
            del self._running[job.name]
        return JobResult(job.name, monotonic() - began, failure_reason(job, status))

    def _end(self, waiting: set[Future[JobResult]]) -> None:
        for future in waiting:
            future.cancel()
        with self._lock:
            self._closed = True
            for process in self._running.values():
                process.terminate()
