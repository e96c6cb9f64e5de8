"""Scores of parts of the samples: by kind, and by what a task says that they vary in."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from host_fakes import quiz, registry
from PIL import Image

import vtbench
from vtbench.console.tables import MOST_WORDS, show_scores
from vtbench.errors import TaskError
from vtbench.metric import Batch
from vtbench.report import render
from vtbench.scoring import graph_metric
from vtbench.scoring.breakdown import breakdowns, shared_words, stored_breakdowns, words_of
from vtbench.scoring.graph_metric import SceneGraph
from vtbench.scoring.group_metrics import GroupAccuracy, YesNo
from vtbench.scoring.metrics import Accuracy, PairAccuracy, RankAccuracy
from vtbench.stats import proportion
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Output, Record, Sample, Score

YES_NO = ("yes", "no")


def record(index: int, kind: str = "left", cluster: str = "", **by: str) -> Record:
    return Record("t", str(index), index, "?", "yes", YES_NO, kind=kind, cluster=cluster, meta={"by": by} if by else {})


def of(metric, records: list[Record], right: list[int], **more: int) -> dict[str, Score]:
    return metric.compute(records, [{"answer": "yes", "correct": r, **more} for r in right])


def test_a_part_has_the_score_that_it_has_alone() -> None:
    records = [record(i, severity=str(1 + i % 2)) for i in range(8)]
    right = [1, 0, 1, 0, 1, 1, 0, 0]
    detail = of(Accuracy(), records, right)["acc"].detail
    alone = of(Accuracy(), records[::2], right[::2])["acc"]
    cell = {"acc": alone.value, "interval": alone.interval, "n": 4, "chance": 0.5}
    assert detail["by_severity"]["1"] == cell
    assert cell["interval"] == proportion([1, 1, 1, 0], [""] * 4).interval
    assert detail["by_severity"]["2"]["acc"] == 0.25


def test_what_does_not_vary_has_no_table() -> None:
    records = [record(i, background="photograph") for i in range(3)]
    assert not [key for key in of(Accuracy(), records, [1, 1, 0])["acc"].detail if key.startswith("by_")]


def test_samples_that_say_nothing_of_a_property_are_in_none_of_its_lines() -> None:
    records = [record(0, group="food"), record(1, group="animals"), record(2)]
    table = of(Accuracy(), records, [1, 0, 1])["acc"].detail["by_group"]
    assert {word: cell["n"] for word, cell in table.items()} == {"animals": 1, "food": 1}


def test_paths_have_their_shared_beginnings_too() -> None:
    words = ["blur/1", "blur/2", "jpeg/1", "jpeg/1"]
    records = [record(i, corruption=word) for i, word in enumerate(words)]
    table = of(Accuracy(), records, [1, 0, 1, 1])["acc"].detail["by_corruption"]
    assert {word: (cell["acc"], cell["n"]) for word, cell in table.items()} == {
        "blur": (0.5, 2), "blur/1": (1.0, 1), "blur/2": (0.0, 1), "jpeg/1": (1.0, 2),
    }  # fmt: skip


def test_a_beginning_of_all_paths_is_the_whole_and_has_no_line() -> None:
    parts = [("photograph/grass", 1), ("photograph/sand", 0)]
    found = breakdowns("s", parts, lambda p: {"background": p[0]}, lambda part: Score(float(len(part)), n=len(part)))
    assert [*found["by_background"]] == ["photograph/grass", "photograph/sand"]


def test_a_pair_counts_where_both_members_belong() -> None:
    """A hidden object and its clear twin are no pair of either; their severity is that of both."""
    records = [
        record(i, cluster=str(i // 2), occlusion="hidden" if i % 2 else "clear", severity=str(i // 4)) for i in range(8)
    ]
    detail = of(PairAccuracy(), records, [1, 1, 1, 0, 1, 1, 1, 1])["pair_acc"].detail
    assert "by_occlusion" not in detail
    assert {word: (cell["pair_acc"], cell["n"]) for word, cell in detail["by_severity"].items()} == {
        "0": (0.5, 2), "1": (1.0, 2),
    }  # fmt: skip
    assert detail["by_severity"]["0"]["chance"] == 0.5  # members with one question and answer are one guess
    groups = of(GroupAccuracy(), records, [1, 1, 1, 0, 1, 1, 1, 1])["group_acc"]
    assert groups.detail["by_severity"]["0"]["group_acc"] == 0.5


def twins(hidden: list[int], clear: list[int], repeat: int = 0) -> tuple[list[Record], list[dict[str, int]]]:
    """Return hidden objects, each beside its clear twin, and the observations of their answers."""
    found = []
    for i, pair in enumerate(zip(hidden, clear, strict=True)):
        for word, right in zip(("hidden", "clear"), pair, strict=True):
            meta = {"by": {"occlusion": word}} | ({"twin": {"occlusion": "clear"}} if word == "hidden" else {})
            one = Record("t", f"{i}{word}", i, "?", "yes", YES_NO, cluster=str(i), meta=meta, repeat=repeat)
            found.append((one, {"answer": "yes", "correct": right, "per_token": right, "ranked": 1}))
    return [record for record, _ in found], [observation for _, observation in found]


def test_hidden_objects_are_compared_with_their_clear_twins() -> None:
    """Of 20 pairs, six have only the clear object right and one only the hidden one: McNemar's z is -5 / sqrt(7)."""
    records, seen = twins([0] * 6 + [1] + [1] * 8 + [0] * 5, [1] * 6 + [0] + [1] * 8 + [0] * 5)
    table = Accuracy().compute(records, seen)["acc"].detail["by_occlusion"]
    assert "less_twin" not in table["clear"]
    found = table["hidden"]["less_twin"]
    assert (found["twin"], found["n"], found["test"]) == ("clear", 20, "McNemar")
    assert found["value"] == pytest.approx(-5 / 20) == pytest.approx(table["hidden"]["acc"] - table["clear"]["acc"])
    assert found["p"] == pytest.approx(math.erfc(5 / math.sqrt(7) / math.sqrt(2)))
    low, high = found["interval"]
    assert -0.5 < low < -0.25 < 0 < high < 0.05, "p is 0.059"
    ranked = RankAccuracy().compute(records, seen)
    assert [score.detail["by_occlusion"]["hidden"]["less_twin"] for score in ranked.values()] == [found] * 2


