"""`--gen repeats=K` in a run: who sees which repeat, and the names of the scores in everything that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from host_fakes import Plugin, quiz

import vtbench
from vtbench.registry import Registry
from vtbench.runs.publish import summary_of
from vtbench.runs.results import RunResult

ALL = "[hits, ranked, seen]"


def go(task: Path, **fields: Any) -> tuple[RunResult, Any]:
    plugin = Plugin()
    given = {"model": "fake", "tasks": [task], "output": str(task.parent / "out"), "batch_size": 4}
    result = vtbench.run(**{**given, "registry": Registry({"fakes": plugin}), **fields})
    return result, plugin.model


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "samples.jsonl").read_text().splitlines()]


def test_only_texts_are_asked_again(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8, metrics=ALL)
    once, one = go(task)
    thrice, model = go(task, gen={"repeats": 3})
    stored = lines(thrice.path)
    assert [line["repeat"] for line in stored[:4]] == [0, 1, 2, 0]
    for line in stored:
        first = line["repeat"] == 0
        assert (line["logprobs"] is not None) == first
        assert bool(line["scores"]["ranked"]) == bool(line["scores"]["seen"]) == first
        assert line["scores"]["hits"]
    assert sum(n for n, _ in model.shown) == sum(n for n, _ in one.shown)
    alone, together = once.scores["quiz"], thrice.scores["quiz"]
    assert together["first"] == alone["first"]
    assert together["seen"] == alone["seen"]
    assert together["acc"].value == alone["acc"].value
    assert together["acc"].n == 24
    assert together["mean@3"].value == together["pass@3"].value == alone["acc"].value
    assert thrice.document["results"]["quiz"]["mean@3,none"] == alone["acc"].value


def test_a_failed_first_repeat_is_no_observation_of_the_others(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8, metrics=ALL)
    result, _ = go(task, gen={"repeats": 2}, model_args={"fails_on": ["question 2?"]})
    assert result.document["failed"] == {"quiz": 2}
    assert result.scores["quiz"]["mean@2"].n == 7


def test_repeats_resume_like_any_sample(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8, metrics=ALL)
    whole, _ = go(task, gen={"repeats": 3})
    samples = whole.path / "samples.jsonl"
    before = (whole.path / "results.json").read_bytes()
    kept = samples.read_bytes().splitlines(keepends=True)[:10]
    samples.write_bytes(b"".join(kept))
    again, _ = go(task, gen={"repeats": 3}, resume=True)
    assert again.path == whole.path
    assert (whole.path / "results.json").read_bytes() == before
    assert len(lines(whole.path)) == 24


def test_the_names_of_repeats_reach_report_trackers_and_tables(tmp_path: Path) -> None:
    result, _ = go(quiz(tmp_path, 8), gen={"repeats": 2})
    page = (result.path / "report.html").read_text()
    assert "mean@2" in page
    assert "pass@2" in page
    numbers = summary_of(result).numbers
    assert numbers["quiz/mean@2"] == result.scores["quiz"]["mean@2"].value
    assert "mean@2" in result._repr_html_()
    assert {"mean@2", "pass@2"} <= {row["score"] for row in result.rows()}


def test_runs_with_other_numbers_of_repeats_compare_on_the_repeats_that_both_have(tmp_path: Path) -> None:
    task = quiz(tmp_path, 8, metrics="[accuracy]")
    two, _ = go(task, gen={"repeats": 2})
    three, _ = go(task, gen={"repeats": 3})
    one, _ = go(task)
    tables = vtbench.compare([two.path, three.path]).tables["quiz"]
    assert {row.score for row in tables.rows} >= {"acc", "mean@2", "pass@2"}
    assert len(tables.shared) == 16
    (acc,) = (row for row in tables.rows if row.score == "acc")
    assert acc.differences[0].value == 0
    alone = vtbench.compare([one.path, three.path]).tables["quiz"]
    assert len(alone.shared) == 8
    assert alone.not_compared == {"repeats": "not every run has it"}
