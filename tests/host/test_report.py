"""The report: one safe file."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from host_fakes import CHOICES, FakeModel, quiz, registry
from PIL import Image

import vtbench
from vtbench.report import SHOWN, render
from vtbench.report.figures import figures
from vtbench.types import Output

EVIL = "</p><script>alert('x')</script><img src=x onerror=alert(1)>{{ 7*7 }}"


class Page(HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = ("meta", "img", "link", "br", "rect")

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


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A run whose model says dangerous things when it is wrong."""

    def generate(self: FakeModel, samples: Any, max_new_tokens: int) -> list[Output]:
        return [Output(text=s.target if s.index % 5 else EVIL) for s in samples]

    monkeypatch.setattr(FakeModel, "generate", generate)
    task = quiz(tmp_path, 100, missing=[3], metrics="[hits, ranked, seen]")
    return vtbench.run(model="fake", tasks=[task], output=str(tmp_path / "out"), registry=registry()).path


def test_what_a_model_said_is_text_and_nothing_is_fetched(evil: Path) -> None:
    text = (evil / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "iframe", "object"}
    assert "&lt;script&gt;alert" in text
    assert "{{ 7*7 }}" in text
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"url\(|@import|https?://", text.replace("http-equiv", ""))
    assert len(text) < 10_000_000


def test_it_shows_wrong_and_right_with_pictures(evil: Path) -> None:
    page = Page((evil / "report.html").read_text())
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 2 * SHOWN
    assert all(picture["alt"] for picture in pictures)
    text = (evil / "report.html").read_text()
    assert "Failed: 1" in text
    assert "Wrong: 20" in text
    assert "Right: 79" in text
    assert "gone.png" in text


def test_pictures_that_changed_are_not_shown(evil: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (4, 4), (0, 0, 0)).save(tmp_path / "red.png")
    text = render(evil)
    assert "data:image" not in text.partition("<body>")[2]
    assert "pictures have changed" in text
    (tmp_path / "quiz.yaml").unlink()
    assert "Without pictures" in render(evil)


def test_it_is_made_again_from_what_is_stored(evil: Path) -> None:
    assert render(evil) == (evil / "report.html").read_text()
    assert CHOICES[0] in render(evil)


def test_maps_and_curves_of_a_score_are_drawn() -> None:
    """A matrix becomes a picture whose darkest cell is the largest value; a curve keeps its rows."""
    curve = [{"fraction": 0.5, "value": 0.25}, {"fraction": 1.0, "value": None}]
    drawn = figures({"carriers": {"detail": {"map": [[0.0, 1.0], [2.0, 4.0]]}}, "area": {"detail": {"curve": curve}}})
    assert [figure["name"] for figure in drawn] == ["carriers", "area"]
    assert (drawn[0]["low"], drawn[0]["high"]) == (0, 4)
    image = Image.open(io.BytesIO(base64.b64decode(drawn[0]["uri"].partition(",")[2])))
    left, bottom = image.width // 4, image.height * 3 // 4
    shades = [image.getpixel((x, y))[0] for y in (left, bottom) for x in (left, bottom)]
    assert shades == sorted(shades, reverse=True)
    assert drawn[1]["keys"] == ["fraction", "value"]
    assert figures({"acc": {"detail": {}}}) == []
