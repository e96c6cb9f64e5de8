"""The tasks that ship over photographs: each reads a fixture of its data set's columns, and scores as it is published.

Each rule of scoring is written here a second time, from the data set's own description, and compared on answers in the
forms in which models write them.
"""

from __future__ import annotations

import hashlib
import json
import operator
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import datasets
import jsonschema
import pytest
import yaml
from real_rows import FIXTURES, drawn, variant

from vtbench.cli import status
from vtbench.errors import SampleError, TaskError
from vtbench.metric import Batch
from vtbench.registry import Registry
from vtbench.scoring import plugin as scoring
from vtbench.task.catalog import builtin_tasks, find_task_files, summary
from vtbench.task.loading import load_task
from vtbench.task.prepared import in_format
from vtbench.task.schema import json_schema, read_task
from vtbench.types import Output, Record, Sample, Score, Task

REAL = sorted(path.stem for path in (builtin_tasks() / "real").glob("*.yaml"))
FILES = find_task_files()


@pytest.fixture(autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", Path(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr("vtbench.task.own_data.fetch_image", lambda url: drawn(len(url))["bytes"])


def made(folder: Path, name: str, prompt_format: str = "instruct") -> tuple[Task, list[Sample]]:
    """Return a task over its fixture, and all its samples."""
    task = in_format(load_task(variant(folder, name)), prompt_format)
    return task, [task.sample(i) for i in range(len(task))]


def scores(task: Task, samples: Sequence[Sample], texts: Sequence[str]) -> dict[str, Score]:
    """Return the scores of the task's metrics of generated answers."""
    metrics = Registry({"scoring": scoring}).named("metric")
    found: dict[str, Score] = {}
    for name in task.metrics:
        metric = metrics[name].factory()
        if metric.needs == {"generate"}:
            seen = metric.observe(Batch(samples, [Output(text=text) for text in texts], {}))
            found |= metric.compute([_record(task, sample) for sample in samples], seen)
    return found


def _record(task: Task, sample: Sample) -> Record:
    shas = tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in sample.images)
    shared = ("id", "index", "prompt", "target", "choices", "kind", "cluster", "meta", "question", "labels", "synonyms")
    return Record(task=task.name, image_sha256=shas, **{key: getattr(sample, key) for key in shared})


def test_every_task_has_a_fixture() -> None:
    assert sorted(FIXTURES) == REAL


@pytest.mark.parametrize("name", REAL)
def test_a_task_says_what_it_is(name: str) -> None:
    spec = read_task(FILES[name])
    assert (spec.task, spec.groups, list(spec.formats)) == (name, ("real",), ["instruct"])
    assert spec.citation
    assert spec.licence
    jsonschema.validate(yaml.safe_load(FILES[name].read_text()), json_schema())
    assert summary(FILES[name])["needs"] == ("files" if name == "whatsup" else "hub")


def test_the_listing_marks_what_needs_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert status(["ls", "tasks", "--json"]) == 0
    needs = {row["name"]: row["needs"] for row in json.loads(capsys.readouterr().out)}
    assert {name for name, what in needs.items() if what == "hub"} == set(REAL) - {"whatsup"}
    assert (needs["whatsup"], needs["relational"]) == ("files", "")


