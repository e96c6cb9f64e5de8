"""`vtbench board` on stored runs: the site, its JSON, what it links and leaves out, and one-line errors."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from stored_runs import stored_run

import vtbench_board
from vtbench.cli import status
from vtbench.registry import Registry
from vtbench.scoring import plugin

HOSTILE = """</script><script>hacked=1</script><img src=x onerror="hacked=1">"""
Captured = pytest.CaptureFixture[str]


def board(*arguments: object) -> int:
    registry = Registry({"scoring": plugin, "board": vtbench_board})
    return status(["board", *map(str, arguments)], registry)


def document(folder: Path, capsys: Captured, *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert board(folder, "--json", *arguments) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


class Page(HTMLParser):
    """Links, elements and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        href = dict(attrs).get("href")
        if tag == "a" and href and not href.startswith("#"):
            self.links.append(href)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_every_row_links_to_its_report_which_is_written_if_it_is_missing(tmp_path: Path, capsys: Captured) -> None:
    runs = tmp_path / "runs"
    stored_run(runs / "deeper", "one #1", [True] * 12)
    (stored_run(runs, "two", [False] * 12) / "report.html").write_text("kept")
    assert board(runs, "--output", tmp_path / "a/site") == 0
    page = tmp_path / "a/site/index.html"
    links = Page(page.read_text()).links
    assert sorted(links) == ["../../runs/deeper/one%20%231/report.html", "../../runs/two/report.html"]
    for link in links:
        assert (page.parent / unquote(link)).is_file()
    assert (runs / "two/report.html").read_text() == "kept"
    assert "made leads by acc with 100.0 %, none tied" in capsys.readouterr().out


def test_a_row_without_a_report_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    run = stored_run(tmp_path, "one", [True, False])
    assert board(tmp_path, "--no-reports") == 0
    assert not (run / "report.html").exists()
    assert f"no report; vtbench report {run} writes it" in (tmp_path / "index.html").read_text()

    def failing(*_: object, **__: object) -> str:
        raise ValueError("no room")

    monkeypatch.setattr("vtbench.report.render", failing)
    assert board(tmp_path) == 0
    page = Page((tmp_path / "index.html").read_text())
    assert page.links == []
    assert "no report: no room" in page.texts


def test_runs_that_do_not_compare_share_no_ranking_and_the_reason_is_told(tmp_path: Path, capsys: Captured) -> None:
    for n in range(3):
        stored_run(tmp_path, f"same{n}", [True] * 8 + [False] * 2)
    different: dict[str, Any] = {
        "prompt": {"asked": {"prompt_format": "instruct"}},
        "split": {"asked": {"split": "train"}},
        "scoring": {"scoring": 3},
        "setting": {"asked": {"scene": {"gap": 0.5}}},
        "system": {"config": {"system": "Be brief."}},
        "other system": {"config": {"system": "Be long."}},
        "words": {"question": "Is it blue?"},
    }
    for name, changes in different.items():
        stored_run(tmp_path, name, [True] * 10, **changes)
    stored_run(tmp_path, "limit", [True] * 5)
    groups = document(tmp_path, capsys)["tasks"]["colours"]
    assert [len(group["rows"]) for group in groups] == [3] + [1] * 8
    apart = {group["rows"][0]["run"]: group["apart"] for group in groups}
    assert apart.pop(groups[0]["rows"][0]["run"]) == ""
    scoring = groups[0]["title"][-1]
    assert apart == {
        "prompt": "asked as instruct, not plain",
        "split": "split train, not test",
        "scoring": f"scoring version 3, not {scoring}",
        "setting": "task setting scene.gap 0.5, not none",
        "system": "asked as plain · system prompt, not plain",
        "other system": "asked as plain · system prompt, not plain",
        "words": "other questions, right answers or images under the same settings",
        "limit": "samples 5, not 10",
    }


def test_what_belongs_to_the_model_shares_a_ranking_and_tells_the_rows_apart(tmp_path: Path, capsys: Captured) -> None:
    stored_run(tmp_path, "a", [True] * 4, config={"model_args": {"size": 7}, "budget": "random:keep=16"})
    stored_run(
        tmp_path, "b", [True] * 4, config={"gen": {"temperature": 0.5}, "max_new_tokens": 64, "dtype": "bfloat16"}
    )
    (group,) = document(tmp_path, capsys)["tasks"]["colours"]
    settings = {row["run"]: row["settings"] for row in group["rows"]}
    assert settings["a"] == {"size": "7", "budget": "random:keep=16"}
    assert settings["b"] == {"temperature": "0.5", "dtype": "bfloat16", "max_new_tokens": "64"}