def test_a_sample_whose_twin_failed_is_left_out_of_the_difference() -> None:
    records, seen = twins([0, 0, 1, 1], [1, 1, 1, 1])
    table = Accuracy().compute(records[:-1], seen[:-1])["acc"].detail["by_occlusion"]
    assert (table["hidden"]["n"], table["hidden"]["less_twin"]["n"]) == (4, 3)
    assert table["hidden"]["less_twin"]["value"] == pytest.approx(-2 / 3)
    lonely = [*records[::2], replace(records[1], cluster="9")]
    table = Accuracy().compute(lonely, [seen[0]] * 5)["acc"].detail["by_occlusion"]
    assert "less_twin" not in table["hidden"], "the clear object is of another scene"


def test_repeats_of_a_pair_are_no_further_pairs() -> None:
    """Each repeat is compared with its own, and the pair stays the independent unit: four repeats say no more."""
    each = [twins([0] * 6 + [1] * 14, [1] * 15 + [0] * 5, repeat) for repeat in range(4)]
    once = Accuracy().compute(*each[0])["acc"].detail["by_occlusion"]["hidden"]["less_twin"]
    records, seen = ([one for part in each for one in part[k]] for k in (0, 1))
    found = Accuracy().compute(records, seen)["acc"].detail["by_occlusion"]["hidden"]["less_twin"]
    assert (found["n"], found["value"], found["test"]) == (80, once["value"], "McNemar by scene")
    assert found["p"] > 0.9 * once["p"]
    apart = [twins([1, 1], [1, 1], 0), twins([1, 1], [0, 0], 1)]
    records, seen = ([one for part in apart for one in part[k]] for k in (0, 1))
    assert Accuracy().compute(records, seen)["acc"].detail["by_occlusion"]["hidden"]["less_twin"]["value"] == 0.5


