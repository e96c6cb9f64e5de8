"""Runs a study: trains and measures every model of a plan, and writes the paper's experiment with measured numbers.

A study can be killed at any time; started again, it resumes. Its directory:

    plan.json                       the plan, and the versions that trained and measured it
    models/, runs/, tokens/, logs/  of each model                             (model_job.py)
    measured/                       the numbers of each model, in small files (measured_models.py)
    study.json                      the document: all tables and verdicts     (summary.py)
    *.csv, table.md                 the tables                                (table_files.py)
    report.html                     the page                                  (html_report.py)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from vtbench.engine.local import Local
from vtbench.executor import Executor, Job, JobResult
from vtbench.registry import Registry
from vtbench.report.terms import Terms
from vtbench.runs.disk import write_file
from vtbench.runs.provenance import strict
from vtbench_hf.checkpoint.placement import choose_device
from vtbench_redundancy.protocol import Protocol
from vtbench_study.bridge import bridge_rows
from vtbench_study.errors import StudyError
from vtbench_study.html_report import study_page
from vtbench_study.measured_models import measured_models, protocols, write_measured
from vtbench_study.model_job import is_trained
from vtbench_study.model_results import example_image
from vtbench_study.plan import Cell, Plan
from vtbench_study.study_directory import (
    check_base,
    check_protocols,
    check_shipped,
    check_sizes,
    check_tasks,
    claim_directory,
)
from vtbench_study.summary import summarise
from vtbench_study.table_files import table_files
from vtbench_training.finetune.base_model import base_arguments

OnProgress = Callable[[JobResult, int, int], None]
"""Called with the outcome of a model's job, the number of models done, and the number of all models."""


def run_study(
    plan: Plan,
    directory: Path,
    executor: Executor | None = None,
    device: str = "auto",
    on_progress: OnProgress = lambda ended, done, total: None,
) -> dict[str, Any]:
    """Train and measure every model of the plan, write the study's files, and return its document.

    Called again with the same plan, it continues with the unfinished models, and the numbers are the same as those of
    an uninterrupted study.

    Args:
        plan: of the study.
        directory: for all files of the study; created if it does not exist.
        executor: runs the models' jobs; by default in processes of this machine.
        device: of the models: `auto`, `cpu`, `cuda`.
        on_progress: called when the job of a model ends.

    Returns:
        What `summary.summarise` returns.

    Raises:
        VtbenchError: an unknown family or shipped model, more items than there are, a base that cannot be trained,
            another plan in the directory, or finished models with RS of another protocol. If models failed, the first
            one and its error, after all others are finished and written.
    """
    _check_start(plan, executor, device, measured=True)
    facts = claim_directory(plan, directory, measured=True)
    models = measured_models(plan, directory)
    unfinished = [model.cell for model in models if not model.finished]
    if unfinished:
        check_protocols([*protocols(models), Protocol().name], directory)
    failed = _run_jobs(unfinished, len(models), directory, "all", executor, device, on_progress)
    document = write_study(plan, directory, facts)
    _raise_first(failed, len(models), directory)
    return document


def train_study(
    plan: Plan,
    directory: Path,
    executor: Executor | None = None,
    device: str = "auto",
    on_progress: OnProgress = lambda ended, done, total: None,
) -> list[str]:
    """Train every model of the plan and measure none, so that `run_study` measures them later, and return their names.

    Arguments and errors are those of `run_study`. Settings that decide measurements alone may be others later.
    """
    _check_start(plan, executor, device, measured=False)
    claim_directory(plan, directory, measured=False)
    cells = [cell for cell in plan.cells() if cell.kind != "base"]
    untrained = [cell for cell in cells if not is_trained(directory, cell)]
    failed = _run_jobs(untrained, len(cells), directory, "train", executor, device, on_progress)
    _raise_first(failed, len(cells), directory)
    return [cell.name for cell in cells]


def _check_start(plan: Plan, executor: Executor | None, device: str, *, measured: bool) -> None:
    check_tasks(plan, Registry())
    check_sizes(plan, Registry())
    check_shipped(plan, measured=measured)
    base_arguments(plan.base)
    if executor is None or isinstance(executor, Local):  # elsewhere are other devices and files
        choose_device(device)
        check_base(plan.base)


def _run_jobs(
    cells: Sequence[Cell],
    total: int,
    directory: Path,
    stage: Literal["train", "all"],
    executor: Executor | None,
    device: str,
    on_progress: OnProgress,
) -> list[JobResult]:
    """Run the jobs of some of `total` models and return the failed ones."""
    command = (sys.executable, "-m", "vtbench_study.model_job", str(directory.resolve()))
    jobs = [
        Job(cell.name, (*command, cell.name, device, stage), directory / "logs" / f"{cell.name}.log") for cell in cells
    ]
    failed = []
    for done, ended in enumerate((executor or Local()).run(jobs), start=total - len(jobs) + 1):
        on_progress(ended, done, total)
        failed += [ended] if ended.error else []
    return failed


def _raise_first(failed: Sequence[JobResult], total: int, directory: Path) -> None:
    if failed:
        first = failed[0]
        raise StudyError(
            f"{len(failed)} of {total} models failed; the first is {first.name}: {first.error}. The others are "
            f"written to {directory}; the same command resumes"
        )


def write_study(plan: Plan, directory: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Summarise the finished models, write the document as JSON, CSV, Markdown and HTML, and return it.

    Raises:
        StudyError: RS of the models was measured by several protocols.
    """
    models = measured_models(plan, directory)
    check_protocols(protocols(models), directory)
    write_measured(directory, models)
    compared = [model.results for model in models if model.results is not None]
    own = [model.results for model in models if model.results is not None and not model.is_shipped]
    found = summarise(plan, own, facts, [row for model in models for row in model.checkpoints])
    registry = Registry()
    document: dict[str, Any] = strict(found | {"bridge": bridge_rows(plan, compared, registry)})
    write_file(directory / "study.json", json.dumps(document, allow_nan=False) + "\n")
    for name, text in table_files(document).items():
        write_file(directory / name, text)
    terms = Terms(registry.scores(), registry.flags())
    write_file(directory / "report.html", study_page(document, terms, example_image(directory)))
    return document
