"""`vtbench compare` on stored runs: shared samples, table, JSON, page, and one-line errors."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from analysis_fakes import registry, run
from PIL import Image

import vtbench
from vtbench.cli import status
from vtbench_analysis import compare

torch.set_num_threads(1)
Captured = pytest.CaptureFixture[str]


def cli(*arguments: object) -> int:
    return status([str(argument) for argument in arguments], registry())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    output = tmp_path_factory.mktemp("runs")
    return {
        "good": run(output, model_args={"right": 0.9}),
        "poor": run(output, model_args={"right": 0.5}),
        "longer": run(output, limit=80, model_args={"right": 0.9}),
        "other_seed": run(output, seed=1),
        "larger": run(output, model_args={"image_size": 48}),
        "graph": run(output, tasks=["coarse"]),
    }


def test_equal_runs_do_not_differ(runs: dict[str, Path]) -> None:
    scores = compare([runs["good"], runs["longer"]]).document["tasks"]["relational"]["scores"]
    for score in scores.values():
        (difference,) = score["differences"].values()
        if difference["flags"] == ["no_test"]:
            continue
        assert difference["value"] == 0
        assert difference["p"] == 1
        assert difference["interval"][0] < 0 < difference["interval"][1]


def test_runs_in_two_prompt_formats_are_paired_by_question_and_said_to_differ(
    runs: dict[str, Path], tmp_path: Path, capsys: Captured
) -> None:
    bare = run(tmp_path, model_args={"right": 0.9}, prompt_format="plain")
    task = compare([runs["good"], bare]).document["tasks"]["relational"]
    assert (task["shared"], task["other_questions"]) == (60, 0)
    assert task["asked"] == {"A": "instruct", "B": "plain"}
    assert task["scores"]["acc"]["differences"]["B"]["value"] == 0
    assert cli("compare", runs["good"], bare, "--output", tmp_path / "page.html") == 0
    out, err = capsys.readouterr()
    assert "relational · A instruct, B plain" in out
    warned = "warning: the runs were asked in different ways, which moves scores too: relational: A instruct, B plain"
    assert warned in err
    page = (tmp_path / "page.html").read_text()
    assert "Asked: A instruct, B plain." in page
    assert cli("compare", runs["good"], runs["poor"]) == 0
    out, err = capsys.readouterr()
    assert "relational · instruct\n" in re.sub(r" +\n", "\n", out)
    assert err == ""


def test_it_finds_which_run_is_better_on_the_shared_samples(runs: dict[str, Path]) -> None:
    found = compare([runs["longer"], runs["poor"], runs["good"]]).document
    task = found["tasks"]["relational"]
    assert (task["shared"], task["samples"]) == (60, {"A": 80, "B": 60, "C": 60})
    acc = task["scores"]["acc"]
    assert acc["values"]["A"]["value"] == acc["values"]["C"]["value"] == pytest.approx(0.9, abs=0.05)
    poor = acc["differences"]["B"]
    assert poor["value"] == pytest.approx(acc["values"]["B"]["value"] - acc["values"]["A"]["value"])
    assert poor["interval"][1] < 0
    assert poor["p"] < poor["p_holm"] < 0.05
    assert poor["test"] == "McNemar by scene"
    assert task["scores"]["pair_acc"]["differences"]["B"]["test"] == "McNemar"
    assert task["scores"]["pair_acc"]["n"] == 30


def test_rs_of_known_tokens(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"limit": 120, "metrics": ["redundancy:protocol=rs-v1"]}
    plain = run(tmp_path, model_args={"copies": 1}, **fields)
    twice = run(tmp_path, model_args={"copies": 4}, **fields)
    scores = compare([plain, twice]).document["tasks"]["relational"]["scores"]
    assert scores["rs"]["differences"]["B"]["interval"][0] > 0
    assert scores["discarded"]["differences"]["B"]["interval"][0] > 0
    same = compare([plain, plain]).document["tasks"]["relational"]["scores"]
    tested = {name: score for name, score in same.items() if score["differences"]["B"]["flags"] != ["no_test"]}
    assert {name: score["differences"]["B"]["value"] for name, score in tested.items()} == dict.fromkeys(
        ("rs", "r_pix", "discarded"), 0
    )
    assert {"delta_rs", "n_eff", "ms_per_sample"} <= same.keys() - tested.keys()
    stored = json.loads((plain / "results.json").read_text())["scores"]["relational"]
    for name, score in same.items():
        if score["metric"] == "cost":
            continue
        assert score["values"]["A"]["value"] == pytest.approx(stored[name]["value"], abs=1e-9)
        assert score["values"]["A"]["interval"] == pytest.approx(stored[name]["interval"], abs=1e-9)


def test_metrics_that_only_one_run_has_are_named(runs: dict[str, Path], tmp_path: Path) -> None:
    less = run(tmp_path, metrics=["accuracy"])
    found = compare([runs["good"], less]).document["tasks"]["relational"]
    assert list(found["scores"]) == ["acc", "ms_per_sample"]
    assert found["not_compared"] == dict.fromkeys(("rank_accuracy", "pair_accuracy"), "not every run has it")


def test_json_is_one_document_and_the_table_is_text(runs: dict[str, Path], capsys: Captured) -> None:
    assert cli("compare", runs["good"], runs["poor"], "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["runs"]["B"]["model"] == "partial_oracle"
    assert document == compare([runs["good"], runs["poor"]]).document
    assert cli("compare", runs["good"], runs["poor"]) == 0
    out = capsys.readouterr().out
    for text in ("relational", "acc", "p Holm", "McNemar by scene", "60 shared samples of 60, 60", str(runs["poor"])):
        assert text in out


class Page(HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = ("meta", "rect", "br", "wbr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def safe(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "img"}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not re.search(r"url\(|@import|https?://", text)


def test_the_page_is_one_safe_file(runs: dict[str, Path], tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    shutil.copytree(runs["poor"], evil)
    facts = json.loads((evil / "run.json").read_text())
    facts["config"]["model"] = "<script>alert(1)</script>"
    (evil / "run.json").write_text(json.dumps(facts))
    page = tmp_path / "compare.html"
    assert cli("compare", runs["good"], evil, "--output", page) == 0
    safe(page.read_text())
    assert "&lt;script&gt;" in page.read_text()
    assert "McNemar by scene" in page.read_text()
    assert cli("diagnose", evil, "--output", page) == 0
    safe(page.read_text())


def changed(path: Path, to: Path, change: Any) -> Path:
    shutil.copytree(path, to)
    facts = json.loads((to / "run.json").read_text())
    change(facts)
    (to / "run.json").write_text(json.dumps(facts))
    return to


def test_a_run_at_another_image_size_is_of_the_same_scenes(runs: dict[str, Path], capsys: Captured) -> None:
    assert cli("compare", runs["good"], runs["larger"]) == 0
    assert re.search(
        r"(\d+) shared samples of .*; the same scenes drawn at another size: \1\n", capsys.readouterr().out
    )


def test_every_mistake_is_one_line(runs: dict[str, Path], tmp_path: Path, capsys: Captured) -> None:
    good = runs["good"]
    tasks = "keys"
    unfinished = changed(good, tmp_path / "unfinished", lambda facts: facts.pop("finished"))
    older = changed(good, tmp_path / "older", lambda f: f[tasks]["tasks"]["relational"].update(benchmark="vtb-0"))
    other = changed(good, tmp_path / "other", lambda f: f[tasks]["tasks"]["relational"].update(version=2))
    for arguments, message in [
        (["compare", good, tmp_path / "none"], "not a run's directory"),
        (["compare", good], "compare takes 2 to 26 runs, not 1"),
        (["compare"], "compare takes 2 to 26 runs, not 0"),
        (["compare", good, unfinished], "not finished; resume it with"),
        (["compare", good, older], "relational is of benchmark version vtb-0, and of vtb-1"),
        (["compare", good, other], "relational is of task version 2, and of 1"),
        (["compare", good, runs["other_seed"]], "share no sample: relational has other samples"),
        (["compare", good, runs["graph"]], "no task in common"),
        (["compare", good, runs["poor"], "--output", tmp_path / "no" / "page.html"], "no/page.html"),
        (["diagnose", tmp_path / "none"], "not a run's directory"),
        (["diagnose", unfinished], "not finished; resume it with"),
    ]:
        assert cli(*arguments) == 2, arguments
        err = capsys.readouterr().err
        assert message in err, err
        assert err.count("\n") == 1, err


def test_scores_of_one_name_by_two_metrics_are_compared_each_under_its_own(tmp_path: Path, capsys: Captured) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    rows = [
        {
            "prompt": "Which?",
            "image": "a.png",
            "target": ("cup", "dog")[i % 2],
            "choices": ["cup", "dog"],
            "pair": i // 2,
        }
        for i in range(16)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "pets.yaml").write_text(
        "task: pets\nversion: 1\ndescription: d\n"
        "data: {path: rows.jsonl, choices: choices, cluster: 4, pair: pair}\n"
        "metrics: [pair_accuracy, group_accuracy]\n"
    )
    both = [
        vtbench.run(model, [str(tmp_path / "pets.yaml")], output=str(tmp_path / model), report=False).path
        for model in ("majority", "blind")
    ]
    scores = compare(both).document["tasks"]["pets"]["scores"]
    assert {"pair_accuracy.pair_acc", "group_accuracy.pair_acc", "group_acc"} <= scores.keys()
    assert "pair_acc" not in scores
    for name in ("pair_accuracy.pair_acc", "group_accuracy.pair_acc", "group_acc"):
        assert scores[name]["differences"]["B"]["test"].startswith("McNemar"), name
    assert scores["group_accuracy.pair_acc"]["n"] == 8
    assert scores["group_acc"]["n"] == 4
    assert cli("compare", *both, "--max-drop", "0", "--scores", "group_accuracy.pair_acc") == 0
    assert "group_accuracy.pair_acc" in capsys.readouterr().out


def test_a_comparison_fits_80_columns(runs: dict[str, Path], capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli("compare", runs["good"], runs["poor"]) == 0
    table = capsys.readouterr().out.partition("relational ·")[2]
    assert max(map(len, table.splitlines())) <= 80
    assert re.search(r"acc +A +90\.0 % +[\d.]+–[\d.]+ *\n +B +50\.0 % +[\d.]+–[\d.]+ +-40\.0 +-[\d.]+ to -", table)
    assert "no paired test: " in table
