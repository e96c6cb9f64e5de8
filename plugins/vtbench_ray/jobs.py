"""A study's jobs on a cluster: each is a process on some node, in a directory that all nodes share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from time import monotonic

import ray
from ray.exceptions import RayError, RayTaskError

from vtbench.engine.process import begin, why
from vtbench.executor import Job, JobResult
from vtbench_ray.cluster import Need
from vtbench_ray.crew import RETRIES
from vtbench_ray.errors import first_line


class Killed(Exception):
    """A job's process was ended by a signal: it is begun again, and goes on where it was."""


def process(job: Job, directory: str, here: str, threads: int, last: bool) -> JobResult:
    """Run a job to its end, with this node's Python where it names that of the machine that asks."""
    if not os.path.isdir(directory):
        return JobResult(job.name, 0.0, f"{directory} is not there on {os.uname().nodename}: put it on a shared disk")
    command = tuple(sys.executable if word == here else word for word in job.command)
    began = monotonic()
    status = begin(replace(job, command=command), threads, directory).wait()
    if status < 0 and not last:
        raise Killed(why(job, status))
    return JobResult(job.name, monotonic() - began, why(job, status))


def run_jobs(jobs: Sequence[Job], need: Need, workers: int) -> Iterator[JobResult]:
    """Yield word of each job as it ends, `workers` at once; closed early, it ends those that run.

    A job whose process or node is killed is begun again, `RETRIES` times.
    """
    remote = ray.remote(process).options(
        num_cpus=need.cpus, num_gpus=need.gpus, max_retries=0, scheduling_strategy="SPREAD"
    )
    directory, threads = os.getcwd(), max(1, int(need.cpus))
    waiting = [(replace(job, log=job.log.resolve()), RETRIES) for job in reversed(jobs)]
    running: dict[ray.ObjectRef, tuple[Job, int]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job, left = waiting.pop()
                running[remote.remote(job, directory, sys.executable, threads, not left)] = job, left
            (ref,), _ = ray.wait(list(running), num_returns=1)
            job, left = running.pop(ref)
            try:
                yield ray.get(ref)
            except RayError as error:
                if isinstance(error, RayTaskError) and not isinstance(error.cause, Killed):
                    raise error.cause from error
                if not left:
                    yield JobResult(job.name, 0.0, f"killed {RETRIES + 1} times; the last: {first_line(error)}")
                else:
                    waiting.append((job, left - 1))
    finally:
        for ref in running:
            ray.cancel(ref, force=True)
