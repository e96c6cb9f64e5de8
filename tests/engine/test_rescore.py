"""Scoring stored answers without a model: the same digits, other metrics, and what cannot be added."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from host_fakes import Plugin, quiz

import vtbench
import vtbench_budgets
from vtbench.cli import status
from vtbench.console.progress import Listener
from vtbench.engine.rescore import rescore
from vtbench.errors import ResultsError, VtbenchError
from vtbench.hookspecs import hookimpl
from vtbench.metric import BaseMetric
from vtbench.registry import Registry
from vtbench.runs.results import RunResult
from vtbench.types import Observation, Output, Sample

ALL = "[hits, ranked, seen, accuracy, rank_accuracy]"


def fakes() -> Registry:
    return Registry({"fakes": Plugin(), "budgets": vtbench_budgets})


class Notes(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def go(task: Path, **fields: Any) -> RunResult:
    given = {"model": "fake", "tasks": [task], "output": str(task.parent / "out"), "batch_size": 4}
    return vtbench.run(**{**given, "registry": fakes(), **fields})


def again(path: Path, **fields: Any) -> tuple[RunResult, list[str]]:
    notes = Notes()
    found = rescore(path, registry=fakes(), listener=notes, **fields)
    assert found is not None
    return found, notes.lines


def stored(path: Path, name: str = "results.json") -> Any:
    return json.loads((path / name).read_text())


def samples(path: Path) -> list[Mapping[str, Any]]:
    found = [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]
    return sorted(found, key=lambda line: line["index"])


@pytest.mark.parametrize("gen", [{}, {"repeats": 3}])
def test_rescoring_equals_the_run_to_the_byte(tmp_path: Path, gen: dict[str, Any]) -> None:
    run = go(quiz(tmp_path, 12, missing=[3], metrics=ALL), gen=gen, max_failed=0.5)
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    result, notes = again(run.path)
    assert (result.path / "results.json").read_bytes() == (run.path / "results.json").read_bytes()
    assert samples(result.path) == samples(run.path)
    assert {file: file.read_bytes() for file in before} == before
    facts = stored(result.path, "run.json")
    assert facts["rescored_from"] == {
        "run": run.path.name,
        "path": str(run.path),
        "digest": stored(run.path, "run.json")["digest"],
    }
    assert facts["digest"] == facts["rescored_from"]["digest"]
    assert result.path.name == f"{run.path.name}-rescored"
    assert notes == []
    assert (result.path / "report.html").exists()
    twice, _ = again(result.path)
    assert (twice.path / "results.json").read_bytes() == (run.path / "results.json").read_bytes()


def test_in_place_equals_the_run_too_and_keeps_one_line_a_sample(tmp_path: Path) -> None:
    run = go(quiz(tmp_path, 12, metrics=ALL))
    before, lines, arrays = stored(run.path), samples(run.path), (run.path / "visual" / "quiz.seen.jsonl").read_bytes()
    result, _ = again(run.path, in_place=True)
    assert result.path == run.path
    assert (stored(run.path), samples(run.path)) == (before, lines)
    assert (run.path / "visual" / "quiz.seen.jsonl").read_bytes() == arrays
    assert stored(run.path, "run.json")["finished"]
    resumed = go(tmp_path / "quiz.yaml", resume=True)
    assert (resumed.path, stored(run.path)) == (run.path, before)


def test_another_metric_and_one_less(tmp_path: Path) -> None:
    task = quiz(tmp_path, 12, metrics="[hits, seen]")
    run = go(task, metrics=["hits", "seen", "ranked"])
    result, _ = again(run.path, metrics="accuracy,rank_accuracy,seen")
    whole = go(task, metrics=["accuracy", "rank_accuracy", "seen"])
    assert stored(result.path) == stored(whole.path)
    assert stored(result.path, "run.json")["digest"] == stored(whole.path, "run.json")["digest"]
    added, _ = again(run.path, metrics="+accuracy")
    assert set(added.scores["quiz"]) == {"hits.acc", "weight", "seen", "unknown", "accuracy.acc"}


def test_in_place_no_observation_that_needs_the_model_is_lost(tmp_path: Path) -> None:
    run = go(quiz(tmp_path, 12, metrics=ALL))
    result, _ = again(run.path, metrics=["hits"], in_place=True)
    assert set(result.scores["quiz"]) == {"acc", "weight", "seen", "unknown"}
    assert result.scores["quiz"]["seen"] == run.scores["quiz"]["seen"]


def test_what_cannot_be_added_says_why(tmp_path: Path) -> None:
    run = go(quiz(tmp_path, 12, metrics="[hits]"))
    result, _ = again(run.path, metrics="+seen,+ranked,+budget_cost,+frugal")
    left = result.document["left_out"]["quiz"]
    assert "log-probabilities" in left.pop("ranked")
    assert left.keys() == {"seen", "budget_cost", "frugal"}
    assert all("more of the model than its answers" in reason for reason in left.values())
    with pytest.raises(VtbenchError, match="no metric is left"):
        again(run.path, metrics="seen")
    with pytest.raises(VtbenchError, match="unknown metric 'hist'"):
        again(run.path, metrics="hist")


def test_a_metric_that_reads_times_keeps_what_it_has_observed(tmp_path: Path) -> None:
    count = itertools.count()

    class Clock(BaseMetric):
        reads_times = True

        def observe_sample(self, sample: Sample, output: Output) -> Observation:
            return {"tick": next(count)}

    class Clocks:
        @hookimpl
        def vtbench_metrics(self) -> dict[str, Any]:
            return {"clock": Clock}

    registry = Registry({"fakes": Plugin(), "clocks": Clocks()})
    run = go(quiz(tmp_path, 8, metrics="[hits, clock]"), registry=registry)
    result = rescore(run.path, registry=registry)
    assert result is not None
    assert result.scores["quiz"]["tick"].value == 3.5
    assert stored(result.path) == stored(run.path)


def test_a_task_that_is_gone_is_scored_from_its_records(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8, metrics="[accuracy, rank_accuracy]")
    run = go(task)
    task.unlink()
    result, notes = again(run.path)
    assert stored(result.path) == stored(run.path)
    assert any("scored from the stored records alone" in line for line in notes)


def test_a_task_that_is_another_now_is_scored_as_it_was_asked(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8, metrics="[accuracy]")
    run = go(task)
    rows = (tmp_path / "quiz.jsonl").read_text().splitlines()
    rows[0] = rows[0].replace("question 0?", "what?")
    (tmp_path / "quiz.jsonl").write_text("\n".join(rows[:-1]) + "\n")
    result, notes = again(run.path)
    assert result.scores == run.scores
    assert any("2 of its samples are other ones now" in line for line in notes)


def test_an_answer_that_was_edited_moves_the_scores(tmp_path: Path) -> None:
    run = go(quiz(tmp_path, 8, metrics="[accuracy]"))
    path = run.path / "samples.jsonl"
    path.write_text(path.read_text().replace('"output": "no"', '"output": "yes"'))
    result, _ = again(run.path)
    assert result.scores["quiz"]["acc"].value == 0.5


def test_an_unfinished_run_is_rescored_in_place_and_then_goes_on(tmp_path: Path) -> None:
    task = quiz(tmp_path, 12, metrics=ALL)
    run = go(task)
    before = stored(run.path)
    lines = (run.path / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "samples.jsonl").write_bytes(b"".join(lines[:8]))
    with pytest.raises(ResultsError, match="4 samples are missing; finish the run"):
        again(run.path)
    notes = Notes()
    assert rescore(run.path, in_place=True, registry=fakes(), listener=notes) is None
    assert "lacks 4 samples" in notes.lines[-1]
    go(task, resume=True)
    assert stored(run.path) == before


def test_a_rescore_that_was_cut_off_is_no_run_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = quiz(tmp_path, 12, metrics=ALL)
    run = go(task)
    before = stored(run.path)
    with monkeypatch.context() as patch:
        patch.setattr("vtbench.runs.writer.RunWriter.finish_samples", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            again(run.path, in_place=True)
    with pytest.raises(ResultsError, match=r"was cut off here; `vtbench rescore .* --in-place` ends it"):
        go(task, resume=True)
    again(run.path, in_place=True)
    assert stored(run.path) == before
    assert go(task, resume=True).path == run.path


def test_a_run_of_another_version_of_the_scoring_is_not_resumed(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8)
    run = go(task)
    facts = stored(run.path, "run.json")
    facts["versions"]["scoring"] -= 1
    (run.path / "run.json").write_text(json.dumps(facts))
    with pytest.raises(ResultsError, match=r"scored by version \d+ .*`vtbench rescore .* --in-place`") as caught:
        go(task, resume=True)
    assert "\n" not in str(caught.value)
    again(run.path, in_place=True)
    assert go(task, resume=True).path == run.path


def test_code_of_a_task_runs_only_if_this_command_allows_it(tmp_path: Path) -> None:
    run = go(quiz(tmp_path, 8))
    facts = stored(run.path, "run.json")
    facts["config"]["allow_code"] = True
    (run.path / "run.json").write_text(json.dumps(facts))
    result, _ = again(run.path)
    assert result.config.allow_code is False


def test_predict_only_and_rescore_equal_a_plain_run(tmp_path: Path) -> None:
    task = quiz(tmp_path, 12, metrics=ALL)
    whole = go(task)
    run = go(task, predict_only=True)
    document = stored(run.path)
    assert document["predict_only"] is True
    assert document["scores"] == {"quiz": {}}
    assert "answers" not in document
    assert run.exit_status == 0
    reasons = document["left_out"]["quiz"]
    assert all("vtbench rescore" in reasons[name] for name in ("hits", "ranked", "accuracy", "rank_accuracy"))
    assert "more of the model" in reasons["seen"]
    with pytest.raises(VtbenchError, match="answers without scores; `vtbench rescore"):
        vtbench.compare([run.path, whole.path])
    result, _ = again(run.path)
    mine, theirs = stored(result.path)["scores"]["quiz"], stored(whole.path)["scores"]["quiz"]
    assert mine == {name: score for name, score in theirs.items() if score["metric"] != "seen"}
    assert stored(result.path, "run.json")["config"]["predict_only"] is False


def test_predict_only_asks_for_no_ranking_that_no_metric_reads(tmp_path: Path) -> None:
    run = go(quiz(tmp_path, 8, metrics="[accuracy]"), predict_only=True)
    assert all(line["logprobs"] is None for line in samples(run.path))
    result, _ = again(run.path, metrics="+rank_accuracy")
    assert "log-probabilities" in result.document["left_out"]["quiz"]["rank_accuracy"]


def test_predict_only_resumes(tmp_path: Path) -> None:
    task = quiz(tmp_path, 12, metrics=ALL)
    run = go(task, predict_only=True)
    before = samples(run.path)
    lines = (run.path / "samples.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "samples.jsonl").write_bytes(b"".join(lines[:7]))
    assert go(task, predict_only=True, resume=True).path == run.path
    assert [line["output"] for line in samples(run.path)] == [line["output"] for line in before]


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = quiz(tmp_path, 8, metrics="[accuracy]")
    registry = fakes()
    flags = ["--model", "fake", "--tasks", str(task), "--output", str(tmp_path / "out")]
    assert status(["run", *flags, "--predict-only"], registry) == 0
    assert "vtbench rescore" in capsys.readouterr().out
    (path,) = (tmp_path / "out").iterdir()
    assert status(["rescore", str(path), "--json"], registry) == 0
    document = json.loads(capsys.readouterr().out)
    assert "acc" in document["scores"]["quiz"]
    assert status(["rescore", str(tmp_path)], registry) == 2
    assert "no run.json" in capsys.readouterr().err


def test_a_run_of_a_real_model_equals_itself_to_the_byte(tmp_path: Path) -> None:
    """Of closed answers, rankings, pairs, scene graphs and visual tokens."""
    pytest.importorskip("torch")
    metrics = ["accuracy", "rank_accuracy", "pair_accuracy", "scene_graph", "redundancy"]
    tasks = ["relational", "scene_graph"]
    run = vtbench.run("llava", tasks, metrics=metrics, limit=12, batch_size=4, output=tmp_path, device="cpu")
    result = rescore(run.path)
    assert result is not None
    assert (result.path / "results.json").read_bytes() == (run.path / "results.json").read_bytes()
    assert {score["metric"] for task in result.document["scores"].values() for score in task.values()} == set(metrics)
    rescore(run.path, in_place=True)
    assert (result.path / "results.json").read_bytes() == (run.path / "results.json").read_bytes()
