"""Further tasks that every model of a study answers, and whether models keep their order on them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_models import FACTS, fake_results, score

from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench_study import study
from vtbench_study.bridge import agreement_rows, bridge_rows, counterparts
from vtbench_study.checkpoint_results import read_checkpoint, shipped_results
from vtbench_study.cli import study as command
from vtbench_study.html_report import study_page
from vtbench_study.model_job import measurement_runs, runs_on_tests
from vtbench_study.model_results import read_tests
from vtbench_study.plan import FAMILIES, Plan
from vtbench_study.study_directory import check_tasks, claim_directory
from vtbench_study.summary import summarise
from vtbench_study.table_files import markdown, table_files
from vtbench_study.text_report import print_study

NATURAL = tuple(f"natural_{family}" for family in FAMILIES)
ALONE: dict[str, Any] = {"mixes": {}, "penalties": {}, "full_rate": (), "snapshots": (), "shipped": ()}
PLAN = Plan(seeds=(0, 1), tests=("natural_coarse", "natural_relational"), **ALONE)
REGISTRY = Registry()
ORDER = dict(zip(("base", *FAMILIES), (0.2, 0.3, 0.5, 0.6, 0.8), strict=True))
"""Accuracy on the tests, by arm."""


def own_task(folder: Path, name: str = "still_life") -> str:
    path = folder / f"{name}.yaml"
    path.write_text(f"task: {name}\ninclude: natural_relational\nscene: {{max_objects: 2}}\n")
    return str(path)


def measured(plan: Plan = PLAN, order: dict[str, float] = ORDER) -> list[dict[str, Any]]:
    """Return models whose arms have one order on the families, and this one on the tests."""
    models = []
    for cell in plan.cells():
        found = fake_results(cell, plan, rs=1 - order[cell.arm] / 2)
        value = ORDER[cell.arm]
        found["accuracy"] = {f: {"score": "acc", **score(value, chance=0.1)} for f in plan.families}
        test = {"score": "acc", **score(order[cell.arm], chance=0.1), "ranking": None, "rs": 1 - ORDER[cell.arm]}
        models.append(found | {"tests": dict.fromkeys(plan.tests, test)})
    return models


def test_natural_and_synthetic_tasks_of_one_family_are_counterparts(tmp_path: Path) -> None:
    assert counterparts(PLAN, REGISTRY) == [("coarse", "natural_coarse"), ("relational", "natural_relational")]
    back = Plan(families=NATURAL, tests=("scene_graph",), **ALONE)
    assert counterparts(back, REGISTRY) == [("natural_scene_graph", "scene_graph")]
    own = Plan(tests=("still_life", "probe"), files=(own_task(tmp_path),), **ALONE)
    assert counterparts(own, REGISTRY) == [("relational", "still_life")]


def test_arms_in_the_same_order_carry_over_and_in_the_opposite_one_are_reversed() -> None:
    rows = {(row["measure"], row["test"]): row for row in bridge_rows(PLAN, measured(), REGISTRY)}
    assert set(rows) == {(m, t) for m in ("accuracy", "rs") for t in ("natural_coarse", "natural_relational", "all")}
    one = rows["accuracy", "natural_coarse"]
    assert (one["models"], one["rho"], one["verdict"]) == (5, pytest.approx(1), "carries over")  # arms, not seeds
    assert rows["rs", "all"]["verdict"] == "carries over"
    turned = dict(zip(ORDER, reversed(ORDER.values()), strict=True))
    back = bridge_rows(PLAN, measured(order=turned), REGISTRY)
    assert {row["verdict"] for row in back} == {"reversed"}


def test_tables_and_page_have_the_tests_and_the_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    models = measured()
    document = summarise(PLAN, models, FACTS) | {"bridge": bridge_rows(PLAN, models, REGISTRY)}
    assert document["transfer"]["coarse"]["natural_relational"]["mean"] == pytest.approx(0.3)
    files = table_files(document)
    assert "coarse,natural_relational," in files["transfer.csv"]
    assert "accuracy_natural_coarse" in files["models.csv"].splitlines()[0]
    assert files["bridge.csv"].count("carries over") == 6
    table = markdown(document)
    assert "| RS | `probe` | `natural_coarse` | 5 | +1.00 (" in table
    assert (
        "| trained on, and asked | `coarse` | `attribute` | `relational` | `scene_graph` | `natural_coarse` |" in table
    )
    assert "| chance | 10.0 | 10.0 | 10.0 | 10.0 | 10.0 | 10.0 |" in table
    (accuracy,) = [line for line in table.splitlines() if line.startswith("| `coarse` |") and line.count("|") == 8]
    assert accuracy.split(" | ")[5].startswith("30.0 (2")
    assert "| RS of models trained on | `probe` | `natural_coarse` | `natural_relational` |" in table
    assert re.search(r"\| `coarse` \| 0\.85\d \| 0\.700 \| 0\.700 \|", table)
    text = study_page(document)
    assert "natural_relational" in text
    assert "order of models by RS on the probe set and natural_coarse: Spearman +1.00" in text
    print_study(document)
    assert "carries over  order of models by generated answers on 2 families and their tests" in capsys.readouterr().out


def test_every_model_answers_each_test_in_runs_of_their_own(tmp_path: Path) -> None:
    file = own_task(tmp_path)
    plan = Plan(tests=("natural_coarse", "still_life"), files=(file,), **ALONE)
    runs = dict(measurement_runs(plan.cell("coarse-1"), plan, {}))
    assert runs["answers-natural_coarse"]["tasks"] == ["natural_coarse"]
    assert runs["redundancy-still_life"]["tasks"] == [file]
    assert runs["redundancy-still_life"]["metrics"] == ["redundancy"]
    without = dict(measurement_runs(Plan(**ALONE).cell("coarse-1"), Plan(**ALONE), {}))
    assert {name: runs[name] for name in without} == without
    assert len(dict(runs_on_tests("fuyu", {}, plan))) == 4


def test_a_mix_of_other_tasks_is_asked_about_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtbench_study.model_results.finished_run", lambda home: home / "r" if home.exists() else None)
    mixes = {"photographs": {"natural_coarse": 1.0, "natural_relational": 1.0}}
    plan = Plan(seeds=(0,), tests=("natural_coarse",), **ALONE | {"mixes": mixes})
    cell = plan.cell("photographs-0")
    runs = dict(measurement_runs(cell, plan, {}))
    assert runs["answers"]["tasks"] == [*FAMILIES, "natural_relational"]
    assert runs["own"]["tasks"] == ["natural_coarse", "natural_relational"]
    write_run(tmp_path / "runs/photographs-0/probe", "probe", {"rs": {"value": 0.7}})
    write_run(tmp_path / "runs/photographs-0/answers", "natural_relational", {"acc": {"value": 0.5}})
    home = tmp_path / "runs/photographs-0/drop"
    write_run(home, "natural_relational", {"drop_area": {"value": 0.4}, "drop_f95": {"value": 0.2}})
    results = json.loads((home / "r" / "results.json").read_text())
    results["scores"]["natural_coarse"] = results["scores"]["natural_relational"]
    (home / "r" / "results.json").write_text(json.dumps(results))
    assert read_checkpoint(tmp_path, cell.name, cell.families) is None, "it has not answered the test yet"
    write_run(tmp_path / "runs/photographs-0/answers-natural_coarse", "natural_coarse", {"acc": {"value": 0.7}})
    write_run(tmp_path / "runs/photographs-0/redundancy-natural_coarse", "natural_coarse", {"rs": {"value": 0.8}})
    found = read_checkpoint(tmp_path, cell.name, cell.families)
    assert found is not None
    assert found["accuracy"] == pytest.approx(0.6)


def write_run(home: Path, task: str, scores: dict[str, Any]) -> None:
    """Write a finished run of one task."""
    (home / "r").mkdir(parents=True)
    full = {name: {"interval": None, "stderr": None, "chance": None, "n": 5, "flags": [], "detail": {}, **value}
            for name, value in scores.items()}  # fmt: skip
    (home / "r" / "results.json").write_text(json.dumps({"scores": {task: full}}))
    (home / "r" / "run.json").write_text(json.dumps({"status": "finished", "finished": "2026-01-01"}))


def test_a_model_is_finished_when_it_has_answered_all_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtbench_study.model_results.finished_run", lambda home: home / "r" if home.exists() else None)
    write_run(
        tmp_path / "answers-natural_coarse", "natural_coarse", {"acc": {"value": 0.5}, "rank_acc": {"value": 0.6}}
    )
    assert read_tests(tmp_path, ["natural_coarse"]) is None
    write_run(tmp_path / "redundancy-natural_coarse", "natural_coarse", {"rs": {"value": 0.7}})
    found = read_tests(tmp_path, ["natural_coarse"])
    assert found is not None
    row = found["natural_coarse"]
    assert (row["score"], row["value"], row["ranking"], row["rs"]) == ("acc", 0.5, 0.6, 0.7)
    assert read_tests(tmp_path, ["natural_coarse", "natural_relational"]) is None
    shipped = Plan(tests=("natural_coarse",), **ALONE | {"shipped": ("llava",)})
    assert shipped_results(tmp_path, shipped.shipped_cells()[0], shipped) is None


def test_tests_may_be_added_to_a_finished_study_and_its_sizes_stay(tmp_path: Path) -> None:
    plan = Plan(seeds=(0,), **ALONE)
    claim_directory(plan, tmp_path, measured=True)
    before = json.loads((tmp_path / "plan.json").read_text())
    assert not {"tests", "files"} & set(before["plan"])  # as older versions wrote and read it
    (tmp_path / "runs/base/probe").mkdir(parents=True)
    more = Plan(seeds=(0,), tests=("natural_coarse",), **ALONE)
    claim_directory(more, tmp_path, measured=True)
    after = json.loads((tmp_path / "plan.json").read_text())
    assert after == {"plan": before["plan"] | {"tests": ["natural_coarse"]}, "facts": before["facts"]}
    assert Plan.from_document(after["plan"]) == more
    with pytest.raises(VtbenchError, match="differs in items"):
        claim_directory(Plan(seeds=(0,), tests=("natural_coarse",), items=50, **ALONE), tmp_path, measured=True)


def test_a_study_on_natural_scenes_trains_on_them_and_on_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[Plan] = []
    monkeypatch.setattr(study, "train_study", lambda plan, *rest: plans.append(plan) or [])
    options = ["--families", ",".join(NATURAL), "--test", "coarse,still_life", "--task-file", own_task(tmp_path)]
    result = CliRunner().invoke(command, ["--train-only", *options], obj=REGISTRY)
    assert result.exit_code == 0, result.output
    plan = plans[0]
    assert (plan.families, plan.tests) == (NATURAL, ("coarse", "still_life"))
    assert dict(plan.penalties) == {"natural_relational": "cosine:0.1"}
    assert dict(plan.settings(plan.cell("natural_coarse-0")).mix) == {"natural_coarse": 1}
    trained = Plan(families=("still_life", "coarse"), files=plan.files, **ALONE)
    assert dict(trained.settings(trained.cell("still_life-0")).mix) == {plan.files[0]: 1}
    check_tasks(trained, REGISTRY)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tests": ("natural_corse",)}, "unknown test 'natural_corse'. Did you mean 'natural_coarse'"),
        ({"tests": ("coarse",)}, "tests must be different tasks, and none of the families"),
        ({"families": ("coarse", "a/mine.yaml")}, "give the file a/mine.yaml by --task-file, and name its task 'mine'"),
        ({"tests": ("../x",)}, "'../x': a name "),
        ({"families": ("coarse", "pope")}, "has no rows to train on"),
        ({"families": ("coarse", "probe")}, "'probe' is no family but a mix"),
        ({"files": ("a/coarse.yaml",)}, "has the name of"),
        ({"files": ("a/x.yaml", "b/x.yaml")}, "two task files have the same name"),
    ],
)
def test_what_a_study_cannot_train_or_test_is_one_line(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(VtbenchError) as caught:
        check_tasks(Plan(**ALONE | fields), REGISTRY)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_family_on_which_all_models_are_alike_is_left_out_of_the_mean() -> None:
    pairs = [("coarse", "natural_coarse"), ("attribute", "natural_attribute"), ("relational", "natural_relational")]
    order = {str(k): {pairs[0]: (k, 0.0), pairs[1]: (k, k), pairs[2]: (k, 2.0 * k)} for k in range(5)}
    rows = agreement_rows("accuracy", pairs, order)
    assert [(row["family"], row["pairs"], row["verdict"]) for row in rows] == [
        ("coarse", 1, "cannot tell"),
        ("attribute", 1, "carries over"),
        ("relational", 1, "carries over"),
        ("all", 2, "carries over"),
    ]