@pytest.mark.parametrize("name", REAL)
def test_without_a_network_a_task_says_what_to_do(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    says = (
        "there is no file .*whatsup.*get it from https:"
        if name == "whatsup"
        else r"data.hub: .*datasets.load_dataset\("
    )
    with pytest.raises(TaskError, match=says) as caught:
        load_task(FILES[name])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", REAL)
def test_every_row_of_a_fixture_is_a_sample_whose_answer_counts(name: str, tmp_path: Path) -> None:
    task, samples = made(tmp_path, name)
    rows = FIXTURES[name]()
    assert len(samples) == len(rows) >= 18
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        assert sample.prompt.startswith(sample.question)
        assert sample.target in sample.choices or not sample.choices
    found = scores(task, samples, [sample.answer or sample.target for sample in samples])
    shares = {key: score.value for key, score in found.items() if key != "yes_share" and score.n}
    assert shares
    assert set(shares.values()) == {1.0}
    json.dumps(task.config(), allow_nan=False)
    wrong = scores(task, samples, ["I cannot say."] * len(samples))
    assert {score.value for key, score in wrong.items()} <= {0.0, None}


def letters(samples: Sequence[Sample]) -> tuple[list[str], list[bool]]:
    """Return answers by letter in several forms, three of four right, and which are right."""
    texts, right = [], []
    for i, sample in enumerate(samples):
        labels = "ABCDEFGH"[: len(sample.choices)]
        order = dict(zip(sample.choices, sample.labels or labels, strict=True))
        true = order[sample.target]
        said = true if i * 7 % 4 else next(label for label in labels if label != true)
        forms = ("{0}", "({0})", "{0}.", "The answer is {0}.", "{0}\n")
        texts.append(forms[i % len(forms)].format(said))
        right.append(_letter(texts[-1]) == true)
    return texts, right


def _letter(text: str) -> str:
    """Return the letter of an answer as the evaluation of lmms-eval reads it, and behind `answer is`."""
    found = re.search(r"answer\s+is\s+\(?([A-H])\)?", text) or re.match(r"[(\s]*([A-H])[).\s]*", text)
    return found[1] if found else ""


def test_cv_bench_is_the_mean_of_two_and_three_dimensions(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "cv_bench")
    texts, right = letters(samples)
    of_source = defaultdict(list)
    for row, correct in zip(FIXTURES["cv_bench"](), right, strict=True):
        of_source[row["source"]].append(correct)
    accuracy = {source: fmean(values) for source, values in of_source.items()}
    flat = (accuracy["ADE20K"] + accuracy["COCO"]) / 2
    wanted = (flat + accuracy["Omni3D"]) / 2
    found = scores(task, samples, texts)
    assert found["macro_acc"].value == pytest.approx(wanted)
    assert found["acc"].value == pytest.approx(fmean(right))
    assert found["macro_acc"].value != pytest.approx(fmean(right)), "both means differ on this fixture"
    assert found["macro_acc"].detail["by_part"]["2D"]["acc"] == pytest.approx(flat)


@pytest.mark.parametrize("name", ["blink", "embspatial"])
def test_letters_and_means_over_tasks(name: str, tmp_path: Path) -> None:
    task, samples = made(tmp_path, name)
    texts, right = letters(samples)
    of_kind = defaultdict(list)
    for sample, correct in zip(samples, right, strict=True):
        of_kind[sample.kind].append(correct)
    found = scores(task, samples, texts)
    assert found["acc"].value == pytest.approx(fmean(right))
    if name == "blink":
        assert len(of_kind) == 3
        assert found["macro_acc"].value == pytest.approx(fmean(map(fmean, of_kind.values())))
        assert [len(sample.images) for sample in samples[:3]] == [len(_images(row)) for row in _in_order(samples)[:3]]


def _in_order(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    rows = {row["question"]: row for row in FIXTURES["blink"]()}
    return [rows[sample.question.partition(" Select")[0]] for sample in samples]


def _images(row: dict[str, Any]) -> list[Any]:
    return [row[f"image_{n}"] for n in range(1, 5) if row[f"image_{n}"]]


def test_pope_is_f1_of_yes_and_the_share_of_yes(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "pope")
    said = [("yes", "no")[i * i % 7 % 2] for i in range(len(samples))]
    texts = [(text, f"{text.title()}.", text.upper())[i % 3] for i, text in enumerate(said)]
    true = [row["answer"] for row in FIXTURES["pope"]()]
    both = sum(s == t == "yes" for s, t in zip(said, true, strict=True))
    precision, recall = both / said.count("yes"), both / true.count("yes")
    found = scores(task, samples, texts)
    assert found["acc"].value == pytest.approx(fmean(s == t for s, t in zip(said, true, strict=True)))
    assert found["f1"].value == pytest.approx(2 * precision * recall / (precision + recall))
    assert (found["f1"].detail["precision"], found["f1"].detail["recall"]) == pytest.approx((precision, recall))
    assert found["yes_share"].value == pytest.approx(said.count("yes") / len(said))
    assert sorted(found["f1"].detail["by_kind"]) == ["adversarial", "popular", "random"]


def test_naturalbench_is_right_by_question_image_and_group(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "naturalbench")
    rows = FIXTURES["naturalbench"]()
    positive = [("Yes", "A")[row["Question_Type"] == "multiple_choice"] for row in rows]
    opposite = {"Yes": "No", "A": "B"}
    said = [p if i * 5 % 8 in (0, 3, 4, 7) or i in (1, 6) else opposite[p] for i, p in enumerate(positive)]
    answers = [[int(said[4 * g + n] == positive[4 * g + n]) for n in range(4)] for g in range(5)]
    question = [(q0i0 > q0i1) + (q1i1 > q1i0) for q0i0, q0i1, q1i0, q1i1 in answers]
    image = [(q0i0 > q1i0) + (q1i1 > q0i1) for q0i0, q0i1, q1i0, q1i1 in answers]
    group = [q == 2 and i == 2 for q, i in zip(question, image, strict=True)]
    found = scores(task, samples, said)
    assert found["question_acc"].value == pytest.approx(sum(question) / 10)
    assert found["image_acc"].value == pytest.approx(sum(image) / 10)
    assert found["group_acc"].value == pytest.approx(sum(group) / 5)
    assert found["acc"].value == pytest.approx(fmean(s == row["Answer"] for s, row in zip(said, rows, strict=True)))
    assert 0 < found["group_acc"].value < found["question_acc"].value < 1  # type: ignore[operator]
    assert (found["group_acc"].chance, found["question_acc"].chance) == (1 / 16, 1 / 4)
    less = scores(task, samples[:-1], said[:-1])["group_acc"]
    assert (less.n, less.detail["incomplete"], less.chance) == (4, 1, 1 / 16), "three of four answers are no group"


def test_mmvp_is_right_by_pair(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "mmvp")
    texts, right = letters(samples)
    pairs = [right[i] and right[i + 1] for i in range(0, 20, 2)]
    found = scores(task, samples, texts)
    assert found["pair_acc"].value == pytest.approx(fmean(pairs))
    assert found["acc"].value == pytest.approx(fmean(right))
    assert found["pair_acc"].chance == 1 / 4
    assert samples[1].prompt.splitlines()[1:3] == ["A. Open", "B. Closed"]


def test_whatsup_is_right_by_pair_and_by_set(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "whatsup")
    texts, right = letters(samples)
    sets = [right[i : i + 4] for i in range(0, 20, 4)]  # on, under, left, right
    pairs = [part[n] and part[n + 1] for part in sets for n in (0, 2)]
    found = scores(task, samples, texts)
    assert found["acc"].value == pytest.approx(fmean(right))
    assert found["pair_acc"].value == pytest.approx(fmean(pairs))
    assert found["group_acc"].value == pytest.approx(fmean(map(all, sets)))
    assert len({sample.choices.index(sample.target) for sample in samples}) == 4, "the right caption is not always A"
    less = scores(task, samples[1:], texts[1:])["group_acc"]
    assert (less.n, less.detail["incomplete"], less.chance) == (4, 1, 1 / 256), "three of four answers are no set"


def test_vsr_is_true_or_false_by_relation(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "vsr")
    said = [bool(i % 3) for i in range(len(samples))]
    texts = [(str(s), f"{s}.".lower(), f"The answer is {s}.")[i % 3] for i, s in enumerate(said)]
    true = [bool(row["label"]) for row in FIXTURES["vsr"]()]
    found = scores(task, samples, texts)
    assert found["acc"].value == pytest.approx(fmean(s == t for s, t in zip(said, true, strict=True)))
    assert found["yes_share"].value == pytest.approx(fmean(said))
    assert sorted(found["acc"].detail["by_kind"]) == ["facing", "left of", "under"]


def test_gqa_is_exact_match_and_finds_its_images(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "gqa")
    texts = [sample.target if i % 3 else "a cat" for i, sample in enumerate(samples)]
    texts = [f"{text.title()}." if i % 2 else text for i, text in enumerate(texts)]
    strip = [re.sub(r"[^\w\s]", "", text).lower() for text in texts]
    found = scores(task, samples, texts)
    assert found["acc"].value == pytest.approx(fmean(s == t.target for s, t in zip(strip, samples, strict=True)))
    assert {sample.cluster: sample.images[0].tobytes() for sample in samples}.keys() == {f"n{i}" for i in range(4)}
    assert len({sample.images[0].tobytes() for sample in samples}) == 4


@pytest.mark.parametrize("name", REAL)
def test_a_column_that_has_another_name_now_is_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the data set had changed on the hub: the column of the answer, or the one from which it is made."""
    named = read_task(FILES[name]).data.target  # type: ignore[union-attr]
    column = re.match(r"\{?(\w+)", named)[1]  # type: ignore[index]
    rows = [{"new name" if key == column else key: cell for key, cell in row.items()} for row in FIXTURES[name]()]
    monkeypatch.setitem(FIXTURES, name, lambda: rows)
    with pytest.raises(TaskError, match=rf"no row has a column '{column}'; there are .*new name") as caught:
        load_task(variant(tmp_path, name))
    assert str(caught.value).count("new name") == 1
    assert "\n" not in str(caught.value)


def test_a_join_says_what_is_missing(tmp_path: Path) -> None:
    path = variant(tmp_path, "gqa")
    keys = yaml.safe_load(path.read_text())
    join = {"config": "testdev_balanced_images", "split": "testdev", "column": "id", "key": "id"}
    path.write_text(yaml.safe_dump({**keys, "data": {**keys["data"], "join": join}}))
    with pytest.raises(SampleError, match=r"row 1: 'id' '20000' is no 'id' of the table that `join` names"):
        load_task(path).sample(0)
    path.write_text(yaml.safe_dump({**keys, "data": {**keys["data"], "join": {**join, "key": "imageId"}}}))
    with pytest.raises(TaskError, match=r"line \d+: data.join.key: there is no column 'imageId', but id, image"):
        load_task(path)


def test_vlms_are_blind_reads_answers_in_braces(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "vlms_are_blind")
    said = [sample.target if i % 3 else "9" for i, sample in enumerate(samples)]
    texts = [(f"{{{text}}}", text, f"I count {{{text}}} of them.")[i % 3] for i, text in enumerate(said)]
    of_kind = defaultdict(list)
    for sample, text in zip(samples, said, strict=True):
        of_kind[sample.kind].append(text == sample.target)
    assert scores(task, samples, texts)["macro_acc"].value == pytest.approx(fmean(map(fmean, of_kind.values())))


def test_spatial457_takes_yes_and_true_as_one_answer(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "spatial457")
    same = {"True": "yes", "False": "No", "3": "3.", "airliner": "Airliner"}
    assert scores(task, samples, [same[sample.target] for sample in samples])["acc"].value == 1
    swapped = [replace(sample, target=same[sample.target]) for sample in samples]
    assert scores(task, samples, ["no" if s.target == "yes" else "yes" for s in swapped])["acc"].value == 0


def test_spatial457_is_right_by_level(tmp_path: Path) -> None:
    """Beside the published rule: lower case, no full stop, and yes, true and 1 as one answer, as no, false and 0."""
    task, samples = made(tmp_path, "spatial457")
    texts = [f"{s.target}.".upper() if i % 4 else ("no" if i % 8 else "teapot") for i, s in enumerate(samples)]
    digits = {"True": "1", "False": "0"}
    texts[5:10] = [digits.get(sample.target, "0") for sample in samples[5:10]]
    assert {"1", "0"} <= {text for text, s in zip(texts, samples, strict=True) if s.target in digits}
    one = {"yes": "true", "1": "true", "no": "false", "0": "false"}
    read = [text.lower().rstrip(".") for text in texts]
    by_level = defaultdict(list)
    for sample, text in zip(samples, read, strict=True):
        true = sample.target.lower()
        by_level[sample.kind].append(one.get(text, text) == one.get(true, true))
    found = scores(task, samples, texts)
    assert {kind: cell["acc"] for kind, cell in found["acc"].detail["by_kind"].items()} == pytest.approx(
        {level: fmean(right) for level, right in by_level.items()}
    )
    assert 0 < found["acc"].value < 1  # type: ignore[operator]


def test_visonlyqa_is_the_mean_over_its_splits(tmp_path: Path) -> None:
    task, samples = made(tmp_path, "visonlyqa")
    other = [next(choice for choice in s.choices if choice != s.target) for s in samples]
    said = [s.target if i % 3 else wrong for i, (s, wrong) in enumerate(zip(samples, other, strict=True))]
    texts = [(text, f"{text}.", f"The answer is {text}.")[i % 3] for i, text in enumerate(said)]
    of_split = defaultdict(list)
    for sample, text in zip(samples, said, strict=True):
        of_split[sample.kind].append(text == sample.target)
    found = scores(task, samples, texts)
    assert found["macro_acc"].value == pytest.approx(fmean(map(fmean, of_split.values())))
    assert found["acc"].value == pytest.approx(fmean(map(operator.eq, said, [s.target for s in samples])))
