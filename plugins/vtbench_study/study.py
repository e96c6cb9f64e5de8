"""Runs a study: trains and measures every model of a plan, and writes the paper's experiment with measured numbers.

A study can be killed at any time; started again, it resumes. Its directory:

    plan.json                       the plan, and the versions that trained and measured it
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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

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
from vtbench_redundancy.protocol import Protocol
from vtbench_study.errors import StudyError
from vtbench_study.html_report import study_page
from vtbench_study.model_job import is_trained
from vtbench_study.model_results import example_image, protocols_of, read_model_results
from vtbench_study.plan import OFF, Cell, Plan
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
        VtbenchError: an unknown family, a base that cannot be trained, another plan in the directory, or finished
            models with RS of another protocol. If models failed, the first one and its error, after all others are
            finished and written.
    """
    _check_start(plan, executor, device)
    facts = claim_directory(plan, directory, measured=True)
    stored = {cell.name: results for cell in plan.cells() if (results := read_model_results(directory, cell))}
    unfinished = [cell for cell in plan.cells() if cell.name not in stored]
    if unfinished:
        check_protocols([*protocols_of(list(stored.values())), Protocol().name], directory)
    failed = _run_jobs(plan, unfinished, directory, "all", executor, device, on_progress)
    document = write_study(plan, directory, facts)
    _raise_first(failed, len(plan.cells()), directory)
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
    _check_start(plan, executor, device)
    claim_directory(plan, directory, measured=False)
    cells = [cell for cell in plan.cells() if cell.kind != "base"]
    untrained = [cell for cell in cells if not is_trained(directory, cell)]
    failed = _run_jobs(plan, untrained, directory, "train", executor, device, on_progress)
    _raise_first(failed, len(cells), directory)
    return [cell.name for cell in cells]


def _check_start(plan: Plan, executor: Executor | None, device: str) -> None:
    check_families(plan, Registry().task_dirs())
    base_arguments(plan.base)
    if executor is None or isinstance(executor, Local):  # elsewhere are other devices and files
        choose_device(device)
        check_base(plan.base)


def _run_jobs(
    plan: Plan,
    cells: Sequence[Cell],
    directory: Path,
    stage: Literal["train", "all"],
    executor: Executor | None,
    device: str,
    on_progress: OnProgress,
) -> list[JobResult]:
    """Run the jobs of some models and return the failed ones."""
    command = (sys.executable, "-m", "vtbench_study.model_job", str(directory.resolve()))
    jobs = [
        Job(cell.name, (*command, cell.name, device, stage), directory / "logs" / f"{cell.name}.log") for cell in cells
    ]
    total = len(plan.cells()) - (stage == "train")  # the base is not trained
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
    models = [results for cell in plan.cells() if (results := read_model_results(directory, cell)) is not None]
    check_protocols(protocols_of(models), directory)
    document: dict[str, Any] = strict(summarise(plan, models, facts))
    write_file(directory / "study.json", json.dumps(document, allow_nan=False) + "\n")
    for name, text in table_files(document).items():
        write_file(directory / name, text)
    write_file(directory / "report.html", study_page(document, example_image(directory)))
    return document


def check_protocols(protocols: Iterable[str], directory: Path) -> None:
    """Check that RS of all models has one protocol, as two do not compare.

    Raises:
        StudyError: there are several.
    """
    names = list(dict.fromkeys(protocols))
    if len(names) > 1:
        raise StudyError(
            f"{directory}: RS of its models would be of {' and '.join(names)}, which do not compare; "
            "remove its runs/, to measure all models again, or choose another --output"
        )


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


def claim_directory(plan: Plan, directory: Path, *, measured: bool) -> dict[str, Any]:
    """Write plan.json, or check that it holds the same study, and return the facts that it records.

    Checkpoints are bound to the settings that decide what is trained. Until something is measured, and again where
    runs/ was removed, the other settings may change, and the facts become those of the code that measures.

    Args:
        plan: of the study.
        directory: of the study.
        measured: whether measurements begin now.

    Returns:
        Versions, hardware and commit of the code that measures; `trained`: versions and commit of that which trained.

    Raises:
        StudyError: the directory holds another study.
    """
    path, settings, facts = directory / "plan.json", strict(plan.document()), _environment()
    facts["trained"] = {key: facts[key] for key in ("versions", "git")}
    if path.exists():
        stored = read_object(path, StudyError, "; remove it, or choose another --output")
        there = stored.get("plan")
        there = there if isinstance(there, dict) else {}
        known = {name: strict(value) for name, value in OFF.items()} | there
        is_bound = any((directory / "runs").glob("*/*"))
        here = settings if is_bound else strict(plan.training())
        if differences := differing(here, {name: known[name] for name in here if name in known}):
            raise StudyError(
                f"{path}: this is another study, which differs in {', '.join(differences)}; "
                "use the same settings, or another directory"
            )
        before: dict[str, Any] = stored.get("facts") or {}
        if is_bound or not measured:
            return before
        facts["trained"] = before.get("trained", facts["trained"])
    with disk(directory):
        directory.mkdir(parents=True, exist_ok=True)
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
