"""The report: one safe file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from host_fakes import CHOICES, FakeModel, quiz, registry
from markupsafe import escape

import vtbench
from vtbench.errors import ResultsError
from vtbench.report import render
from vtbench.report.sample_table import STATIC_ROWS
from vtbench.types import Output

EVIL = "</p><script>alert('x')</script><img src=x onerror=alert(1)>{{ 7*7 }}"


class Page(HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = ("meta", "img", "link", "br", "wbr", "rect", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and self.tags[-1][1].get("type") is None:
            self.scripts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A run whose model says dangerous things when it is wrong."""

    def generate(self: FakeModel, samples: Any, max_new_tokens: int) -> list[Output]:
        apart = {"reasoning": EVIL, "reasoning_tokens": 1234, "rendered_prompt": f"<s>{EVIL}</s>"}
        return [Output(text=s.target if s.index % 5 else EVIL, **apart) for s in samples]

    monkeypatch.setattr(FakeModel, "generate", generate)
    task = quiz(tmp_path, 100, missing=[3], metrics="[hits, ranked, seen]")
    return vtbench.run(model="fake", tasks=[task], output=str(tmp_path / "out"), registry=registry()).path


def test_what_a_model_said_is_text_and_nothing_is_fetched(evil: Path) -> None:
    text = (evil / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object"}
    assert "&lt;script&gt;alert" in text
    assert "{{ 7*7 }}" in text
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import", text)
    assert len(text) < 10_000_000


def test_reasoning_and_the_sent_prompt_are_folded_and_the_header_says_how_it_asked(evil: Path) -> None:
    text = (evil / "report.html").read_text()
    folded = re.findall(r"<details><summary>(.*?)</summary><pre>(.*?)</pre></details>", text, re.DOTALL)
    assert folded[:2] == [
        ("the prompt sent", f"&lt;s&gt;{escape(EVIL)}&lt;/s&gt;"),
        ("reasoning, 1,234 tokens", str(escape(EVIL))),
    ]
    assert '<p class="soft">Asked: plain</p>' in text
    assert data_of(text)["rows"][1][-3:] == [EVIL, 1234, f"<s>{EVIL}</s>"]


def test_only_our_own_scripts_may_run(evil: Path) -> None:
    page = Page((evil / "report.html").read_text())
    (policy,) = (a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    allowed = re.findall(r"'sha256-(.*?)'", policy)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    assert digests
    assert digests == allowed
    assert "unsafe" not in policy.partition("script-src")[2]


def data_of(text: str) -> dict[str, Any]:
    """The JSON of the table of samples."""
    section = text.partition("data-samples=")[2]
    found = re.search(r'<script type="application/json">(.*?)</script>', section, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_every_sample_is_in_its_table_with_one_image_for_all(evil: Path) -> None:
    text = (evil / "report.html").read_text()
    data = data_of(text)
    assert len(data["rows"]) == 100
    assert {row[3] for row in data["rows"]} >= {EVIL, None}
    assert len(data["images"]) == 1
    assert [row[5] for row in data["rows"]] == [0] + [1] * 20 + [2] * 79
    page = Page(text)
    assert len([tag for tag, _ in page.tags if tag == "img"]) == STATIC_ROWS - 1
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")
    assert f"The first {STATIC_ROWS} of 100 samples" in text
    assert "79 right, 20 wrong, 1 failed" in text
    assert "gone.png" in text


def test_of_more_samples_a_stated_share_is_shown(evil: Path) -> None:
    text = render(evil, shown=10)
    assert len(data_of(text)["rows"]) == 10
    assert "10 of 100 samples, evenly spread" in text
    assert "79 right, 20 wrong, 1 failed" in text


def test_images_that_changed_are_not_shown(evil: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (4, 4), (0, 0, 0)).save(tmp_path / "red.png")
    for stored in (evil / "visual").glob("*.previews"):
        stored.unlink()
    text = render(evil)
    assert "data:image" not in text.partition("<body>")[2].partition("<script>")[0]
    assert "images have changed" in text
    (tmp_path / "quiz.yaml").unlink()
    assert "Without images" in render(evil)


def test_it_is_made_again_from_what_is_stored(evil: Path) -> None:
    found = registry()
    assert render(evil, flags=found.flags(), scores=found.scores()) == (evil / "report.html").read_text()
    assert CHOICES[0] in render(evil)


def test_other_runs_stand_beside_it(evil: Path, tmp_path: Path) -> None:
    other = vtbench.run(
        model="fake", tasks=[tmp_path / "quiz.yaml"], limit=40, output=str(tmp_path / "other"), registry=registry()
    ).path
    text = render(evil, [other])
    assert "Beside other runs" in text
    assert str(other) in text
    assert "B asked other samples than A" in text
    assert "Beside other runs" not in render(evil)
    (other / "results.json").write_text("{")
    with pytest.raises(ResultsError, match=r"results\.json: broken"):
        render(evil, [other])


def test_a_part_that_fails_is_a_line_and_costs_nothing_else(evil: Path) -> None:
    def fails(path: Path) -> str:
        raise RuntimeError("no <b>luck</b>")

    sections = {"bad": fails, "good": lambda path: f"<h2>Seen {path.name}</h2>", "none": lambda path: None}
    text = render(evil, sections=sections)
    assert "The part “bad” could not be made: RuntimeError: no &lt;b&gt;luck&lt;/b&gt;" in text
    assert f"<h2>Seen {evil.name}</h2>" in text
    assert 'href="#section-2">Good' in text
    assert "section-3" not in text


def test_a_mix_of_built_in_tasks_has_its_images(tmp_path: Path) -> None:
    """Its parts are found in the mix's own directory, which is that of the built-in tasks."""
    result = vtbench.run(model="oracle", tasks=["probe"], metrics=["accuracy"], limit=4, output=str(tmp_path))
    text = (result.path / "report.html").read_text(encoding="utf-8")
    assert "Without images" not in text
    assert text.count("data:image/jpeg;base64,") >= 4


def test_several_tasks_begin_with_a_table_and_one_does_not(tmp_path: Path) -> None:
    both = [quiz(tmp_path / name, 6, name=name) for name in ("first", "second")]
    result = vtbench.run("fake", both, registry=registry(), limit=4, output=str(tmp_path / "out"))
    page = render(result.path)
    assert "All tasks" in page
    assert re.search(r'<a href="#task-2">second</a></th><td class="n"><b>', page)
    assert "the first 4 items of each task" in page
    assert f"begun {json.loads((result.path / 'run.json').read_text())['created'][:10]}" in page
    alone = vtbench.run("fake", both[:1], registry=registry(), output=str(tmp_path / "alone"))
    assert "All tasks" not in render(alone.path)
    assert "the first" not in render(alone.path).partition("</header>")[0]
