"""Joins studies whose models were trained and measured in different directories, as on machines that share no disk.

The parts are of one plan, but for their seeds and arms. Nothing is trained or measured; tables, verdicts and page are
computed from all models together. What is joined are the files of measured_models.py, so a part needs no more than its
plan.json and measured/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from vtbench.runs.json_file import read_object
from vtbench.runs.provenance import differing, strict
from vtbench_study.errors import StudyError
from vtbench_study.measured_models import MeasuredModel, measured_models, write_measured
from vtbench_study.plan import ARMS, Plan
from vtbench_study.study import write_study
from vtbench_study.study_directory import write_plan

T = TypeVar("T")
SAME_RS = 0.002
"""Difference of the base's RS that parts may have: other processors round differently; another base differs by more."""


@dataclass(frozen=True, slots=True)
class _Part:
    directory: Path
    plan: Plan
    facts: dict[str, Any]
    models: Sequence[MeasuredModel]


def join_studies(directories: Sequence[Path], output: Path) -> dict[str, Any]:
    """Write the study that the models of several directories make together, and return its document.

    Models that stand in several parts and have no seed (the base, the shipped ones) are taken from the first.

    Args:
        directories: of studies, two or more.
        output: directory of the joined study; it must not hold a study.

    Returns:
        What `summary.summarise` returns; `facts` are those of the first part, with `parts`, the facts of each.

    Raises:
        StudyError: the parts are of different plans, bases or benchmarks, a model was trained in two of them, or
            `output` holds a study already.
    """
    if len(directories) < 2:
        raise StudyError("study: --join takes two or more directories of studies, DIR,DIR")
    if (output / "plan.json").exists():
        raise StudyError(f"{output}: holds a study already; choose another --output")
    parts = [_read(directory) for directory in directories]
    for part in parts[1:]:
        _check_same(parts[0], part)
    models = _distinct(parts)
    facts = parts[0].facts | {"parts": [part.facts for part in parts]}
    plan = _joined_plan([part.plan for part in parts])
    write_plan(output, strict(plan.document()), facts)
    write_measured(output, models)
    return write_study(plan, output, facts)


def _read(directory: Path) -> _Part:
    stored = read_object(directory / "plan.json", StudyError, "; --join takes directories of studies")
    plan = Plan.from_document(stored.get("plan") or {})
    models = measured_models(plan, directory)
    if not any(model.finished for model in models):
        raise StudyError(f"{directory}: no model of this study is measured; run it first")
    return _Part(directory, plan, stored.get("facts") or {}, models)


def _check_same(first: _Part, other: _Part) -> None:
    """Check that what was measured in two directories may stand in one table."""
    if differences := differing(_settings(other), _settings(first)):
        raise StudyError(
            f"{other.directory}: not of the study in {first.directory}, as it differs in {', '.join(differences)}"
        )
    here, there = _base_rs(other), _base_rs(first)
    if here is not None and there is not None and abs(here - there) > SAME_RS:
        raise StudyError(
            f"{other.directory}: not of the study in {first.directory}: the base's RS is {there:.4f} there and "
            f"{here:.4f} here, so the bases or the code differ"
        )


def _settings(part: _Part) -> dict[str, Any]:
    """Return what all parts must have in common."""
    plan = {name: value for name, value in strict(part.plan.document()).items() if name not in ARMS | {"seeds"}}
    facts = part.facts
    return plan | {"benchmark": facts.get("benchmark"), "scoring": facts.get("versions", {}).get("scoring")}


def _base_rs(part: _Part) -> float | None:
    (base,) = (model for model in part.models if model.cell.kind == "base")
    rs: float | None = None if base.results is None else base.results["redundancy"]["rs"]["value"]
    return rs


def _distinct(parts: Sequence[_Part]) -> list[MeasuredModel]:
    """Return each finished model once."""
    found: dict[str, tuple[_Part, MeasuredModel]] = {}
    for part in parts:
        for model in part.models:
            name = model.cell.name
            if not model.finished:
                continue
            if name in found and model.cell.seed is not None:
                raise StudyError(
                    f"{part.directory}: {name} was measured in {found[name][0].directory}, too; give one of them"
                )
            found.setdefault(name, (part, model))
    return [model for _, model in found.values()]


def _joined_plan(plans: Sequence[Plan]) -> Plan:
    """Return the plan with the seeds and arms of all parts."""
    return replace(
        plans[0],
        seeds=tuple(sorted({seed for plan in plans for seed in plan.seeds})),
        mixes=_united("mix", [plan.mixes for plan in plans]),
        penalties=_united("penalty", [plan.penalties for plan in plans]),
        full_rate=tuple(dict.fromkeys(arm for plan in plans for arm in plan.full_rate)),
    )


def _united(what: str, by_part: Sequence[Mapping[str, T]]) -> dict[str, T]:
    """Return the entries of all parts.

    Raises:
        StudyError: an arm is one thing in one part and another in the next.
    """
    found: dict[str, T] = {}
    for entries in by_part:
        for arm, value in entries.items():
            if found.setdefault(arm, value) != value:
                raise StudyError(f"study: --join: the {what} {arm!r} differs between the studies")
    return found
