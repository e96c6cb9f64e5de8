"""`vtbench study`: the plan that its options make."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from vtbench.cli import status
from vtbench.executor import JobResult
from vtbench.registry import Registry
from vtbench_study import study, study_progress
from vtbench_study.cli import study as command
from vtbench_study.plan import FAMILIES, Plan


def invoke(monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[Plan, str]:
    """Return the plan that would be trained, and what is printed."""
    plans = []

    def train(plan: Plan, directory: Path, *rest) -> list[str]:
        plans.append(plan)
        return ["a", "b"]

    monkeypatch.setattr(study, "train_study", train)
    result = CliRunner().invoke(command, ["--train-only", *options], obj=Registry())
    assert result.exit_code == 0, result.output
    return plans[0], result.output


def test_without_options_it_is_the_default_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, printed = invoke(monkeypatch)
    assert plan == Plan()
    assert "trained  2 models" in printed


def test_a_subset_of_families_has_the_arms_that_it_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("--from", "some/checkpoint", "--families", "attribute,scene_graph", "--seeds", "3,4")
    plan, _ = invoke(monkeypatch, *options)
    assert (plan.base, plan.families, plan.seeds) == ("some/checkpoint", ("attribute", "scene_graph"), (3, 4))
    assert plan.full_rate == ("attribute", "scene_graph")
    assert dict(plan.penalties) == {"scene_graph": "cosine:0.1"}
    assert dict(plan.mixes) == {"balanced": {"attribute": 1, "scene_graph": 1}}


def test_none_leaves_arms_out(monkeypatch: pytest.MonkeyPatch) -> None:
    none = [word for name in ("mix", "penalty", "full-rate", "snapshots", "shipped") for word in (f"--{name}", "none")]
    plan, _ = invoke(monkeypatch, *none, "--seeds", "0")
    assert [cell.name for cell in plan.cells()] == ["base", *(f"{family}-0" for family in FAMILIES)]
    assert plan.kept_steps() == plan.shipped_cells() == []


def test_a_quick_study_has_neither_full_rate_arms_nor_checkpoints_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, _ = invoke(monkeypatch, "--quick", "--families", "coarse,relational")
    assert (plan.quick, plan.full_rate, plan.kept_steps()) == (True, (), [])
    assert invoke(monkeypatch, "--quick", "--full-rate", "coarse")[0].full_rate == ("coarse",)


def test_a_model_that_is_done_is_a_line_with_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 240.0, 600.0, 900.0])
    monkeypatch.setattr(study_progress.time, "monotonic", lambda: next(clock))
    say = study_progress.ProgressLines()
    say(JobResult("coarse-2", 240.0, None), 8, 10)  # seven were done before
    say(JobResult("coarse-3", 360.0, "no memory"), 9, 10)
    say(JobResult("coarse-4", 300.0, None), 10, 10)
    assert capsys.readouterr().err.splitlines() == [
        "8/10  coarse-2: done in 4.0 min, 8 min left",
        "9/10  coarse-3: failed: no memory, 5 min left",
        "10/10  coarse-4: done in 5.0 min",
    ]


def test_a_test_over_photographs_that_are_not_here_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name that was suggested for a misspelled one says in one line where its data is."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    output = tmp_path / "out"
    for name, says in (("popp", "Did you mean 'pope'"), ("pope", "pope.yaml, line ")):
        assert status(["study", "--quick", "--test", name, "--output", str(output)]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
    assert "the cache does not have it" in err
    assert not output.exists()
