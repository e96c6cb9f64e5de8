"""Studies that were measured in several directories, joined into one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_models import FACTS, FALLING, fake_results

from vtbench.registry import Registry
from vtbench_study.checkpoint_results import OUTCOMES, PREDICTORS
from vtbench_study.cli import study as command
from vtbench_study.errors import StudyError
from vtbench_study.joined_study import join_studies
from vtbench_study.measured_models import MeasuredModel, measured_models, write_measured
from vtbench_study.plan import Plan
from vtbench_study.study import write_study
from vtbench_study.summary import summarise

ALONE: dict[str, Any] = {"mixes": {}, "penalties": {}, "full_rate": (), "snapshots": (), "shipped": ()}
PLAN = Plan(seeds=(0, 1, 2), **ALONE)


def results(plan: Plan) -> list[dict[str, Any]]:
    of_all = {"protocol": "rs-v2"}
    found = [fake_results(cell, plan, rs=FALLING.get(cell.arm, 0.6)) | {"tests": {}} for cell in plan.cells()]
    return [one | {"redundancy": one["redundancy"] | of_all} for one in found]


def measured(directory: Path, plan: Plan, facts: Mapping[str, Any] = FACTS, rs_of_base: float | None = None) -> Path:
    """Write what a part of a study leaves: plan.json, and a file for each model."""
    directory.mkdir()
    (directory / "plan.json").write_text(json.dumps({"plan": plan.document(), "facts": facts}))
    models = []
    for cell, found in zip(plan.cells(), results(plan), strict=True):
        if cell.kind == "base" and rs_of_base is not None:
            found["redundancy"]["rs"]["value"] = rs_of_base
        row = {"checkpoint": cell.name, "arm": cell.arm, "run": cell.name, "share": 1.0, "protocol": "rs-v2"}
        numbers = dict.fromkeys((*PREDICTORS, *OUTCOMES))
        models.append(MeasuredModel(cell, found, [row | numbers] if cell.families else [], True))
    write_measured(directory, models)
    return directory


def test_parts_make_the_study_that_one_directory_would_have_made(tmp_path: Path) -> None:
    parts = [measured(tmp_path / f"part{n}", replace(PLAN, seeds=seeds)) for n, seeds in enumerate([(2,), (0, 1)])]
    joined = join_studies(parts, tmp_path / "all")
    whole = summarise(PLAN, results(PLAN), FACTS)
    for key in ("plan", "table", "transfer", "claims", "layers", "drop", "cues", "models", "missing"):
        assert joined[key] == json.loads(json.dumps(whole[key])), key
    assert joined["claims"][0]["verdict"] == "reproduced"
    assert len(joined["checkpoints"]) == 12
    assert joined["facts"]["parts"] == [FACTS, FACTS]
    assert json.loads((tmp_path / "all/study.json").read_text()) == joined
    assert "<html" in (tmp_path / "all/report.html").read_text()


def test_what_was_joined_can_be_written_again_and_joined_again(tmp_path: Path) -> None:
    parts = [measured(tmp_path / f"part{seed}", replace(PLAN, seeds=(seed,))) for seed in (0, 1, 2)]
    first = join_studies(parts[:2], tmp_path / "two")
    assert write_study(replace(PLAN, seeds=(0, 1)), tmp_path / "two", first["facts"]) == first
    assert join_studies([tmp_path / "two", parts[2]], tmp_path / "three")["table"] == json.loads(
        json.dumps(summarise(PLAN, results(PLAN), FACTS)["table"])
    )


def test_arms_of_several_parts_stand_beside_each_other(tmp_path: Path) -> None:
    mix = {"balanced": dict.fromkeys(PLAN.families, 1.0)}
    parts = [measured(tmp_path / "families", PLAN), measured(tmp_path / "mix", replace(PLAN, seeds=(7,), mixes=mix))]
    joined = join_studies(parts, tmp_path / "all")
    assert joined["plan"]["seeds"] == [0, 1, 2, 7]
    assert [row["seeds"] for row in joined["table"] if row["arm"] in ("coarse", "balanced")] == [[0, 1, 2, 7], [7]]
    assert joined["missing"] == ["balanced-0", "balanced-1", "balanced-2"]


@pytest.mark.parametrize(
    ("other", "facts", "message"),
    [
        ({"steps": 600}, FACTS, r"not of the study in .*one, as it differs in steps \(1200 there, 600 here\)"),
        ({"images": 500}, FACTS, r"differs in images \(2000 there, 500 here\)"),
        ({}, FACTS | {"benchmark": "c"}, r'differs in benchmark \("b" there, "c" here\)'),
        ({"seeds": (1,)}, FACTS, r"two: coarse-1 was measured in .*one, too; give one of them"),
    ],
)
def test_parts_of_different_studies_are_not_joined(
    tmp_path: Path, other: dict[str, Any], facts: dict[str, Any], message: str
) -> None:
    parts = [
        measured(tmp_path / "one", replace(PLAN, seeds=(0, 1))),
        measured(tmp_path / "two", replace(PLAN, **{"seeds": (2,)} | other), facts),
    ]
    with pytest.raises(StudyError, match=message):
        join_studies(parts, tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_parts_of_different_bases_are_not_joined(tmp_path: Path) -> None:
    parts = [
        measured(tmp_path / "one", replace(PLAN, seeds=(0,))),
        measured(tmp_path / "two", replace(PLAN, seeds=(1,)), rs_of_base=0.75),
    ]
    with pytest.raises(StudyError, match=r"the base's RS is 0\.7000 there and 0\.7500 here, so the bases or the code"):
        join_studies(parts, tmp_path / "all")


def test_an_arm_is_the_same_in_all_parts(tmp_path: Path) -> None:
    parts = [
        measured(
            tmp_path / str(seed), replace(PLAN, seeds=(seed,), mixes={"two": {"coarse": 1.0, "relational": weight}})
        )
        for seed, weight in ((0, 1.0), (1, 2.0))
    ]
    with pytest.raises(StudyError, match="the mix 'two' differs between the studies"):
        join_studies(parts, tmp_path / "all")


def test_what_is_no_part_of_a_study_is_one_line(tmp_path: Path) -> None:
    part = measured(tmp_path / "one", PLAN)
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "plan.json").write_text(json.dumps({"plan": PLAN.document(), "facts": FACTS}))
    for parts, output, message in (
        ([part], "all", "two or more directories"),
        ([part, tmp_path / "nothing"], "all", "nothing/plan.json: cannot be read"),
        ([part, tmp_path / "trained"], "all", "trained: no model of this study is measured; run it first"),
        ([part, part], "one", "one: holds a study already; choose another --output"),
    ):
        with pytest.raises(StudyError, match=message):
            join_studies(parts, tmp_path / output)
    (part / "measured" / "coarse-0.json").write_text("{")
    with pytest.raises(StudyError, match=r"coarse-0\.json: broken: .*; remove it to measure the model again"):
        join_studies([part, part], tmp_path / "all")


def test_a_model_without_a_new_test_is_not_finished(tmp_path: Path) -> None:
    part = measured(tmp_path / "one", PLAN)
    assert all(model.finished for model in measured_models(PLAN, part))
    more = replace(PLAN, tests=("natural_coarse",))
    assert not any(model.finished for model in measured_models(more, part))


def test_the_command_joins_and_takes_no_plan(tmp_path: Path) -> None:
    parts = [measured(tmp_path / f"p{seed}", replace(PLAN, seeds=(seed,))) for seed in (0, 1)]
    options = ["--join", ",".join(map(str, parts)), "--output", str(tmp_path / "all")]
    refused = CliRunner().invoke(command, [*options, "--steps", "7"], obj=Registry())
    assert "--join: the plan is that of the joined studies; leave out --steps" in str(refused.exception)
    result = CliRunner().invoke(command, [*options, "--json"], obj=Registry())
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["plan"]["seeds"] == [0, 1]
