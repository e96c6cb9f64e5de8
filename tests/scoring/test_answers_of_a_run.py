"""A user's own data from end to end: what a run counts, says, and stores of its answers."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import vtbench
import vtbench.scoring.plugin
from vtbench.console.formatting import unusable_answers
from vtbench.console.progress import Listener
from vtbench.console.tables import show_scores
from vtbench.errors import VtbenchError
from vtbench.hookspecs import hookimpl
from vtbench.registry import Registry
from vtbench.report import render
from vtbench.runs.reader import read_records
from vtbench.runs.results import RunResult
from vtbench.scoring.answers import answer_type, unusable_shares
from vtbench.scoring.breakdown import stored_breakdowns
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Output, Record, Sample
from vtbench_controls.echo_adapter import Echo


class Says(Echo):
    """Answers with the question; `...` at its end says that the answer was cut there."""

    def generate(self, samples: Sequence[Sample], max_new_tokens: int, budget: Any = None) -> list[Output]:
        return [Output(text=s.prompt, finish_reason="length" if s.prompt.endswith("...") else "stop") for s in samples]

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "chat_template": None}


def own_data(folder: Path, rows: Sequence[dict[str, Any]], columns: str = "", metrics: str = "accuracy") -> Path:
    Image.new("RGB", (8, 8), "red").save(folder / "r.png")
    (folder / "q.jsonl").write_text("".join(json.dumps({"image": "r.png", **row}) + "\n" for row in rows))
    task = folder / "q.yaml"
    task.write_text(f"task: q\ndata:\n  path: q.jsonl\n{columns}metrics: [{metrics}]\n")
    return task


class Plugin:
    """Brings the model `says`."""

    @hookimpl
    def vtbench_adapters(self) -> dict[str, Any]:
        return {"says": says}


def says() -> Says:
    """Answers with the question."""
    return Says()


class Lines(Listener):
    """Keeps what a run says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def run(task: Path, **fields: Any) -> RunResult:
    output = str(task.parent / "out")
    plugins = Registry({"says": Plugin(), "scoring": vtbench.scoring.plugin})
    return vtbench.run(**{"model": "says", "tasks": [task], "output": output, "registry": plugins, **fields})


YES = {"target": "yes", "c": ["yes", "no"]}
ROWS = [
    {"prompt": "yes", **YES},
    {"prompt": "well, it is a long story...", **YES},
    {"prompt": "who knows", **YES},
    {"prompt": "<think>yes, yes", **YES},
]


def test_cut_and_unparsed_answers_are_in_the_results_the_table_and_the_report(tmp_path, capsys):
    result = run(own_data(tmp_path, ROWS, "  choices: c\n"))
    assert result.document["answers"] == {"q": {"cut": 0.5, "unparsed": 0.75}}
    assert result.scores["q"]["acc"].value == 0.25
    show_scores(result, stderr=False)
    said = capsys.readouterr().out
    assert "q: 50.0 % of the answers were cut off (max_new_tokens is 128), 75.0 % unparsed" in said
    page = render(result.path)
    assert re.search(r"answers cut off</span><b>50.0 %</b>", page)
    assert re.search(r"answers unparsed</span><b>75.0 %</b>", page)
    records = list(read_records(result.path, "q"))
    assert [record.finish_reason for record in records] == ["stop", "length", "stop", "stop"]
    assert records[3].output == "<think>yes, yes"  # the whole text is kept


def test_a_run_without_such_answers_says_nothing_of_them(tmp_path, capsys):
    result = run(own_data(tmp_path, ROWS[:1], "  choices: c\n"))
    assert "answers" not in result.document
    show_scores(result, stderr=False)
    assert "unparsed" not in capsys.readouterr().out
    assert "answers unparsed" not in render(result.path)


@pytest.mark.parametrize(
    ("observation", "shares"),
    [
        ({"accuracy": {"answer": None, "correct": 0}}, {"unparsed": 0.5}),
        ({"scene_graph": {"parsed": 0}}, {"unparsed": 0.5}),
        ({"accuracy": {}, "psychometric": {"parsed": 0}}, {"unparsed": 0.5}),
        ({"cues": {"answer": {}}}, {}),
        ({"rs": {}}, {}),
    ],
)
def test_the_share_of_unparsed_answers_is_that_of_the_metric_that_reads_them(observation, shares):
    good = Record("t", "t/0", 0, "", "", output="x", scores={"accuracy": {"answer": "x"}})
    assert unusable_shares([good, replace(good, scores=observation)]) == shares


def test_a_share_is_never_shown_as_nothing():
    assert unusable_answers({"unparsed": 0.0001}) == "0.1 % of the answers unparsed"


def test_own_answers_may_be_sentences_and_those_of_the_benchmark_are_words(tmp_path):
    task = own_data(tmp_path, ROWS)
    assert load_task(task).max_new_tokens == 128
    task.write_text(task.read_text() + "max_new_tokens: 16\n")
    assert load_task(task).max_new_tokens == 16
    assert load_task(find_task_files()["coarse"]).max_new_tokens == 8


def test_a_model_without_a_chat_template_is_said_to_be_one(tmp_path):
    lines = Lines()
    result = run(own_data(tmp_path, ROWS[:1]), listener=lines)
    assert [line for line in lines.said if "chat template" in line] == [
        "model 'says': its checkpoint has no chat template, so it is asked the bare questions"
    ]
    assert json.loads((result.path / "run.json").read_text())["model"]["chat_template"] is None


def test_rows_of_any_kind_count(tmp_path):
    kinds = ["graph", "photo", "", "-"]
    rows = [{"prompt": "a", "target": "a", "k": kind} for kind in kinds]
    result = run(own_data(tmp_path, rows, "  kind: k\n"))
    score = result.scores["q"]["acc"]
    assert (score.value, score.n) == (1.0, 4)
    assert set(score.detail["by_kind"]) == set(kinds)
    assert set(stored_breakdowns(result.document["scores"]["q"])["kind"]) == set(kinds)


def test_runs_of_earlier_code_know_their_scene_graphs(tmp_path):
    """They said by the kind of question what the answer type says now; a closed question of that kind is none."""
    lines = [
        {"index": 0, "kind": "graph", "target": "1 large red solid star"},
        {"index": 1, "kind": "graph", "target": "yes", "choices": ["yes", "no"]},
        {"index": 2, "kind": "graph", "target": "a", "answer_type": None},
        {"index": 3, "kind": "left", "target": "a"},
    ]
    rest = {"task": "t", "id": "x", "prompt": "", "logprobs": None, "scores": {}, "choices": []}
    (tmp_path / "samples.jsonl").write_text("".join(json.dumps(rest | line) + "\n" for line in lines))
    assert [answer_type(record) for record in read_records(tmp_path, "t")] == ["graph", "choice", "text", "text"]


def test_a_name_that_is_a_task_and_a_group_is_refused(tmp_path):
    task = own_data(tmp_path, ROWS)
    (tmp_path / "all.yaml").write_text(task.read_text().replace("task: q", "task: all"))

    class Tasks(Plugin):
        @hookimpl
        def vtbench_task_dirs(self) -> list[Path]:
            return [tmp_path]

    plugins = Registry({"says": Tasks(), "scoring": vtbench.scoring.plugin})
    with pytest.raises(VtbenchError, match=r"'all' is a task \(.*all.yaml\) and a group of tasks"):
        run(task, tasks=["all"], registry=plugins)