def test_shared_words() -> None:
    both = [record(0, kind="a", source="x", level="1"), record(1, kind="b", source="x", level="2")]
    assert shared_words(both) == {"source": "x"}
    assert words_of(Record("t", "0", 0, "?", "yes", kind="a", meta={"by": "no table"})) == {"kind": "a"}


def test_ranked_answers_and_those_of_yes_and_no_are_broken_down_too() -> None:
    records = [record(i, severity=str(i % 2)) for i in range(4)]
    ranked = RankAccuracy().compute(records, [{"correct": i % 2, "per_token": 1, "ranked": 1} for i in range(4)])
    assert [cell["rank_acc"] for cell in ranked["rank_acc"].detail["by_severity"].values()] == [0.0, 1.0]
    said = YesNo().compute(records, [{"said_yes": 1, "is_yes": i % 2} for i in range(4)])
    assert [cell["f1"] for cell in said["f1"].detail["by_severity"].values()] == [0.0, 1.0]
    assert said["yes_share"].detail["by_severity"]["1"]["yes_share"] == 1.0


def test_scene_graphs_are_broken_down_in_all_their_scores() -> None:
    line = "1 small red solid star"
    samples = [
        Sample(str(i), i, (), "?", line, answer_type="graph", meta={"by": {"size": "ab"[i % 2]}}) for i in (0, 1)
    ]
    seen = SceneGraph().observe(Batch(samples, [Output(text=line), Output(text="nothing")], {}))
    records = [Record("t", s.id, s.index, "?", line, answer_type="graph", meta=s.meta) for s in samples]
    found = SceneGraph().compute(records, seen)
    assert {name: len(score.detail["by_size"]) for name, score in found.items() if score.n} == dict.fromkeys(found, 2)
    assert [cell["tuple_f1"] for cell in found["tuple_f1"].detail["by_size"].values()] == [1.0, 0.0]


def test_stored_breakdowns_begin_with_the_kind_and_pass_over_what_is_no_table() -> None:
    detail = {"by_size": {"a": {"acc": 0.5, "n": 2}}, "by_kind": {"left": {"acc": 1.0, "n": 1}}, "by_part": {"x": 3}}
    found = stored_breakdowns({"acc": {"detail": detail, "percent": True}})
    assert [*found] == ["kind", "size"]
    assert found["size"]["a"]["acc"] == {"value": 0.5, "interval": None, "n": 2, "chance": None, "percent": True}


@pytest.mark.parametrize(
    ("task", "changes", "index", "said"),
    [
        ("relational", {"split": "noise"}, 8, {"corruption": "blur/2", "severity": "2"}),
        ("occlusion", {}, 0, {"occlusion": "hidden"}),
        ("occlusion", {}, 1, {"occlusion": "clear"}),
        ("coarse", {"scene": {"background": "waves"}}, 1, {"background": "drawn/waves"}),
    ],
)
def test_what_scenes_say_of_themselves(task: str, changes: dict[str, str], index: int, said: dict[str, str]) -> None:
    sample = load_task(find_task_files()[task], **changes).sample(index, 16)
    assert sample.meta["by"].items() >= said.items()


def test_only_the_hidden_object_is_compared_with_its_twin() -> None:
    task = load_task(find_task_files()["occlusion"])
    hidden, clear = task.sample(0, 16), task.sample(1, 16)
    assert (hidden.meta["twin"], "twin" in clear.meta) == ({"occlusion": "clear"}, False)
    assert (hidden.cluster, hidden.question, hidden.target) == (clear.cluster, clear.question, clear.target)


@pytest.mark.parametrize("task", ["natural_coarse", "natural_attribute", "natural_relational"])
def test_cut_outs_say_the_group_of_the_object_asked_about(task: str) -> None:
    """The kind of an object, the colour of one, the place of one seen from another; not of what is behind them."""
    source = load_task(find_task_files()[task])
    groups = {one.name: one.group for one in source.spec.scene.cast.objects}
    for index in range(12):
        sample, question = source.sample(index, 16), source.source.item(index).question
        named = {"shape": sample.target, "colour": question.slots.get("shape"), "background": ""}.get(question.kind)
        if named is None:
            named = question.slots["a"].partition(" ")[2]
        assert sample.meta["by"].get("group") == groups.get(named)
        assert sample.meta["by"]["background"] == f"photograph/{sample.scene.background.colour}"


