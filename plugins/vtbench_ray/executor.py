"""The Ray executor: creates the worker pool of a run, and runs a study's jobs as processes on the nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from time import monotonic

import ray
from ray.exceptions import RayError, RayTaskError

from vtbench.engine.batching import FIRST_SIZE
from vtbench.engine.process import failure_reason, start_job
from vtbench.errors import VtbenchError
from vtbench.executor import Job, JobResult, Notify, Work
from vtbench_ray.cluster import Connection, WorkerResources
from vtbench_ray.errors import first_line
from vtbench_ray.worker_pool import RayWorkerPool

MAX_RESTARTS = 3
"""How often a job is restarted after its process or node was killed."""


class RayExecutor:
    """Executor on a Ray cluster; `vtbench_ray.ray` documents the settings.

    Raises:
        VtbenchError: a setting is out of range.
    """

    def __init__(self, address: str | None, workers: int | None, cpus: float, gpus: float | None) -> None:
        if workers is not None and workers < 1:
            raise VtbenchError(f"workers must be at least 1, not {workers}")
        if cpus <= 0 or (gpus or 0) < 0:
            raise VtbenchError(
                f"a worker takes more than 0 CPUs and no less than 0 GPUs, not {cpus:g} and {gpus or 0:g}"
            )
        self._address, self._workers, self._cpus, self._gpus = address, workers, cpus, gpus

    def start(self, work: Work, notify: Notify) -> RayWorkerPool:
        """Start the workers of a run, each of which loads the model.

        Raises:
            ClusterError: the cluster cannot be reached, or has no room for a worker.
            VtbenchError: the model cannot be loaded there.
        """
        connection = Connection(self._address)
        try:
            resources = self._resources(connection, work.device)
            useful = max(1, sum(map(len, work.tasks)) // FIRST_SIZE)  # more could not all be busy
            count = self._workers or min(connection.capacity(resources), useful)
            return RayWorkerPool(connection, resources, count, work, notify)
        except BaseException:
            connection.close()
            raise

    def run(self, jobs: Sequence[Job]) -> Iterator[JobResult]:
        """Yield each job's outcome when it ends. Closing the iterator early kills the running jobs.

        Raises:
            ClusterError: the cluster cannot be reached, or has no room for a job.
        """
        with closing(Connection(self._address)) as connection:
            resources = self._resources(connection, "auto")
            yield from _run_jobs(jobs, resources, self._workers or connection.capacity(resources))

    def _resources(self, connection: Connection, device: str) -> WorkerResources:
        """Return the resources of one worker, after a check that some node has them."""
        gpus = self._gpus
        if gpus is None:
            gpus = float(device != "cpu" and any(node.get("GPU") for node in connection.nodes()))
        resources = WorkerResources(self._cpus, gpus)
        connection.capacity(resources)
        return resources


class JobKilled(Exception):
    """A signal ended a job's process: the job is restarted, and resumes its own work."""


def run_job(job: Job, directory: str, driver_python: str, threads: int, last_try: bool) -> JobResult:
    """Run a job to its end on the node that Ray chose.

    Args:
        job: its command; the driver's Python in it is replaced by this node's.
        directory: working directory of the job, shared by all nodes.
        driver_python: path of the Python interpreter on the driver's machine.
        threads: number of threads that the job computes with.
        last_try: whether a killed process is reported as a failure instead of raising `JobKilled`.

    Raises:
        JobKilled: a signal ended the process, and `last_try` is false.
    """
    if not os.path.isdir(directory):
        return JobResult(job.name, 0.0, f"{directory} does not exist on {os.uname().nodename}: put it on a shared disk")
    command = tuple(sys.executable if word == driver_python else word for word in job.command)
    start = monotonic()
    status = start_job(replace(job, command=command), threads, directory).wait()
    if status < 0 and not last_try:
        raise JobKilled(failure_reason(job, status))
    return JobResult(job.name, monotonic() - start, failure_reason(job, status))


def _run_jobs(jobs: Sequence[Job], resources: WorkerResources, workers: int) -> Iterator[JobResult]:
    """Run `workers` jobs at a time as Ray tasks, restart killed ones, and yield each outcome."""
    remote_job = ray.remote(run_job).options(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=0, scheduling_strategy="SPREAD"
    )
    directory, threads = os.getcwd(), max(1, int(resources.cpus))
    waiting = [(replace(job, log=job.log.resolve()), MAX_RESTARTS) for job in reversed(jobs)]
    running: dict[ray.ObjectRef, tuple[Job, int]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job, restarts_left = waiting.pop()
                ref = remote_job.remote(job, directory, sys.executable, threads, not restarts_left)
                running[ref] = job, restarts_left
            (ref,), _ = ray.wait(list(running), num_returns=1)
            job, restarts_left = running.pop(ref)
            try:
                yield ray.get(ref)
            except RayError as error:
                if isinstance(error, RayTaskError) and not isinstance(error.cause, JobKilled):
                    raise error.cause from error
                if not restarts_left:
                    yield JobResult(job.name, 0.0, f"killed {MAX_RESTARTS + 1} times; last error: {first_line(error)}")
                else:
                    waiting.append((job, restarts_left - 1))
    finally:
        for ref in running:
            ray.cancel(ref, force=True)
