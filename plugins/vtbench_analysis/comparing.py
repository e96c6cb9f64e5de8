"""`vtbench compare`: finished runs in, for each task a table of paired tests on the samples that they share out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from vtbench.runs.provenance import strict
from vtbench_analysis import costs, own, shares
from vtbench_analysis.errors import AnalysisError
from vtbench_analysis.lines import Line
from vtbench_analysis.opening import StoredRun, open_run
from vtbench_analysis.paired import holm
from vtbench_analysis.readings import READINGS
from vtbench_analysis.sharing import Shared, shared_tasks

MOST = len(ascii_uppercase)
"""Runs are told apart by a letter."""


@dataclass(frozen=True)
class Table:
    """One task."""

    shared: Shared
    lines: tuple[Line, ...]
    adjusted: tuple[tuple[float | None, ...], ...]
    """For each line its p-values after Holm, over all of the table."""
    not_compared: Mapping[str, str]
    """Metrics of the runs that are not in the table, and why."""


@dataclass(frozen=True)
class Comparison:
    """Several runs on shared samples. `tables` is by task."""

    runs: tuple[StoredRun, ...]
    tables: Mapping[str, Table]

    @property
    def document(self) -> dict[str, Any]:
        """Everything, JSON-able."""
        letters = ascii_uppercase[: len(self.runs)]
        runs = {letter: run.about() for letter, run in zip(letters, self.runs, strict=True)}
        tasks = {task: _task(table, letters) for task, table in self.tables.items()}
        found: dict[str, Any] = strict({"runs": runs, "tasks": tasks})
        return found


def compare(paths: Sequence[str | Path]) -> Comparison:
    """Test how runs differ from the first one, on the samples that all of them share.

    Args:
        paths: directories of two finished runs or more.

    Raises:
        ResultsError: there is no run at a path.
        AnalysisError: fewer than two runs, one that is not finished, or runs that share nothing.
    """
    if not 2 <= len(paths) <= MOST:
        raise AnalysisError(f"compare takes 2 to {MOST} runs, not {len(paths)}; `vtbench ls runs` lists them")
    runs = tuple(open_run(Path(path)) for path in paths)
    return Comparison(runs, {shared.task: table(shared, runs) for shared in shared_tasks(runs)})


def table(shared: Shared, runs: Sequence[StoredRun]) -> Table:
    """Compare every score of one task that all runs have."""
    metrics = [list(run.facts["metrics"][shared.task]) for run in runs]
    lines: list[Line] = []
    left: dict[str, str] = {}
    for metric in dict.fromkeys(name for names in metrics for name in names):
        if not all(metric in names for names in metrics):
            left[metric] = "not every run has it"
            continue
        tested: list[Line] = []
        if metric in READINGS:
            tested = shares.lines(shared, metric)
        elif metric in _VISUAL:
            try:
                tested = _VISUAL[metric](shared, metric)
            except ImportError as error:
                left[metric] = f"needs {error.name}: pip install 'vtbench[hf]'"
        lines += tested + own.lines(shared, metric, runs, [line.score for line in tested])
    lines += costs.lines(shared)
    adjusted = iter(holm([apart.p for line in lines for apart in line.differences]))
    return Table(shared, tuple(lines), tuple(tuple(next(adjusted) for _ in line.differences) for line in lines), left)


def _of_redundancy(shared: Shared, metric: str) -> list[Line]:
    from vtbench_analysis import redundancy

    return redundancy.lines(shared, metric)


def _of_drops(shared: Shared, metric: str) -> list[Line]:
    from vtbench_analysis import drops

    return drops.lines(shared, metric)


_VISUAL: Mapping[str, Callable[[Shared, str], list[Line]]] = {
    "redundancy": _of_redundancy,
    "redundancy_layers": _of_redundancy,
    "drop_curve": _of_drops,
}
"""By metric; torch is imported when one is there."""


def _task(table: Table, letters: str) -> dict[str, Any]:
    shared = table.shared
    return {
        "shared": len(shared),
        "samples": dict(zip(letters, shared.of, strict=True)),
        "failed": dict(zip(letters, shared.failed, strict=True)),
        "other_pictures": shared.other_pictures,
        "scores": {
            line.score: _score(line, adjusted, letters)
            for line, adjusted in zip(table.lines, table.adjusted, strict=True)
        },
        "not_compared": dict(table.not_compared),
    }


def _score(line: Line, adjusted: Sequence[float | None], letters: str) -> dict[str, Any]:
    values = {
        letter: {"value": v.value, "interval": v.interval, "flags": list(v.flags)}
        for letter, v in zip(letters, line.values, strict=True)
    }
    differences = {
        letter: {
            "value": d.value,
            "interval": d.interval,
            "p": d.p,
            "p_holm": p_holm,
            "test": d.method,
            "flags": list(d.flags),
        }
        for letter, d, p_holm in zip(letters[1:], line.differences, adjusted, strict=True)
    }
    facts = {"metric": line.metric, "percent": line.percent, "n": line.n}
    return facts | {"values": values, "differences": differences}
