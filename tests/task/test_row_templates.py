"""Templates over columns, and what a row's target says of its choices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from stored_data import COLOURS, png, squares

from vtbench.errors import SampleError, TaskError
from vtbench.task.cells import CellError
from vtbench.task.checking import row_problems
from vtbench.task.loading import load_task
from vtbench.task.row_template import RowTemplate
from vtbench.types import Sample, Task

ROW = {"q": "Is it?", "n": 3, "options": ["red", "blue"], "index": "7_q0_i1", "none": None, "o": {"A": "cup"}}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{q}", "Is it?"),
        ("{q} {{n}} {n}", "Is it? {n} 3"),
        ("{options|lettered}", "A. red\nB. blue"),
        ("{options|listed|upper}", "RED OR BLUE"),
        ("{options|first|capital}", "Red"),
        ("{o|lines}", "cup"),
        ("{index|before:_}-{index|after:_i}", "7-1"),
        ("{index|without:_q}", "70_i1"),
        ("{none|optional}x", "x"),
        ("{choices} / {choices|lettered}", "b or a / A. b\nB. a"),
    ],
)
def test_a_template_is_filled(text: str, wanted: str) -> None:
    assert RowTemplate(text).render(ROW.get, ["b", "a"]) == wanted


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{q", "a brace stands alone"),
        ("q}", "a brace stands alone"),
        ("{}", "names no column"),
        ("{q|letered}", r"no filter 'letered'; there are lettered, .*before:TEXT.* Did you mean 'lettered'"),
        ("{q|before}", "no filter 'before'"),
        ("{q|upper:x}", "no filter 'upper:x'"),
        ("{q.__class__|eval}", "no filter 'eval'"),
    ],
)
def test_a_wrong_template_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        RowTemplate(text)


@pytest.mark.parametrize(
    ("text", "says"), [("{none}", "{none} is missing"), ("{options}", "{options} has a list of 2")]
)
def test_a_cell_that_does_not_fit_is_named(text: str, says: str) -> None:
    with pytest.raises(CellError, match=says):
        RowTemplate(text).render(ROW.get)


def task(folder: Path, **keys: Any) -> Task:
    """Return a task over the coloured squares, in a file of its own."""
    lines = []
    for n, row in enumerate(squares()):
        (folder / f"{n}.png").write_bytes(png(row["answer"]))
        lines.append(json.dumps({**row, "image": f"{n}.png"}))
    (folder / "rows.jsonl").write_text("\n".join(lines))
    data = {"path": "rows.jsonl", "prompt": "question", "target": "answer", **keys}
    (folder / "mine.yaml").write_text(yaml.safe_dump({"task": "mine", "data": data}))
    return load_task(folder / "mine.yaml")


def samples(folder: Path, **keys: Any) -> list[Sample]:
    made = task(folder, **keys)
    return [made.sample(i) for i in range(len(made))]


@pytest.mark.parametrize(
    "keys",
    [
        {"choices": "options"},
        {"choices": "options", "target": "letter", "target_as": "letter"},
        {"choices": "options", "target": "index", "target_as": "index"},
        {"choices": "lettered"},
        {"choices": "lettered", "target": "letter"},
        {"answers": list(COLOURS), "target": "{answer|upper|lower}"},
        {"answers": list(COLOURS), "target": "{also|first}"},
    ],
    ids=str,
)
def test_every_way_to_give_the_answer(keys: dict[str, Any], tmp_path: Path) -> None:
    found = samples(tmp_path, **keys)
    assert [s.target for s in found] == list(COLOURS)
    assert {s.choices for s in found} == {tuple(COLOURS)}


def test_a_boolean_answer(tmp_path: Path) -> None:
    assert [s.target for s in samples(tmp_path, target="is_red", answers=[True, False])] == ["yes", "no", "no", "no"]
    as_number = task(tmp_path, target="index", target_as="boolean", answers=["False", "True"])
    assert [as_number.sample(i).target for i in range(2)] == ["False", "True"]
    with pytest.raises(SampleError, match=r"row 3: 'index' '2' is neither true nor false"):
        as_number.sample(2)


def test_several_references(tmp_path: Path) -> None:
    first = samples(tmp_path, target="also")[0]
    assert (first.target, first.references) == ("red", ("it",))


def test_answers_by_kind(tmp_path: Path) -> None:
    keys = {"kind": "{pair|before:_}", "answers": {"0": ["red", "green"], "1": ["blue", "grey"]}}
    assert [s.choices for s in samples(tmp_path, **keys)][1:3] == [("red", "green"), ("blue", "grey")]
    keys["answers"] = {"0": ["red", "green"]}
    with pytest.raises(SampleError, match=r"row 3: answers: none for the kind '1'; there are '0'"):
        task(tmp_path, **keys).sample(2)


def test_answers_that_are_no_choice_are_listed(tmp_path: Path) -> None:
    found = row_problems(task(tmp_path, answers=["red", "plate"]))
    assert [problem.partition("rows.jsonl, ")[2].partition(":")[0] for problem in found] == ["row 2", "row 3", "row 4"]
    assert "'green' is none of the choices" in found[0]


def test_choices_are_shuffled_by_index(tmp_path: Path) -> None:
    asked = {"prompt": "{question}\n{choices|lettered}", "target": "{options|first}"}
    keys = {"choices": "options", "shuffle": True, **asked}
    found = samples(tmp_path, **keys)
    assert {s.target for s in found} == {"red"}
    assert len({s.choices for s in found}) > 1
    assert found == samples(tmp_path, **keys)
    for sample in found:
        lines = [f"{letter}. {choice}" for letter, choice in zip("ABCD", sample.choices, strict=True)]
        assert sample.prompt == "Which colour is it?\n" + "\n".join(lines)


def about_two_images(folder: Path, question: str, key: str) -> Task:
    """Return a task of one question about a red and a blue image, with a key of `data` switched on."""
    for name in ("red", "blue"):
        (folder / f"{name}.png").write_bytes(png(name))
    row = {"a": "red.png", "b": "blue.png", "prompt": question, "target": "red"}
    (folder / "rows.jsonl").write_text(json.dumps(row))
    keys = f"{{path: rows.jsonl, images: [a, b], {key}: true}}"
    (folder / "mine.yaml").write_text(f"task: mine\ndata: {keys}\n")
    return load_task(folder / "mine.yaml")


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("Is <image> redder than <image>?", "Is image 1 redder than image 2?"),
        ("<image> <image>Which is redder?", "Which is redder?"),
        ("Is <image 2> redder than <image_1>?", "Is image 2 redder than image 1?"),
        ("Which is redder?", "Which is redder?"),
        ("Is <image> red?", "has 1 <image> for 2 images"),
        ("Is <image 3> red?", "has <image 3>, but 2 images"),
        ("Is <image> or <image 1> red?", "has <image> with and without a number"),
    ],
)
def test_images_amid_the_words_are_numbered(question: str, wanted: str, tmp_path: Path) -> None:
    made = about_two_images(tmp_path, question, "number_images")
    if wanted.startswith("has"):
        with pytest.raises(SampleError, match=f"row 1: 'prompt' {wanted}"):
            made.sample(0)
    else:
        sample = made.sample(0)
        assert sample.prompt == wanted
        assert [image.getpixel((0, 0)) for image in sample.images] == [COLOURS["red"], COLOURS["blue"]]


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("Is <image> redder than <image>?", ("Is ", "red", " redder than ", "blue", "?")),
        ("<image>: redder than <image>?", ("red", ": redder than ", "blue", "?")),
        ("Is <image 2> redder than <image_1>?", ("Is ", "blue", " redder than ", "red", "?")),
        ("Is <image 2> as the other one?", ("red", "Is ", "blue", " as the other one?")),
        ("<image> <image>Which is redder?", ("red", "blue", "Which is redder?")),
        ("Which is redder?", ("red", "blue", "Which is redder?")),
        ("Which \ufffc\ufffc is redder?", ("red", "blue", "Which  is redder?")),
        ("Is <image 1> like <image 1>?", ("blue", "Is ", "red", " like ", "red", "?")),
        ("Is <image> red?", "has 1 <image> for 2 images"),
        ("Is <image 3> red?", "has <image 3>, but 2 images"),
    ],
)
def test_images_stand_amid_the_words(question: str, wanted: tuple[str, ...] | str, tmp_path: Path) -> None:
    made = about_two_images(tmp_path, question, "interleave_images")
    if isinstance(wanted, str):
        with pytest.raises(SampleError, match=f"row 1: 'prompt' {wanted}"):
            made.sample(0)
        return
    colours = {rgb: name for name, rgb in COLOURS.items()}
    content = made.sample(0).messages[-1].content
    assert tuple(part if isinstance(part, str) else colours[part.getpixel((0, 0))] for part in content) == wanted


def test_rows_in_a_row_are_a_cluster(tmp_path: Path) -> None:
    assert [s.cluster for s in samples(tmp_path, cluster=2)] == ["0", "0", "1", "1"]
    assert [s.cluster for s in samples(tmp_path, cluster="{pair|before:_}")] == ["0", "0", "1", "1"]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"prompt": "{question"}, r"data.prompt: .*a brace stands alone"),
        ({"prompt": "{choices|lettered}"}, r"data.prompt: {choices} stands .*name their column under data.choices"),
        ({"target": "{choices|first}", "choices": "options"}, "data.target: .*only the prompt"),
        ({"shuffle": True}, "data.shuffle: there are no choices"),
        ({"choices": "options", "answers": ["a"]}, "data.answers: stands in place of choices"),
        ({"answers": {"a": ["b"]}}, "data.answers: answers by kind need"),
        (
            {"number_images": True, "interleave_images": True},
            "data.interleave_images: stands in place of number_images",
        ),
        ({"image": "image", "images": ["image"]}, "data.images: stands in place of image"),
        ({"promt": "question"}, r"data.promt: unknown key\. Did you mean 'prompt'"),
    ],
    ids=str,
)
def test_wrong_settings_are_one_line(keys: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=says) as caught:
        task(tmp_path, **keys)
    assert "\n" not in str(caught.value)
