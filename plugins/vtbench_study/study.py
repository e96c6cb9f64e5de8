"""THE STUDY: a plan in, the paper's experiment with our numbers out. Killed at any time, it goes on where it was.

plan.json                       what is studied, and versions
models/, runs/, tokens/, logs/  what each model left                      (see cell.py)
study.json                      everything that was found                 (see summary.py)
*.csv, table.md                 the same as tables                        (see writing.py)
report.html                     the same for people                       (see page.py)
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vtbench.engine.local import Local
from vtbench.executor import Executor, Job, JobResult
from vtbench.registry import Registry
from vtbench.runs.provenance import differing, git_commit, strict, versions
from vtbench.runs.writer import disk, write_file
from vtbench.scenes.items import BENCHMARK
from vtbench_study.errors import StudyError
from vtbench_study.gathering import example_picture, gather
from vtbench_study.page import study_page
from vtbench_study.plan import Plan, check_families
from vtbench_study.summary import summarise
from vtbench_study.writing import files
from vtbench_training.bases import checkpoint_of

Show = Callable[[JobResult, int, int], None]


def study(
    plan: Plan,
    directory: Path,
    executor: Executor | None = None,
    device: str = "auto",
    show: Show = lambda ended, done, of: None,
) -> dict[str, Any]:
    """Train and measure every model of the plan, and return what `summary.summarise` makes of them.

    Started again with the same plan, it goes on with what is missing, to the same numbers.

    Args:
        plan: what to study.
        directory: for all that it leaves; made where it does not exist.
        executor: what runs the models' jobs; processes of this machine by default.
        device: where models run: `auto`, `cpu`, `cuda`.
        show: is told of each model that ends, how many have, and of how many.

    Raises:
        VtbenchError: an unknown family, a base that cannot be trained, another plan in the directory. Where models
            failed: which and why, once all others are done and written.
    """
    check_families(plan, Registry().task_dirs())
    checkpoint_of(plan.base)
    facts = _claim(plan, directory)
    missing = [cell for cell in plan.cells() if gather(directory, cell) is None]
    jobs = [
        Job(
            cell.name,
            (sys.executable, "-m", "vtbench_study.cell", str(directory.resolve()), cell.name, device),
            directory / "logs" / f"{cell.name}.log",
        )
        for cell in missing
    ]
    of = len(plan.cells())
    failed = []
    for done, ended in enumerate((executor or Local()).run(jobs), start=of - len(jobs) + 1):
        show(ended, done, of)
        failed += [ended] if ended.error else []
    document = write(plan, directory, facts)
    if failed:
        first = failed[0]
        raise StudyError(
            f"{len(failed)} of {of} models failed; the first is {first.name}: {first.error}. What is done is kept and "
            f"written to {directory}; the same command goes on"
        )
    return document


def write(plan: Plan, directory: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """Summarise what is finished, write it as JSON, CSV and HTML, and return it."""
    found = [gathered for cell in plan.cells() if (gathered := gather(directory, cell)) is not None]
    document: dict[str, Any] = strict(summarise(plan, found, facts))
    write_file(directory / "study.json", json.dumps(document, allow_nan=False) + "\n")
    for name, text in files(document).items():
        write_file(directory / name, text)
    write_file(directory / "report.html", study_page(document, example_picture(directory)))
    return document


def _claim(plan: Plan, directory: Path) -> dict[str, Any]:
    """Write what is studied here, or see that it is what was studied here before; return versions and hardware."""
    path, said = directory / "plan.json", strict(plan.document())
    if path.exists():
        there: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if there["plan"] != said:
            raise StudyError(
                f"{path}: another study lies here, which differs in {', '.join(differing(said, there['plan']))}; set "
                "these alike, or choose another directory"
            )
        facts: dict[str, Any] = there["facts"]
        return facts
    with disk(directory):
        directory.mkdir(parents=True, exist_ok=True)
    facts = _facts()
    write_file(path, json.dumps({"plan": said, "facts": facts}, indent=2) + "\n")
    return facts


def _facts() -> dict[str, Any]:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "benchmark": BENCHMARK,
        "versions": versions(Registry().plugins()) | {"torch": torch.__version__},
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "gpu": gpu},
        "git": git_commit(),
    }
