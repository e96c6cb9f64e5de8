"""A report stays usable with unbroken words of 100,000 characters, wherever they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from host_fakes import FakeModel, quiz, registry

import vtbench
from vtbench.report import charts, render
from vtbench.report.page import LONGEST, DataUri, cut, environment
from vtbench.runs.reader import read_records
from vtbench.types import Output

EVIL = "<script>alert('x')</script>"
LONG = EVIL + "w" * 100_000


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with a long word in every text: prompt, choice, target, answer, error, id and kind."""

    def generate(self: FakeModel, samples: Any, max_new_tokens: int) -> list[Output]:
        return [Output(text=LONG) for _ in samples]

    monkeypatch.setattr(FakeModel, "generate", generate)
    task = quiz(tmp_path, 12)
    data = tmp_path / "quiz.jsonl"
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    for i, row in enumerate(rows):
        row |= {"prompt": f"{i}{LONG}", "target": LONG, "choices": [LONG, "no"], "id": f"{i}{LONG}", "kind": LONG}
    rows[3]["image"] = "x" * 100_000
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    task.write_text(task.read_text().replace("choices: choices", "choices: choices, id: id, kind: kind"))
    return vtbench.run(
        model="fake", tasks=[str(task)], output=str(tmp_path / "out"), registry=registry(), max_failed=1.0
    ).path


def test_every_word_of_the_page_is_bounded_and_escaped(run: Path) -> None:
    page = render(run)
    without_images = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", page)
    body = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", without_images, flags=re.DOTALL)
    assert max(map(len, re.findall(r"\S+", body))) < 3 * LONGEST
    assert len(body) < 400_000
    assert EVIL not in page
    assert f"{len(LONG) - LONGEST:,} more characters in samples.jsonl]" in page
    assert not re.search(r"\[\d\d more characters\]", page)  # no text is cut a second time, at its own note
    assert all(len(record.prompt) > 100_000 for record in read_records(run, "quiz") if not record.error)


def test_an_image_is_not_cut_and_a_text_that_looks_like_one_is() -> None:
    uri = "data:image/png;base64," + "A" * 10_000
    template = environment().from_string("{{ a }} {{ b }} {{ [a, b]|tojson }}")
    page = template.render(a=DataUri(uri), b=uri)
    assert page.count("A" * 10_000) == 2
    assert page.count("more characters]") == 2


def test_names_in_charts_are_cut() -> None:
    chart = charts.line_chart("t" * 9000, "x", "y", [charts.Series("s" * 9000, [0, 1], [0, 1])])
    assert max(map(len, re.findall(r"\w+", chart))) <= LONGEST


@pytest.mark.parametrize("length", [0, 1, 4, 5, 5000])
def test_cut_says_how_many_are_left_out(length: int) -> None:
    text = cut("x" * length, 4)
    assert text == "x" * length if length <= 4 else text == f"xxxx… [{length - 4:,} more characters]"