def test_a_scene_may_be_drawn_at_another_size_and_a_photograph_may_not_be_another(
    tmp_path: Path, capsys: Captured
) -> None:
    for scenes in (True, False):
        for image in "ab":
            stored_run(tmp_path / str(scenes), image, [True] * 4, image=image, scenes=scenes)
        groups = document(tmp_path / str(scenes), capsys)["tasks"]["colours"]
        assert [len(group["rows"]) for group in groups] == ([2] if scenes else [1, 1])


def test_broken_and_unfinished_runs_are_named_in_one_line(tmp_path: Path, capsys: Captured) -> None:
    stored_run(tmp_path, "fine", [True] * 4)
    edit = {
        "broken": lambda run: (run / "results.json").write_text("{"),
        "unfinished": lambda run: _without(run / "run.json", "finished"),
        "lost": lambda run: (run / "samples.jsonl").write_text(_first_lines(run / "samples.jsonl", 2)),
        "altered": lambda run: _raise_score(run / "results.json"),
    }
    for name, spoil in edit.items():
        spoil(stored_run(tmp_path, name, [True, False, True, False]))
    assert board(tmp_path, "--no-reports") == 0
    out, err = capsys.readouterr()
    lines = {line.split(": ")[0].rpartition("/")[2]: line for line in err.splitlines()}
    assert lines.keys() == edit.keys()
    assert "broken" in lines["broken"]
    assert "not finished" in lines["unfinished"]
    assert "samples of colours are missing (2-3)" in lines["lost"]
    assert "another acc of colours than its samples give" in lines["altered"]
    assert "1 run" in out
    page = (tmp_path / "index.html").read_text()
    assert all(str(tmp_path / name) in page for name in edit)


def _without(file: Path, key: str) -> None:
    found = json.loads(file.read_text())
    del found[key]
    file.write_text(json.dumps(found))


def _first_lines(file: Path, count: int) -> str:
    return "".join(file.read_text().splitlines(keepends=True)[:count])


def _raise_score(file: Path) -> None:
    found = json.loads(file.read_text())
    found["scores"]["colours"]["acc"]["value"] = 1.0
    file.write_text(json.dumps(found))


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    stored_run(
        tmp_path,
        "javascript:alert(1)",
        [True] * 4,
        model=HOSTILE,
        task=HOSTILE,
        facts={"checkpoint": HOSTILE},
        config={"model_args": {HOSTILE: HOSTILE}},
        asked={"prompt_format": HOSTILE},
    )
    stored_run(tmp_path, "long", [True] * 4, model="模型 \u202e" + "x" * 100_000)
    assert board(tmp_path, "--no-reports") == 0
    text = (tmp_path / "index.html").read_text()
    page = Page(text)
    assert len(text) < 100_000
    assert not [attributes for tag, attributes in page.tags if tag == "img" or "onerror" in attributes]
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert sum(HOSTILE in data for data in page.texts) >= 5
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_the_rows_are_sorted_by_the_score_that_was_named(tmp_path: Path, capsys: Captured) -> None:
    from vtbench.types import Score

    for name, right, value in (("a", 3, 0.2), ("b", 1, 0.9)):
        bounds = (value - 0.1, value + 0.1)
        extra = {"rs": Score(value, 0.05, bounds, 4, None, (), {"protocol": "rs-v2", "m": 44}, False)}
        stored_run(tmp_path, name, [True] * right + [False] * (4 - right), scores=extra)
    for score, order in ((None, ["a", "b"]), ("rs", ["b", "a"])):
        (group,) = document(tmp_path, capsys, *(["--score", score] if score else []))["tasks"]["colours"]
        assert [row["run"] for row in group["rows"]] == order
    assert board(tmp_path, "--json", "--score", "acce") == 2
    assert "--score: no run has a score 'acce'; there are acc, rs" in capsys.readouterr().err
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no such folder; name one of runs"),
        (lambda folder: folder.mkdir(), "no runs here; `vtbench run --model NAME --tasks NAME --output"),
        (
            lambda folder: (stored_run(folder, "torn", [True]) / "results.json").write_text("{"),
            "no finished run here (torn: results.json: broken: ",
        ),
        (
            lambda folder: stored_run(folder.parent, folder.name, [True]),
            "this is one run; name the folder that it is in",
        ),
        (
            lambda folder: [stored_run(folder, "a", [True]), (folder / "index.html").write_text("mine")],
            "index.html: not written by `vtbench board`, so it stays; choose another --output",
        ),
    ],
    ids=["missing", "empty", "nothing finished", "a run", "another's page"],
)
def test_a_folder_that_cannot_serve_is_one_line(make: Any, said: str, tmp_path: Path, capsys: Captured) -> None:
    make(tmp_path / "runs")
    assert board(tmp_path / "runs") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert said in err


def test_the_site_is_written_over_its_own_page(tmp_path: Path) -> None:
    stored_run(tmp_path, "a", [True])
    assert board(tmp_path, "--no-reports") == board(tmp_path, "--no-reports") == 0
