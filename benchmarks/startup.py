"""What starting costs: CPU time of `vtbench --help` and `vtbench ls tasks`, and the modules that cost most of it.

    python benchmarks/startup.py [--rounds 9] [--modules 0]

CPU time is user and system time of the child process, so that a busy machine tells as much as an idle one. Bytecode is
compiled in a first round that does not count. Exit status 1: an aim is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

AIMS: Mapping[tuple[str, ...], float] = {
    ("-m", "vtbench", "--help"): 0.15,
    ("-m", "vtbench", "ls", "tasks"): 0.25,
}
"""Arguments of Python, and the CPU seconds that they may take."""


def cpu_seconds(arguments: Sequence[str], rounds: int) -> list[float]:
    """Return the CPU seconds of `python ARGUMENTS`, in ascending order.

    Raises:
        CalledProcessError: it fails.
    """
    command = [sys.executable, *arguments]
    with tempfile.TemporaryDirectory() as cache:
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
        return sorted(_once(command, environment) for _ in range(rounds))


def _once(command: list[str], environment: Mapping[str, str]) -> float:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime


def costly_modules(arguments: Sequence[str], most: int) -> list[str]:
    """Return the lines of `python -X importtime` for the modules that cost most, without what they import."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()[1:]  # the first one is the heading
    return sorted(lines, key=lambda line: -int(line.partition(":")[2].partition("|")[0]))[:most]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--modules", type=int, default=0, help="also list this many modules, the costliest first")
    options = parser.parse_args()
    missed = False
    for arguments, aim in AIMS.items():
        seconds = cpu_seconds(arguments, options.rounds)
        median = statistics.median(seconds)
        missed |= median > aim
        shown = f"{median:.3f} s of CPU time ({seconds[0]:.3f} to {seconds[-1]:.3f})"
        print(f"python {' '.join(arguments):24} {shown}, aim {aim} s{'' if median <= aim else ': MISSED'}")
        for line in costly_modules(arguments, options.modules):
            print(f"    {line}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