def test_rows_of_data_say_what_their_columns_hold(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "0.png")
    rows = [{"image": "0.png", "prompt": "?", "target": "yes", "place": "in/out", "level": n} for n in (1, 2, None)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "mine.yaml").write_text("task: mine\ndata: {path: rows.jsonl, by: [level, place]}\n")
    task = load_task(tmp_path / "mine.yaml")
    said = [task.sample(i).meta["by"] for i in range(3)]
    assert said == [{"level": "1", "place": "in/out"}, {"level": "2", "place": "in/out"}, {"place": "in/out"}]
    (tmp_path / "mine.yaml").write_text("task: mine\ndata: {path: rows.jsonl, by: levle}\n")
    with pytest.raises(TaskError, match="levle"):
        load_task(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("task: mine\ndata: {path: rows.jsonl, by: kind}\n")
    with pytest.raises(TaskError, match="would be taken for the kind"):
        load_task(tmp_path / "mine.yaml")


def test_the_report_and_the_terminal_show_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = vtbench.run(model="fake", tasks=[quiz(tmp_path, 4)], output=str(tmp_path / "out"), registry=registry())
    (name, score), *_ = result.document["scores"]["quiz"].items()
    cell = {name: 0.625, "interval": (0.51, 0.75), "n": 4, "chance": 0.25}
    less = {"twin": "clear", "value": -0.375, "interval": (-0.5, -0.2), "p": 0.0004, "test": "McNemar", "n": 3}
    hidden = cell | {"less_twin": less}
    score["detail"]["by_occlusion"] = {"hidden": hidden, "clear": cell | {name: 1.0, "interval": None}}
    score["detail"]["by_row"] = {str(n): cell for n in range(MOST_WORDS + 1)}
    show_scores(result, stderr=False)
    shown = capsys.readouterr().out
    rows = [line.split() for line in shown.splitlines() if line.strip().startswith(("hidden", "clear"))]
    assert rows == [["clear", "100.0", "%", "25.0", "4"], ["hidden", "62.5", "%", "51.0–75.0", "25.0", "4"]]
    (difference,) = [line.split() for line in shown.splitlines() if "difference" in line]
    assert difference == ["difference", "to", "clear", "-37.5", "-50.0", "to", "-20.0", "3", "<0.001"]
    assert f"by row: {MOST_WORDS + 1} values; report.html has their table" in shown
    assert shown.split().count("row") == 0, "a table of more lines is for the report alone"
    (result.path / "results.json").write_text(json.dumps(result.document))
    page = render(result.path)
    assert "<h3>By occlusion</h3>" in page
    assert "51.0 to 75.0, chance 25.0<br>difference to clear -37.5, n 3<br>-50.0 to -20.0, p &lt;0.001<" in page
    assert "<h3>By row</h3>" in page


def test_a_breakdown_of_scene_graphs_makes_the_one_score_that_it_breaks_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the seven scores once, and once again for each word: not all seven for each."""
    made: list[int] = []
    for name in ("ratio", "proportion"):
        real = getattr(graph_metric, name)
        monkeypatch.setattr(graph_metric, name, lambda *args, real=real: made.append(1) or real(*args))
    line = "1: small red circle solid"
    graphs = [
        Record("t", f"t/{i}", i, "?", line, answer_type="graph", meta={"by": {"severity": str(i % 3)}})
        for i in range(6)
    ]
    samples = [Sample(r.id, r.index, (), r.prompt, r.target, answer_type="graph") for r in graphs]
    metric = SceneGraph()
    seen = metric.observe(Batch(samples, [Output(text=s.target) for s in samples], {}))
    scores = metric.compute(graphs, seen)
    assert len(scores["exact_graph"].detail["by_severity"]) == 3
    assert len(made) == 7 * (1 + 3)
