"""Is `make run` slower than before, and do its figures move? Two checkouts side by side, in alternation.

    python benchmarks/two_checkouts.py OLD NEW [--rounds 5] [--limit 300] [--run "--model llava --tasks relational"]

OLD and NEW are directories of checkouts, each with a `.venv` of its own (`make run` makes one). A round runs
`vtbench run` of both, in an order that turns from round to round, after one round of each that does not count. Printed
are wall and CPU seconds of each run, start and loading included; the median of the rounds' ratios, new over old, with
the lowest and the highest; and which scores differ. Exit status 1: a score moved.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vtbench.runs.git_commit import git_commit
from vtbench.runs.reader import read_results

DEFAULT = "--model llava --tasks relational"
"""What `make run` runs."""
Scores = dict[tuple[str, str], float]
"""By task and name."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout with its own environment."""

    directory: Path

    @classmethod
    def of(cls, text: str) -> Checkout:
        """Return the checkout in a directory.

        Raises:
            SystemExit: it has no environment, or one in which another checkout is installed.
        """
        directory = Path(text).expanduser().resolve()
        python = directory / ".venv" / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"{directory} has no .venv; `make run` there makes it")
        code = "import vtbench; print(vtbench.__file__)"
        done = subprocess.run([python, "-P", "-c", code], capture_output=True, text=True, cwd=directory, check=False)
        if done.returncode:
            raise SystemExit(f"{directory}/.venv has no vtbench; `make run` there installs it")
        found = Path(done.stdout.strip()).resolve()
        if not found.is_relative_to(directory):
            raise SystemExit(f"{directory}/.venv runs the vtbench of {found.parents[1]}, not its own; make it again")
        return cls(directory)

    def run(self, arguments: Sequence[str]) -> tuple[float, float, Scores]:
        """Run `vtbench run`; return its wall seconds, its CPU seconds and its scores.

        Raises:
            SystemExit: it failed; with what it wrote.
        """
        with tempfile.TemporaryDirectory() as output:
            began = time.perf_counter()
            process = subprocess.Popen(
                [self.directory / ".venv" / "bin" / "vtbench", "run", *arguments, "--output", output],
                cwd=output, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
            assert process.stderr is not None
            said = process.stderr.read().decode(errors="replace")
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{self.directory}: vtbench run {shlex.join(arguments)}:\n{said[-2000:]}")
            (run,) = Path(output).iterdir()
            return wall, usage.ru_utime + usage.ru_stime, scores(read_results(run)["results"])


def scores(results: dict[str, dict[str, object]]) -> Scores:
    """Return the numbers of results.json."""
    return {
        (task, name.removesuffix(",none")): float(value)
        for task, named in results.items()
        for name, value in named.items()
        if isinstance(value, int | float)
    }


def differences(old: Scores, new: Scores) -> Iterator[str]:
    """Yield a line for each score that moved, or that only one of the two has."""
    for key in sorted(old.keys() | new.keys()):
        if key not in old or key not in new:
            yield f"{' '.join(key)}: only in the {'old' if key in old else 'new'} one"
        elif old[key] != new[key]:
            yield f"{' '.join(key)}: {old[key]!r} to {new[key]!r}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", metavar="OLD")
    parser.add_argument("new", metavar="NEW")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", help="as `vtbench run` takes it; all items by default")
    parser.add_argument("--run", default=DEFAULT, metavar="ARGUMENTS", help="of `vtbench run`")
    options = parser.parse_args()
    both = {"old": Checkout.of(options.old), "new": Checkout.of(options.new)}
    arguments = [*shlex.split(options.run), *(["--limit", options.limit] if options.limit else [])]
    for name, checkout in both.items():
        print(f"{name}: {checkout.directory}, commit {(git_commit(checkout.directory) or 'unknown')[:12]}")
    print(f"vtbench run {shlex.join(arguments)}")
    moved = list(differences(*(checkout.run(arguments)[2] for checkout in both.values())))
    ratios: list[tuple[float, ...]] = []
    for number in range(options.rounds):
        order = list(both) if number % 2 == 0 else list(both)[::-1]
        took = {name: both[name].run(arguments)[:2] for name in order}
        ratios.append(tuple(new / old for old, new in zip(took["old"], took["new"], strict=True)))
        shown = ", ".join(f"{name} {took[name][0]:.2f} s wall, {took[name][1]:.2f} s CPU" for name in both)
        print(f"round {number + 1}: {shown}; ratios {ratios[-1][0]:.3f} and {ratios[-1][1]:.3f}", flush=True)
    for what, column in zip(("wall time", "CPU time"), zip(*ratios, strict=True), strict=True):
        print(f"{what}, new over old: {statistics.median(column):.3f} ({min(column):.3f} to {max(column):.3f})")
    print("scores: the same" if not moved else "scores that differ:\n  " + "\n  ".join(moved))
    return int(bool(moved))


if __name__ == "__main__":
    sys.exit(main())
