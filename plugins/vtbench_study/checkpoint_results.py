"""Checkpoints of a study, and what their redundancy says about their answers: one row each, and slopes over all rows.

A checkpoint is a finished model, a model that was kept on the way of its training, or a shipped model. The rows are
read from stored runs; the slopes are those of a mixed model with random effects of arm and training run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vtbench.stats import holm
from vtbench_redundancy.scores.stored_scores import with_details
from vtbench_study.mixed_model import fit_mixed_model
from vtbench_study.model_results import main_score, mean_of_known, read_tests, share_kept, stored_results
from vtbench_study.plan import Cell, Plan

PREDICTORS = ("rs", "n_eff_16", "cue_information", "cue_kept")
OUTCOMES = ("drop_area", "drop_f95", "accuracy")
FEWEST = 15
"""Checkpoints under which nothing is fitted."""


def checkpoint_name(cell: str, step: int) -> str:
    """Return the name of a model as it was after `step` steps."""
    return f"{cell}@{step}"


def checkpoints_of(cell: Cell, plan: Plan) -> list[tuple[str, float]]:
    """Return a cell's checkpoints: names, and the share of the training that is done. The base has none."""
    if cell.kind == "base":
        return []
    kept = plan.kept_steps() if cell.families else []
    return [*((checkpoint_name(cell.name, step), step / plan.steps) for step in kept), (cell.name, 1.0)]


def read_checkpoint(directory: Path, name: str, families: Sequence[str]) -> dict[str, Any] | None:
    """Return a checkpoint's numbers; None if it is not measured.

    Returns:
        `protocol`; `rs`, `n_eff_16`, `discarded`, `cue_information` on the probe set; `rs_kept` and `cue_kept`, the
        share of the information that a quarter of the tokens has; `accuracy`, `drop_area` and `drop_f95`, means over
        `families`. A number that a run does not have is None, such as the drop curve of a model without budgets.
    """
    answers, probe, drop = (stored_results(directory / "runs" / name / part) for part in ("answers", "probe", "drop"))
    if answers is None or probe is None or drop is None:
        return None
    scores = with_details(probe["scores"]["probe"])
    found = {"protocol": scores["rs"]["detail"].get("protocol")}
    found |= {key: scores[key]["value"] if key in scores else None for key in
             ("rs", "n_eff_16", "discarded", "cue_information")}  # fmt: skip
    found |= {"rs_kept": share_kept(scores.get("rs")), "cue_kept": share_kept(scores.get("cue_information"))}
    # a model that was trained on one of the study's tests has answered it as a test
    tested = [family for family in families if family not in answers["scores"]]
    on_tests = read_tests(directory / "runs" / name, tested)
    if on_tests is None:
        return None
    accuracy = {family: main_score(scores) for family, scores in answers["scores"].items()} | on_tests
    found["accuracy"] = mean_of_known([accuracy[family]["value"] for family in families])
    for key in ("drop_area", "drop_f95"):
        values = [drop["scores"][family].get(key, {}).get("value") for family in families]
        found[key] = None if None in values else mean_of_known(values)
    return found


def shipped_results(directory: Path, cell: Cell, plan: Plan) -> dict[str, Any] | None:
    """Return a shipped model's `accuracy` by family, `redundancy` on the probe set and `tests`; None if not finished.

    They have the form of `read_model_results`, of which a shipped model has no more.
    """
    home = directory / "runs" / cell.name
    answers, probe = (stored_results(home / part) for part in ("answers", "probe"))
    tests = read_tests(home, plan.tests)
    if answers is None or probe is None or tests is None:
        return None
    accuracy = {family: main_score(answers["scores"][family]) for family in plan.families}
    rs = {"rs": {"value": probe["scores"]["probe"]["rs"]["value"]}}
    return {"name": cell.name, "arm": cell.arm, "accuracy": accuracy, "ranking": {}, "redundancy": rs, "tests": tests}


def checkpoint_rows(cells: Sequence[Cell], plan: Plan, directory: Path) -> list[dict[str, Any]]:
    """Return a row for each measured checkpoint: its name, `arm`, `run`, `share` of its training, and its numbers."""
    rows = []
    for cell in cells:
        for name, share in checkpoints_of(cell, plan):
            if found := read_checkpoint(directory, name, cell.families or list(plan.families)):
                rows.append({"checkpoint": name, "arm": cell.arm, "run": cell.name, "share": share} | found)
    return rows


def association_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each predictor says about each outcome, beyond what arm, run and progress of training say.

    The outcome is regressed on the predictor, both in standard deviations over the checkpoints, and on log2 of the
    share of the training, with random effects of arm and run.

    Args:
        rows: of `checkpoint_rows`; those without a number are left out of its fits.

    Returns:
        `slope` in standard deviations of the outcome for one of the predictor, with `low` and `high` (95 %) and `p`;
        `p_holm`, adjusted for all fits here; `checkpoints` and `arms`, their numbers; `arm_sd`, `run_sd` and `rest_sd`.
        Predictors that no checkpoint has are left out; a slope is None with fewer than 15 checkpoints.
    """
    found = [_association(rows, predictor, outcome) for predictor in PREDICTORS for outcome in OUTCOMES
             if any(row[predictor] is not None for row in rows)]  # fmt: skip
    return [row | {"p_holm": p} for row, p in zip(found, holm([row["p"] for row in found]), strict=True)]


def _association(rows: Sequence[Mapping[str, Any]], predictor: str, outcome: str) -> dict[str, Any]:
    known = [row for row in rows if row[predictor] is not None and row[outcome] is not None]
    arms, runs = [row["arm"] for row in known], [row["run"] for row in known]
    about = {"predictor": predictor, "outcome": outcome, "checkpoints": len(known), "arms": len(set(arms))}
    x, y = (np.array([row[name] for row in known], float) for name in (predictor, outcome))
    fit = None
    if len(known) >= FEWEST and np.ptp(x) > 0 and np.ptp(y) > 0:
        progress = [math.log2(row["share"]) for row in known]
        fixed = [np.ones(len(x)), *([np.array(progress)] if np.ptp(progress) > 0 else []), (x - x.mean()) / x.std()]
        fit = fit_mixed_model((y - y.mean()) / y.std(), np.column_stack(fixed), arms, runs)
    names = ("slope", "low", "high", "p", "p_holm", "arm_sd", "run_sd", "rest_sd")
    if fit is None:
        return about | dict.fromkeys(names)
    return about | dict(
        zip(names, (fit.slope, *fit.interval(), fit.p(), None, fit.arm, fit.run, fit.residual), strict=True)
    )
