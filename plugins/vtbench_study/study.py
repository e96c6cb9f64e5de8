"""Runs a study: trains and measures every model of a plan, and writes the paper's experiment with measured numbers.

A study can be killed at any time; started again, it resumes. Its directory:

    plan.json                       the plan, and versions
    models/, runs/, tokens/, logs/  of each model                             (model_job.py)
    study.json                      the document: all tables and verdicts     (summary.py)
    *.csv, table.md                 the tables                                (table_files.py)
    report.html                     the page                                  (html_report.py)
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vtbench.engine.local import Local
from vtbench.errors import AdapterError, VtbenchError, nearest
from vtbench.executor import Executor, Job, JobResult
from vtbench.registry import Registry
from vtbench.runs.disk import disk, write_file
from vtbench.runs.git_commit import git_commit
from vtbench.runs.json_file import read_object
from vtbench.runs.provenance import differing, strict, versions
from vtbench.scenes.items import BENCHMARK
from vtbench.task.catalog import find_task_files
from vtbench_hf.checkpoint.config import checked_config, is_offline
from vtbench_hf.checkpoint.placement import choose_device
from vtbench_llava import SHIPPED
from vtbench_study.errors import StudyError
from vtbench_study.html_report import study_page
from vtbench_study.model_results import example_image, read_model_results
from vtbench_study.plan import Plan
from vtbench_study.summary import summarise
from vtbench_study.table_files import table_files
from vtbench_training.finetune.base_model import base_arguments
from vtbench_training.finetune.settings import OWN_BASE

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
        VtbenchError: an unknown family, a base that cannot be trained, or another plan in the directory. If models
            failed, the first one and its error, after all others are finished and written.
    """
    check_families(plan, Registry().task_dirs())
    base_arguments(plan.base)
    if executor is None or isinstance(executor, Local):  # elsewhere are other devices and files
        choose_device(device)
        check_base(plan.base)
    facts = _claim_directory(plan, directory)
    unfinished = [cell for cell in plan.cells() if read_model_results(directory, cell) is None]
    jobs = [
        Job(
            cell.name,
            (sys.executable, "-m", "vtbench_study.model_job", str(directory.resolve()), cell.name, device),
            directory / "logs" / f"{cell.name}.log",
        )
        for cell in unfinished
    ]
    total = len(plan.cells())
    failed = []
    for done, ended in enumerate((executor or Local()).run(jobs), start=total - len(jobs) + 1):
        on_progress(ended, done, total)
        failed += [ended] if ended.error else []
    document = write_study(plan, directory, facts)
    if failed:
        first = failed[0]
        raise StudyError(
            f"{len(failed)} of {total} models failed; the first is {first.name}: {first.error}. The others are "
            f"written to {directory}; the same command resumes"
        )
    return document


def write_study(plan: Plan, directory: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Summarise the finished models, write the document as JSON, CSV, Markdown and HTML, and return it."""
    models = [results for cell in plan.cells() if (results := read_model_results(directory, cell)) is not None]
    document: dict[str, Any] = strict(summarise(plan, models, facts))
    write_file(directory / "study.json", json.dumps(document, allow_nan=False) + "\n")
    for name, text in table_files(document).items():
        write_file(directory / name, text)
    write_file(directory / "report.html", study_page(document, example_image(directory)))
    return document


def check_families(plan: Plan, task_dirs: Iterable[Path]) -> None:
    """Check that a task file defines each family, before anything is trained.

    Raises:
        VtbenchError: names the unknown family, and the closest known one.
    """
    known = find_task_files(task_dirs)
    for family in {*plan.families, *(family for mix in plan.mixes.values() for family in mix)}:
        if family not in known:
            raise VtbenchError(f"study: unknown family {family!r}.{nearest(family, list(known))}")


def check_base(base: str) -> None:
    """Check that the base is there, before each of the models fails without it.

    Raises:
        StudyError: it is neither a checkpoint of a LLaVA nor the name of one on the hub.
    """
    if base == OWN_BASE or base in SHIPPED:
        return
    path = Path(base).expanduser()
    try:
        if path.is_dir():
            checked_config("llava", str(path), {"trust_remote_code": False}, ("llava",), ())
        else:
            is_offline("llava", base)
    except AdapterError as error:
        raise StudyError(f"study: --from: {error}") from error


def _claim_directory(plan: Plan, directory: Path) -> dict[str, Any]:
    """Write plan.json, or check that it holds the same plan; return the versions and hardware that it records.

    Raises:
        StudyError: the directory holds another study.
    """
    path, settings = directory / "plan.json", strict(plan.document())
    if path.exists():
        stored = read_object(path, StudyError, "; remove it, or choose another --output")
        there = stored.get("plan")
        if there != settings:
            differences = differing(settings, there if isinstance(there, dict) else {})
            raise StudyError(
                f"{path}: this is another study, which differs in {', '.join(differences)}; "
                "use the same settings, or another directory"
            )
        facts: dict[str, Any] = stored.get("facts") or {}
        return facts
    with disk(directory):
        directory.mkdir(parents=True, exist_ok=True)
    facts = _environment()
    write_file(path, json.dumps({"plan": settings, "facts": facts}, indent=2) + "\n")
    return facts


def _environment() -> dict[str, Any]:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "benchmark": BENCHMARK,
        "versions": versions(Registry().plugins()) | {"torch": torch.__version__},
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "gpu": gpu},
        "git": git_commit(),
    }
