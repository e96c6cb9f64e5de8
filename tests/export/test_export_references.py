"""Exports hold every right answer, and score with all of them."""

from __future__ import annotations

import json

from PIL import Image

from vtbench.types import Sample
from vtbench_export.sample_rows import to_row
from vtbench_export.scoring import Scoring


class Task:
    """A task's name and split are all that a row needs of it."""

    name, split = "t", ""


def score(sample: Sample, text: str, **without: object) -> float:
    doc = {key: value for key, value in to_row(Task(), sample).fields.items() if key not in without}  # type: ignore[arg-type]
    assert json.loads(json.dumps(doc)) == doc
    return Scoring({"t": ["accuracy"]}).process_results(doc, [text])["acc"]


def test_an_exported_row_is_right_with_any_of_its_references():
    image = Image.new("RGB", (4, 4))
    open_one = Sample("t/0", 0, (image,), "?", "cup", references=("mug",), kind="graph")
    assert [score(open_one, text) for text in ("a mug", "Cup", "bowl")] == [1, 1, 0]
    closed = Sample("t/1", 1, (image,), "?", "red", references=("blue",), choices=("red", "blue", "grey"))
    assert [score(closed, text) for text in ("blue", "It is red", "grey")] == [1, 1, 0]
    assert score(open_one, "mug", references=None) == 0  # a row of an export before there were references
