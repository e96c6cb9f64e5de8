"""Plans: the models they list, and the settings they reject before anything is trained."""

from __future__ import annotations

import pytest

from vtbench.errors import VtbenchError
from vtbench.registry import Registry
from vtbench_study.plan import OFF, QUICK, Plan
from vtbench_study.study_directory import check_tasks


def test_the_grid_has_every_arm_for_every_seed_and_one_base() -> None:
    names = [cell.name for cell in Plan(seeds=(0, 1)).cells()]
    arms = ("coarse", "attribute", "relational", "scene_graph", "balanced", "relational+cosine", "coarse+full_rate",
            "scene_graph+full_rate")  # fmt: skip
    assert names == ["base", *(f"{arm}-{seed}" for seed in (0, 1) for arm in arms)]


def test_a_penalised_model_differs_from_its_control_by_the_penalty_alone() -> None:
    plan = Plan(penalties={"balanced": "logdet:0.2"})
    (cell,) = [cell for cell in plan.cells() if cell.kind == "penalty" and cell.seed == 1]
    control, penalised = plan.settings(plan.cell(f"{cell.control_arm}-1")), plan.settings(cell)
    assert penalised.penalty == ("logdet", 0.2)
    differing = [name for name in control.__slots__ if getattr(control, name) != getattr(penalised, name)]
    assert differing == ["penalty"]


def test_a_full_rate_model_differs_from_its_control_by_the_rate_of_the_tower_alone() -> None:
    plan = Plan(full_rate=("balanced",))
    cell = plan.cell("balanced+full_rate-1")
    control, full = plan.settings(plan.cell(f"{cell.control_arm}-1")), plan.settings(cell)
    assert (control.vision_rate, full.vision_rate) == (0.1, 1.0)
    differing = [name for name in control.__slots__ if getattr(control, name) != getattr(full, name)]
    assert differing == ["vision_rate"]


def test_models_are_kept_at_shares_of_the_training() -> None:
    assert Plan().kept_steps() == [300, 600]
    assert Plan(steps=6).kept_steps() == [2, 3]
    assert Plan(steps=1).kept_steps() == []
    assert Plan(snapshots=()).kept_steps() == []


def test_a_plan_of_an_older_version_has_none_of_the_newer_arms() -> None:
    older = {name: value for name, value in Plan(seeds=(0,)).document().items() if name not in OFF}
    names = [cell.name for cell in Plan.from_document(older).cells()]
    assert names == ["base", "coarse-0", "attribute-0", "relational-0", "scene_graph-0", "balanced-0",
                     "relational+cosine-0"]  # fmt: skip


def test_a_plan_survives_its_document() -> None:
    plan = Plan(**{**QUICK, "base": "somewhere"})
    assert Plan.from_document(plan.document()) == plan


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seeds": ()}, "seeds must be different"),
        ({"seeds": (1, 1)}, "seeds must be different"),
        ({"steps": 0}, "study: steps: must be greater than or equal to 1, not 0"),
        ({"images": 3}, "study: images: must be greater than or equal to 20, not 3"),
        ({"rate": float("nan")}, "study: rate: must be a finite number, not nan"),
        ({"families": ("coarse",)}, "two or more different families"),
        ({"families": ("coarse", "coarse")}, "two or more different families"),
        ({"mixes": {"empty": {"coarse": 0, "attribute": 0}}}, "the weights sum to nothing"),
        ({"mixes": {"coarse": {"coarse": 1}}}, "has the name of a family"),
        ({"mixes": {"../../x": {"coarse": 1}}}, "the arm '../../x': a name "),
        ({"mixes": {"<script>": {"coarse": 1}}}, "the arm '<script>': a name "),
        ({"penalties": {"colour": "cosine:0.1"}}, "penalty on 'colour', which is not trained"),
        ({"full_rate": ("colour",)}, "full_rate of 'colour', which is not trained"),
        ({"full_rate": ("coarse", "coarse")}, "full_rate must be different"),
        ({"snapshots": (1.0,)}, "study: snapshots: must be less than 1, not 1.0"),
        ({"penalties": {"coarse": "cosine"}}, "write name:weight"),
        ({"penalties": {"coarse": "cosinus:1"}}, "penalty: must be 'cosine', 'logdet'"),
    ],
)
def test_invalid_settings_are_rejected_in_one_line(fields, message: str) -> None:
    with pytest.raises(VtbenchError) as error:
        Plan(**fields)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_family_is_named_with_the_nearest() -> None:
    with pytest.raises(VtbenchError, match=r"unknown family 'relationel'\. Did you mean 'relational'"):
        check_tasks(Plan(families=("coarse", "relationel"), mixes={}, penalties={}, full_rate=()), Registry())
