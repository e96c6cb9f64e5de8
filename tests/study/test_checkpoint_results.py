"""Checkpoints: which ones a study has, how they are read from stored runs, and what is said over all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vtbench_study.checkpoint_results import association_rows, checkpoint_rows, checkpoints_of
from vtbench_study.plan import Plan
from vtbench_study.text_report import association_text

PLAN = Plan(seeds=(0, 1), penalties={}, full_rate=("coarse",))
CURVE = [{"tokens": k, "value": value, "low": None, "high": None} for k, value in ((16, 0.6), (64, 1.0))]


def write_run(directory: Path, name: str, part: str, scores: dict[str, Any]) -> None:
    home = directory / "runs" / name / part / "run"
    home.mkdir(parents=True)
    run = {
        "digest": "d",
        "finished": "2026-01-01",
        "config": {"model": "llava"},
        "tasks": {},
        "metrics": {},
        "model": {},
        "keys": {},
    }
    (home / "run.json").write_text(json.dumps(run))
    (home / "results.json").write_text(json.dumps({"scores": scores}))


def score(value: float | None, **detail: Any) -> dict[str, Any]:
    return {"value": value, "stderr": None, "interval": None, "chance": None, "n": 9, "flags": [], "detail": detail}


def write_checkpoint(directory: Path, name: str, accuracy: float, cues: bool = True) -> None:
    probe = {"rs": score(0.7, protocol="rs-v2", curve=CURVE), "n_eff_16": score(6.0), "discarded": score(0.4)}
    if cues:
        probe["cue_information"] = score(30.0, curve=CURVE)
    families = PLAN.families if name.startswith("shipped") else ["coarse"]
    write_run(directory, name, "answers", {family: {"acc": score(accuracy)} for family in families})
    write_run(directory, name, "probe", {"probe": probe})
    write_run(directory, name, "drop", {f: {"drop_area": score(0.5), "drop_f95": score(0.2)} for f in families})


def test_a_model_has_its_kept_steps_and_itself_a_shipped_one_itself_and_the_base_none() -> None:
    assert checkpoints_of(PLAN.cell("coarse-0"), PLAN) == [
        ("coarse-0@300", 0.25),
        ("coarse-0@600", 0.5),
        ("coarse-0", 1),
    ]
    assert checkpoints_of(PLAN.cell("shipped-fuyu"), PLAN) == [("shipped-fuyu", 1.0)]
    assert checkpoints_of(PLAN.cell("base"), PLAN) == []


def test_rows_are_read_from_stored_runs_with_or_without_cue_information(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, "coarse-0@300", 0.5)
    write_checkpoint(tmp_path, "shipped-fuyu", 0.9, cues=False)
    early, shipped = checkpoint_rows([*PLAN.cells(), *PLAN.shipped_cells()], PLAN, tmp_path)
    assert (early["arm"], early["run"], early["share"], early["accuracy"]) == ("coarse", "coarse-0", 0.25, 0.5)
    assert (early["rs"], early["cue_information"], early["cue_kept"], early["protocol"]) == (0.7, 30.0, 0.6, "rs-v2")
    assert (shipped["arm"], shipped["accuracy"], shipped["cue_information"]) == ("shipped-fuyu", 0.9, None)


def rows(slope: float, arms: int = 6) -> list[dict[str, Any]]:
    rng = np.random.default_rng(2)
    found = []
    for arm in range(arms):
        for run in range(3):
            for share in (0.25, 0.5, 1.0):
                rs, noise = rng.normal(0.7, 0.1), rng.normal(0, 0.01)
                found.append({
                    "arm": f"a{arm}", "run": f"a{arm}-{run}", "share": share, "rs": rs, "n_eff_16": None,
                    "cue_information": None, "cue_kept": None, "drop_area": slope * rs + 0.1 * arm + noise,
                    "drop_f95": None, "accuracy": rng.normal(),
                })  # fmt: skip
    return found


def test_a_slope_is_found_where_there_is_one_and_its_p_is_adjusted() -> None:
    by_outcome = {row["outcome"]: row for row in association_rows(rows(slope=-1.0))}
    assert {row["predictor"] for row in by_outcome.values()} == {"rs"}
    found = by_outcome["drop_area"]
    assert found["low"] < found["slope"] < found["high"] < 0
    assert found["p_holm"] == pytest.approx(2 * found["p"])
    assert by_outcome["accuracy"]["p_holm"] > 0.05
    assert by_outcome["drop_f95"]["slope"] is None
    assert "54 checkpoints of 6 arms" in association_text(found)


def test_fewer_than_fifteen_checkpoints_have_no_slope() -> None:
    found = association_rows(rows(slope=-1.0)[:14])[0]
    assert (found["slope"], found["checkpoints"]) == (None, 14)
    assert "too few checkpoints" in association_text(found)
