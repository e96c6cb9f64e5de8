"""The most memory that this process has held."""

from __future__ import annotations

import resource
from pathlib import Path

STATUS = Path("/proc/self/status")


def process_peak_gib() -> float:
    """Return the largest resident memory of this process, in GiB."""
    if STATUS.exists():  # getrusage() of a new process begins with the peak of the one that started it
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
