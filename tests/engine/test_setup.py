"""A run's plan: resolved once, from names to tasks, metrics and a budget; and anew where it is sent."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest
from host_fakes import quiz, registry
from PIL import Image

import vtbench
from vtbench.config import checked
from vtbench.engine.setup import RunPlan, requested_metrics
from vtbench.engine.worker import RunWork
from vtbench.errors import MissingPackageError, VtbenchError
from vtbench.registry import Registry


def plan(task: Path, **fields: object) -> RunPlan:
    return RunPlan.resolve(checked({"model": "fake", "tasks": [task], **fields}), registry())


def test_a_plus_adds_to_the_metrics_of_a_task(tmp_path: Path) -> None:
    task = quiz(tmp_path, 6, metrics="[hits, ranked]")
    assert plan(task).metrics == {"quiz": ("hits", "ranked")}
    assert plan(task, metrics="+seen").metrics == {"quiz": ("hits", "ranked", "seen")}
    assert plan(task, metrics="+hits").metrics == {"quiz": ("hits", "ranked")}, "named twice, computed once"
    assert plan(task, metrics="seen").metrics == {"quiz": ("seen",)}
    assert plan(task, metrics="seen,+hits").metrics == {"quiz": ("seen", "hits")}
    assert plan(task, metrics=["+ seen"]).metrics == {"quiz": ("hits", "ranked", "seen")}


def test_an_empty_list_of_metrics_is_no_metrics(tmp_path: Path) -> None:
    (task,) = plan(quiz(tmp_path, 6)).tasks
    assert requested_metrics(task, checked({"model": "m", "tasks": ["t"], "metrics": []})) == ()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"metrics": "+hit"}, r"unknown metric 'hit'. Did you mean 'hits'"),
        ({"metrics": "hits:k=1"}, r"metric 'hits:k=1' has no setting 'k'. It takes none"),
        ({"metrics": "hits:k"}, r"settings of the metric 'hits' are written k=v,k=v; 'k' is not"),
        ({"budget": "no"}, r"unknown budget 'no'"),
        ({"tasks": ["nothing"]}, r"unknown task 'nothing'"),
    ],
)
def test_what_is_unknown_ends_a_run_before_its_model_is_loaded(
    tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    with pytest.raises(VtbenchError, match=message):
        plan(quiz(tmp_path, 6), **fields)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("redundancy:target=missing.npy", r"missing.npy: no such file"),
        ("redundancy_layers:target=missing.npy", r"missing.npy: no such file"),
        ("redundancy:target=cues", r"no metric is left to compute \(redundancy:target=cues: .* has none\)"),
        ("cues", r"no metric is left to compute \(cues: .* has none\)"),
        ("scene_graph", r"metric 'scene_graph' needs a target such as"),
    ],
)
def test_what_a_task_has_not_ends_a_run_before_its_model_is_loaded(tmp_path: Path, metric: str, message: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "rows.jsonl").write_text('{"prompt": "What?", "target": "cup", "image": "a.png"}\n' * 3)
    (tmp_path / "mine.yaml").write_text("task: mine\nversion: 1\ndescription: d\ndata: {path: rows.jsonl}\n")
    config = checked({"model": "oracle", "tasks": [tmp_path / "mine.yaml"], "metrics": metric})
    with pytest.raises(VtbenchError, match=message):
        RunPlan.resolve(config, Registry())
    config = checked({"model": "oracle", "tasks": [tmp_path / "mine.yaml"], "metrics": "accuracy"})
    assert RunPlan.resolve(config, Registry()).metrics == {"mine": ("accuracy",)}


def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # an import then fails as if it were not installed


def test_a_metric_of_the_task_whose_package_is_missing_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_torch(monkeypatch)
    result = vtbench.run("oracle", ["coarse"], limit=4, output=str(tmp_path), report=False)
    assert result.scores["coarse"]["acc"].value == 1
    reason = result.document["left_out"]["coarse"]["redundancy"]
    assert reason.startswith("the redundancy suite needs torch: pip install")
    predicted = vtbench.run("oracle", ["coarse"], limit=4, output=str(tmp_path), report=False, predict_only=True)
    assert predicted.document["left_out"]["coarse"]["redundancy"] == reason


@pytest.mark.parametrize("named", ["redundancy", "+redundancy"])
def test_a_metric_that_was_asked_for_needs_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    without_torch(monkeypatch)
    with pytest.raises(MissingPackageError, match="metric 'redundancy': the redundancy suite needs torch: pip install"):
        vtbench.run("oracle", ["coarse"], limit=4, output=str(tmp_path), metrics=[named])
    assert not list(tmp_path.iterdir())


def test_a_first_sample_that_cannot_be_read_is_no_reason_to_leave_a_metric_out(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "What?", "target": "cup", "image": "gone.png"}\n' * 3)
    (tmp_path / "mine.yaml").write_text("task: mine\nversion: 1\ndescription: d\ndata: {path: rows.jsonl}\n")
    config = checked({"model": "oracle", "tasks": [tmp_path / "mine.yaml"], "metrics": "cues"})
    assert RunPlan.resolve(config, Registry()).metrics == {"mine": ("cues",)}


def test_work_is_sent_as_a_recipe_and_resolved_where_it_arrives(tmp_path: Path) -> None:
    task = quiz(tmp_path, 6)
    config = checked({"model": "oracle", "tasks": [task], "limit": 4, "metrics": "accuracy"})
    work = RunWork(config, Registry(), RunPlan.resolve(config, Registry()))
    sent = pickle.dumps(work)
    assert b"question" not in sent, "no sample travels"
    quiz(tmp_path, 3)  # the task there is another
    arrived = pickle.loads(sent)
    assert [len(task) for task in work.tasks] == [4]
    assert [len(task) for task in arrived.tasks] == [3]
    assert arrived.device == "auto"


def test_previews_are_planned_where_there_is_a_report(tmp_path: Path) -> None:
    task = quiz(tmp_path, 6)
    assert plan(task, report=False).preview_maker is None
    maker = plan(task).preview_maker
    assert maker is not None
    (loaded,) = plan(task).tasks
    preview = maker("quiz", loaded.sample(2), ("0" * 64,))
    assert preview is not None
    assert preview.index == 2
    assert preview.images[0][1].startswith("data:image/")
