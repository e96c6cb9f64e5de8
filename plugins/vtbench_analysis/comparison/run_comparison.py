"""The comparison of finished runs: for each task, a table of paired tests on the samples that all runs share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from vtbench.errors import install_command
from vtbench.runs.provenance import strict
from vtbench.stats import holm
from vtbench_analysis.comparison.ratio_terms import RATIO_METRICS
from vtbench_analysis.comparison.score_rows import (
    ScoreRow,
    answer_rows,
    cost_rows,
    drop_curve_rows,
    ratio_rows,
    untested_rows,
)
from vtbench_analysis.comparison.shared_samples import SharedSamples, shared_tasks
from vtbench_analysis.errors import AnalysisError
from vtbench_analysis.stored_run import StoredRun, open_run

MAX_RUNS = len(ascii_uppercase)
"""Each run is named by a letter."""


@dataclass(frozen=True)
class TaskComparison:
    """The table of one task."""

    shared: SharedSamples
    rows: tuple[ScoreRow, ...]
    adjusted_p: tuple[tuple[float | None, ...], ...]
    """For each row the p-values of its differences, Holm-adjusted over the whole table."""
    not_compared: Mapping[str, str]
    """Metrics of the runs that are not in the table, and why."""


@dataclass(frozen=True)
class RunComparison:
    """Several runs on shared samples. `tables` is by task."""

    runs: tuple[StoredRun, ...]
    tables: Mapping[str, TaskComparison]

    @property
    def remarks(self) -> list[str]:
        """Say in one line each what is wrong with a run's samples, and that the runs were asked in different ways."""
        found = [text for run in self.runs for task in self.tables for text in run.remarks(task)]
        asked = [f"{task}: {self.asked(task)}" for task in self.tables if len({r.asked(task) for r in self.runs}) > 1]
        if asked:
            found.append(f"the runs were asked in different ways, which moves scores too: {'; '.join(asked)}")
        return found

    def asked(self, task: str) -> str:
        """Say how the task's questions were put: once if all runs were asked alike, else for each run."""
        each = {letter: run.asked(task) for letter, run in zip(ascii_uppercase, self.runs, strict=False)}
        alike = dict.fromkeys(each.values())
        return next(iter(alike)) if len(alike) == 1 else ", ".join(f"{letter} {how}" for letter, how in each.items())

    @property
    def document(self) -> dict[str, Any]:
        """The whole comparison, JSON-able."""
        letters = ascii_uppercase[: len(self.runs)]
        runs = {letter: run.summary() for letter, run in zip(letters, self.runs, strict=True)}
        tasks = {
            task: _table_document(table, letters)
            | {"asked": {letter: run.asked(task) for letter, run in zip(letters, self.runs, strict=True)}}
            for task, table in self.tables.items()
        }
        found: dict[str, Any] = strict({"runs": runs, "tasks": tasks})
        return found


def compare(paths: Sequence[str | Path]) -> RunComparison:
    """Test how runs differ from the first one, on the samples that all of them share.

    Args:
        paths: directories of two finished runs or more.

    Raises:
        ResultsError: there is no run at a path.
        AnalysisError: fewer than two runs, an unfinished one, or runs that share no task or sample.
    """
    if not 2 <= len(paths) <= MAX_RUNS:
        raise AnalysisError(f"compare takes 2 to {MAX_RUNS} runs, not {len(paths)}; `vtbench ls runs` lists them")
    runs = tuple(open_run(Path(path)) for path in paths)
    return RunComparison(runs, {shared.task: compare_task(shared, runs) for shared in shared_tasks(runs)})


def compare_task(shared: SharedSamples, runs: Sequence[StoredRun]) -> TaskComparison:
    """Compare every score of one task that all runs have."""
    metrics = [list(run.facts["metrics"][shared.task]) for run in runs]
    rows: list[ScoreRow] = []
    not_compared: dict[str, str] = {}
    for metric in dict.fromkeys(name for names in metrics for name in names):
        if not all(metric in names for names in metrics):
            not_compared[metric] = "not every run has it"
            continue
        tested: list[ScoreRow] = []
        if metric in RATIO_METRICS:
            stored = runs[0].scores(shared.task)
            tested = [replace(row, score=stored_name(row.score, metric, stored)) for row in ratio_rows(shared, metric)]
        elif (name := metric.partition(":")[0]) in _VISUAL_METRICS:
            try:
                tested = _VISUAL_METRICS[name](shared, metric, runs)
            except ImportError as error:
                not_compared[metric] = f"needs {error.name}: {install_command('hf')}"
        rows += tested + untested_rows(shared, metric, runs, [row.score for row in tested])
    rows += answer_rows(shared) + cost_rows(shared)
    adjusted = iter(holm([difference.p for row in rows for difference in row.differences]))
    adjusted_p = tuple(tuple(next(adjusted) for _ in row.differences) for row in rows)
    return TaskComparison(shared, tuple(rows), adjusted_p, not_compared)


def stored_name(score: str, metric: str, stored: Collection[str]) -> str:
    """Return the name that a score has among a run's: behind its metric's, where two metrics have one of this name."""
    return full if (full := f"{metric}.{score}") in stored else score


def _redundancy_rows(shared: SharedSamples, metric: str, runs: Sequence[StoredRun]) -> list[ScoreRow]:
    from vtbench_analysis.comparison.redundancy_rows import redundancy_rows, stored_protocol  # imports torch

    return redundancy_rows(shared, metric, [stored_protocol(run.scores(shared.task), metric) for run in runs])


def _drop_curve_rows(shared: SharedSamples, metric: str, runs: Sequence[StoredRun]) -> list[ScoreRow]:
    return drop_curve_rows(shared, metric)


_VISUAL_METRICS: Mapping[str, Callable[[SharedSamples, str, Sequence[StoredRun]], list[ScoreRow]]] = {
    "redundancy": _redundancy_rows,
    "redundancy_layers": _redundancy_rows,
    "drop_curve": _drop_curve_rows,
}
"""By name of the metric, what compares its scores."""


def _table_document(table: TaskComparison, letters: str) -> dict[str, Any]:
    shared = table.shared
    return {
        "shared": len(shared),
        "samples": dict(zip(letters, shared.n_samples, strict=True)),
        "failed": dict(zip(letters, shared.n_failed, strict=True)),
        "other_pictures": shared.n_other_images,  # the key of documents that are already stored
        "other_questions": shared.n_other_questions,
        "other_sizes": shared.n_other_sizes,
        "scores": {
            row.score: _row_document(row, adjusted, letters)
            for row, adjusted in zip(table.rows, table.adjusted_p, strict=True)
        },
        "not_compared": dict(table.not_compared),
    }


def _row_document(row: ScoreRow, adjusted_p: Sequence[float | None], letters: str) -> dict[str, Any]:
    values = {
        letter: {"value": v.value, "interval": v.interval, "flags": list(v.flags)}
        for letter, v in zip(letters, row.values, strict=True)
    }
    differences = {
        letter: {
            "value": d.value,
            "interval": d.interval,
            "p": d.p,
            "p_holm": p_holm,
            "test": d.test,
            "flags": list(d.flags),
        }
        for letter, d, p_holm in zip(letters[1:], row.differences, adjusted_p, strict=True)
    }
    facts = {"metric": row.metric, "percent": row.percent, "n": row.n}
    return facts | {"values": values, "differences": differences}
