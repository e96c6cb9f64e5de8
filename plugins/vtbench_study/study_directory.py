"""What must hold before a study begins: its plan can be carried out, and its directory holds no other study.

`plan.json` binds checkpoints to the settings that decide what is trained, and measurements to all settings; tests and
arms may be added.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vtbench.errors import AdapterError, VtbenchError, install_command, nearest
from vtbench.registry import Registry
from vtbench.runs.disk import disk, write_file
from vtbench.runs.git_commit import git_commit
from vtbench.runs.json_file import read_object
from vtbench.runs.provenance import differing, strict, versions
from vtbench.scenes.items import BENCHMARK
from vtbench.task.catalog import find_task_files
from vtbench.task.locations import open_task, task_locations
from vtbench_hf.checkpoint.config import checked_config
from vtbench_hf.checkpoint.files import ZOO, zoo_checkpoint
from vtbench_study.errors import StudyError
from vtbench_study.plan import ARMS, GROWING, OFF, Plan
from vtbench_training.finetune.base_model import base_directory
from vtbench_training.finetune.training_tasks import training_tasks


def check_protocols(protocols: Iterable[str], directory: Path) -> None:
    """Check that RS of all models has one protocol, as two do not compare.

    Raises:
        StudyError: there are several.
    """
    names = list(dict.fromkeys(protocols))
    if len(names) > 1:
        raise StudyError(
            f"{directory}: RS of its models would be of {' and '.join(names)}, which do not compare; "
            "remove its runs/ and measured/, to measure all models again, or choose another --output"
        )


def check_tasks(plan: Plan, registry: Registry) -> None:
    """Check that there are all tasks of a plan, and that those that are trained on can be, before anything is trained.

    Raises:
        VtbenchError: names the unknown task and the closest known one, the file that has the name of another, or what
            keeps a task from training.
    """
    known = find_task_files(registry.task_dirs())
    for file in plan.files:
        if Path(file).stem in known:
            raise StudyError(f"study: {file} has the name of {known[Path(file).stem]}; rename it")
    trained = list(dict.fromkeys([*plan.families, *(family for mix in plan.mixes.values() for family in mix)]))
    for what, tasks in (("family", trained), ("test", plan.tests)):
        for task in tasks:
            if plan.location(task) == task and task not in known:
                raise VtbenchError(f"study: unknown {what} {task!r}.{nearest(task, list(known), 'vtbench ls tasks')}")
    training_tasks({plan.location(task): 1.0 for task in trained}, 0, registry)
    for task in plan.tests:
        open_task(task_locations([plan.location(task)], registry)[0], registry)


def check_sizes(plan: Plan, registry: Registry) -> None:
    """Check that there are as many items as the plan says that models answer, before hours of training.

    Raises:
        VtbenchError: names the setting, and how many items there are.
    """
    trained = {*plan.families, *(family for cell in plan.cells() for family in cell.families)}
    wanted = [(family, setting) for family in sorted(trained) for setting in ("items", "dropped")]
    for task, setting in [*wanted, ("probe", "images"), ("probe", "probed")]:
        there = len(open_task(task_locations([plan.location(task)], registry)[0], registry))
        if (asked := getattr(plan, setting)) > there:
            raise StudyError(f"study: --{setting} {asked} is more than the {there} items of {task}; ask for fewer")


def check_shipped(plan: Plan, *, measured: bool) -> None:
    """Check that the shipped models are there, before hours of training.

    Args:
        plan: of the study.
        measured: whether they are measured now; if not, their package may still be missing.

    Raises:
        VtbenchError: no adapter has such a name, or none of its models ships, or their package is not installed.
    """
    for model in plan.shipped:
        Registry().find("model", model)
    others = [model for model in plan.shipped if model != "llava"]
    if find_spec(ZOO) is not None:
        for model in others:
            if zoo_checkpoint(model) is None:
                raise StudyError(f"study: --shipped {model}: no model of this adapter ships; leave it out")
    elif others and measured:
        raise StudyError(
            f"study: the shipped models {', '.join(plan.shipped)} need their package: {install_command('zoo')}, or "
            "leave them out with --shipped llava"
        )


def check_base(base: str) -> None:
    """Check that the base is there, before each of the models fails without it.

    Raises:
        StudyError: it is neither a checkpoint of a LLaVA nor the name of one on the hub.
    """
    try:
        if directory := base_directory(base):
            checked_config("llava", str(directory), {"trust_remote_code": False}, ("llava",), ())
    except AdapterError as error:
        raise StudyError(f"study: --from: {error}") from error


def claim_directory(plan: Plan, directory: Path, *, measured: bool) -> dict[str, Any]:
    """Write plan.json, or check that it holds the same study, and return the facts that it records.

    Checkpoints are bound to the settings that decide what is trained. Until something is measured, and again where
    runs/ and measured/ were removed, the other settings may change, and the facts become those of the code that
    measures. Tests and arms beside the families may be added at any time; seeds until something is measured, as seeds
    that are added once the p-values are known make them too small.

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
        is_bound = any((directory / "runs").glob("*/*")) or any((directory / "measured").glob("*.json"))
        growing = ARMS if is_bound else ARMS | {"seeds"}
        here = {name: value for name, value in settings.items() if name not in GROWING}
        here = here if is_bound else strict(plan.training())
        here = {name: value for name, value in here.items() if not (name in growing and _holds(value, known.get(name)))}
        if differences := differing(here, {name: known[name] for name in here if name in known}):
            raise StudyError(
                f"{path}: this is another study, which differs in {', '.join(differences)}; "
                "use the same settings, or another directory"
            )
        before: dict[str, Any] = stored.get("facts") or {}
        if is_bound or not measured:
            growing = growing | GROWING
            if any(there.get(name) != settings.get(name) for name in growing):
                kept = {name: value for name, value in there.items() if name not in growing}
                grown = kept | {name: settings[name] for name in growing if name in settings}
                write_plan(directory, grown, before)
            return before
        facts["trained"] = before.get("trained", facts["trained"])
    write_plan(directory, settings, facts)
    return facts


def write_plan(directory: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write plan.json: the settings of a study, as `Plan.document` has them, and the facts about what made it."""
    with disk(directory):
        directory.mkdir(parents=True, exist_ok=True)
    write_file(directory / "plan.json", json.dumps({"plan": settings, "facts": facts}, indent=2) + "\n")


def _holds(more: Any, stored: Any) -> bool:
    """Return whether a setting has all that the stored one has: the same entries of a mapping, or members of a list."""
    if isinstance(more, dict) and isinstance(stored, dict):
        return stored.items() <= more.items()
    return isinstance(more, list) and isinstance(stored, list) and all(value in more for value in stored)


def _environment() -> dict[str, Any]:
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "benchmark": BENCHMARK,
        "versions": versions(Registry().plugins()) | {"torch": torch.__version__},
        "hardware": {"machine": platform.machine(), "cores": os.cpu_count(), "gpu": gpu},
        "git": git_commit(),
    }
