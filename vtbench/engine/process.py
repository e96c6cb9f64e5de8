"""Starts the process of a job, and finds the reason of a failure."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from vtbench.executor import Job


def start_job(job: Job, threads: int, directory: str | None = None) -> subprocess.Popen[bytes]:
    """Start a job.

    Its standard input stays open and empty: it closes when this process ends for any reason, and the job then ends too.

    Args:
        job: the command and its log.
        threads: number of threads of its numerical libraries.
        directory: its working directory; the current one by default.
    """
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}
    # `python -m` would import from the current directory first: a stranger's torch.py there is code that would run.
    environment["PYTHONSAFEPATH"] = "1"
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("ab") as log:
        return subprocess.Popen(
            job.command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, cwd=directory
        )


def failure_reason(job: Job, status: int) -> str | None:
    """Return the last line of a failed job's output, with its exit status; None if the job succeeded."""
    if status == 0:
        return None
    lines = [line for line in _text(job.log).splitlines() if line.strip()]
    ended = f"ended by signal {-status}" if status < 0 else f"exit status {status}"
    return f"{lines[-1].strip()} ({ended}; {job.log})" if lines and status > 0 else f"{ended}; {job.log}"


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
