"""`--limit` as a share, and a larger limit that goes on with a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from host_fakes import FakeModel, Plugin, quiz

import vtbench
from vtbench.adapter import Traits
from vtbench.errors import ResultsError, VtbenchError
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.prepared import Limited

ALL = "[hits, ranked, seen]"


class Paid(FakeModel):
    traits = Traits(prompt_format="plain", metered=True)


def go(task: Path, out: str = "out", model: FakeModel | None = None, **fields: Any) -> RunResult:
    registry = Registry({"fakes": Plugin()})
    if model is not None:
        registry.adapter = lambda *a, **k: model  # type: ignore[method-assign,assignment]
    given = {"model": "fake", "tasks": [task], "output": str(task.parent / out), "batch_size": 4, "registry": registry}
    # rendering a report takes longer than such a run
    return vtbench.run(**{"report": False, **given, **fields})


def document(result: RunResult) -> Any:
    return json.loads((result.path / "results.json").read_text())


def lines(result: RunResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (result.path / "samples.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("share", "samples"), [(0.1, 2), (0.5, 10), (0.11, 3), (0.001, 1), (0.999, 20)])
def test_a_share_is_rounded_up(tmp_path: Path, share: float, samples: int) -> None:
    assert document(go(quiz(tmp_path, 20), limit=share))["n-samples"]["quiz"]["original"] == samples


@pytest.mark.parametrize("limit", [0, -1, 2.5, 1.5, "x", float("nan"), float("inf")])
def test_what_is_no_limit_is_one_line(tmp_path: Path, limit: Any) -> None:
    with pytest.raises(VtbenchError, match="--limit") as caught:
        go(quiz(tmp_path, 20), limit=limit)
    assert "\n" not in str(caught.value)


def test_a_whole_number_is_the_same_limit_as_text_float_or_int(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20)
    first = go(task, limit=3)
    assert go(task, limit=3.0, resume=True).path == first.path


@pytest.mark.parametrize("moody", [False, True])
@pytest.mark.parametrize(("small", "large"), [(8, 12), (6, 13), (1, 20), (5, None), (0.2, 0.7), (7, 0.9)])
def test_a_larger_limit_goes_on_and_equals_a_fresh_run(
    tmp_path: Path, small: float, large: float | None, moody: bool
) -> None:
    task = quiz(tmp_path, 20, metrics=ALL)
    model = {"model_args": {"moody": moody}}
    first = go(task, limit=small, **model)
    fresh = go(task, "fresh", limit=large, **model)
    grown = go(task, limit=large, resume=True, **model)
    assert grown.path == first.path
    assert document(grown) == document(fresh)
    mine, theirs = (
        sorted(({**line, "seconds": 0} for line in lines(of)), key=lambda line: line["index"]) for of in (grown, fresh)
    )
    assert mine == theirs
    run, other = (json.loads((of.path / "run.json").read_text()) for of in (grown, fresh))
    assert run["digest"] == other["digest"]
    assert run["config"]["limit"] == other["config"]["limit"] == large
    assert run["tasks"] == other["tasks"]
    assert run["states"] == other["states"]
    assert run["finished"]


def test_what_is_stored_is_not_asked_again(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20)
    go(task, limit=8)
    model = FakeModel()
    go(task, limit=16, resume=True, model=model)
    assert model.batches == [4, 1, 1, 4]  # two of the first batch alone, to check the order


def test_of_paid_answers_none_is_asked_again(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20)
    go(task, limit=6, model=Paid())
    model = Paid()
    go(task, limit=12, resume=True, model=model)
    assert sum(model.batches) == 6


def test_a_state_that_was_fitted_on_enough_stays(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20, metrics="[hits, seen]")
    go(task, limit=8)
    model = FakeModel()
    go(task, limit=12, resume=True, model=model)
    assert sum(n for n, _ in model.shown) == 4


def test_a_fitted_budget_is_fitted_again(tmp_path: Path) -> None:
    settings = {"budget": "complexity:mean=6", "batch_size": 4, "report": False}
    few = vtbench.run("echo", ["relational"], limit=6, output=tmp_path / "a", **settings)
    grown = vtbench.run("echo", ["relational"], limit=40, output=tmp_path / "a", resume=True, **settings)
    fresh = vtbench.run("echo", ["relational"], limit=40, output=tmp_path / "b", **settings)
    assert grown.path == few.path
    facts = [json.loads((result.path / "run.json").read_text()) for result in (grown, fresh)]
    assert facts[0]["states"] == facts[1]["states"]
    assert facts[0]["budgets"]["relational"]["pictures"] == 40
    scores = [
        {name: s for name, s in result.scores["relational"].items() if "_ms" not in name} for result in (grown, fresh)
    ]
    assert scores[0] == scores[1]


@pytest.mark.parametrize(("small", "large"), [(8, 12), (10, 20), (18, 20), (18, 19)])
def test_what_is_fitted_on_other_samples_is_fitted_again_where_these_are_more(
    tmp_path: Path, small: int, large: int
) -> None:
    """At a limit of 10 the metric has 5 samples of the 9 that it takes."""
    task = quiz(tmp_path, 20, metrics="[hits, held]")
    go(task, limit=small)
    fresh, grown = go(task, "fresh", limit=large), go(task, limit=large, resume=True)
    assert document(grown) == document(fresh)
    mine, other = (json.loads((of.path / "run.json").read_text())["states"] for of in (grown, fresh))
    assert mine == other


def test_a_smaller_limit_is_refused_in_one_line(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20)
    first = go(task, limit=8)
    before = {path: path.read_bytes() for path in first.path.rglob("*") if path.is_file()}
    for resume in (True, str(first.path)):
        with pytest.raises(ResultsError, match=r"it has 8 samples of quiz, and --limit asks for 5") as caught:
            go(task, limit=5, resume=resume)
        assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in before} == before


def test_nothing_but_the_limit_may_differ(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20)
    go(task, limit=8)
    with pytest.raises(ResultsError, match="metrics"):
        go(task, limit=12, metrics=["ranked"], resume=True)


def test_repeats_grow_by_questions(tmp_path: Path) -> None:
    task, gen = quiz(tmp_path, 20, metrics=ALL), {"gen": {"repeats": 3}}
    go(task, limit=3, **gen)
    assert document(go(task, limit=7, resume=True, **gen)) == document(go(task, "fresh", limit=7, **gen))


def test_a_run_that_was_cut_while_it_grew_goes_on(tmp_path: Path) -> None:
    task = quiz(tmp_path, 20, metrics=ALL)
    first = go(task, limit=6)
    with pytest.raises(KeyboardInterrupt):
        go(task, limit=16, resume=True, model=FakeModel(interrupts_on="question 9?"))
    assert "finished" not in json.loads((first.path / "run.json").read_text())
    grown = go(task, limit=16, resume=True)
    assert grown.path == first.path
    assert document(grown) == document(go(task, "fresh", limit=16))


def test_a_real_model_with_redundancy_grows_to_the_same_digits(tmp_path: Path) -> None:
    """The basis is fitted on more images than the smaller limit has."""
    pytest.importorskip("torch")
    settings = {"metrics": ["accuracy", "redundancy"], "batch_size": 4, "device": "cpu", "report": False}
    vtbench.run("llava", ["relational"], limit=6, output=tmp_path / "a", **settings)
    grown = vtbench.run("llava", ["relational"], limit=12, output=tmp_path / "a", resume=True, **settings)
    fresh = vtbench.run("llava", ["relational"], limit=12, output=tmp_path / "b", **settings)
    assert len(list((tmp_path / "a").iterdir())) == 1
    assert document(grown) == document(fresh)


def test_a_limit_on_a_limit_knows_the_whole_task() -> None:
    """So a file with a row for each sample fits a run that grows."""
    task = load_task(find_task_files()["coarse"])
    assert Limited(Limited(task, 30), 20).unlimited == len(task)
