"""Runs over own data: bad rows are failed samples of a run that goes on, and changed images are no resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mutated_images import mutated_images
from PIL import Image

import vtbench
from vtbench.cli import status
from vtbench.errors import ResultsError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    return tmp_path


def write(folder: Path, rows: list[Any], columns: str = "") -> str:
    whole = {"image": "red.png", "prompt": "a", "target": "a"}
    lines = [row if isinstance(row, str) else json.dumps({**whole, **row}) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    (folder / "mine.yaml").write_text(f"task: mine\ndata: {{path: rows.jsonl{columns and ', ' + columns}}}\n")
    return str(folder / "mine.yaml")


def records(result: Any) -> list[dict[str, Any]]:
    lines = (Path(result.path) / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    return sorted(map(json.loads, lines), key=lambda record: record["index"])


@pytest.mark.filterwarnings("ignore")  # of Pillow
def test_no_broken_image_ends_a_run(folder: Path) -> None:
    files = dict(mutated_images(84, seed=3))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    task = write(folder, [{"image": "red.png"}, *({"image": name} for name in files)])
    result = vtbench.run(model="echo", tasks=[task], output=str(folder / "out"))
    found = records(result)
    assert [record["index"] for record in found] == list(range(85))
    assert 0 < sum(record["error"] is not None for record in found) < 84
    assert (Path(result.path) / "report.html").exists()


def test_half_characters_are_stored_escaped(folder: Path) -> None:
    rows = [
        '{"image": "red.png", "prompt": "\\ud83d hi", "target": "\\ud83d hi", "id": "\\ud83d"}',
        '{"image": "\\ude00.png", "prompt": "a", "target": "a", "id": "b"}',
        '{"image": "red.png", "prompt": "a", "target": {"\\ud83d": 1}, "id": "c"}',
        {"id": "d"},
    ]
    result = vtbench.run(model="echo", tasks=[write(folder, rows, "id: id")], output=str(folder / "out"))
    found = records(result)
    assert found[0]["prompt"] == "\\ud83d hi"
    assert found[0]["scores"]["accuracy"]["correct"] == 1
    assert "\\ude00.png" in found[1]["error"]
    assert "\\\\ud83d" in found[2]["error"] or "\\ud83d" in found[2]["error"]
    assert [record["id"] for record in found] == ["mine/\\ud83d", "mine/b", "mine/c", "mine/d"]


def test_base64_images_are_never_stored(folder: Path) -> None:
    import base64

    noise = Image.effect_noise((300, 300), 80).convert("RGB")
    noise.save(folder / "noise.png")
    coded = base64.b64encode((folder / "noise.png").read_bytes()).decode()
    rows = [
        {"image": image} for image in (f"data:image/png;base64,{coded}", coded, coded[:5000] + "@" + coded, "red.png")
    ]
    result = vtbench.run(model="echo", tasks=[write(folder, rows)], output=str(folder / "out"), report=False)
    assert [record["error"] is None for record in records(result)] == [True, True, False, True]
    stored = b"".join(path.read_bytes() for path in Path(result.path).rglob("*") if path.is_file())
    assert coded[2000:2040].encode() not in stored


def test_a_resume_after_an_image_changed_is_refused_in_one_line(folder: Path) -> None:
    task = write(folder, [{"prompt": str(i)} for i in range(4)])
    settings: dict[str, Any] = {"model": "echo", "tasks": [task], "output": str(folder / "out"), "report": False}
    vtbench.run(**settings)
    assert len(records(vtbench.run(**settings, resume=True))) == 4
    Image.new("RGB", (8, 8), "blue").save(folder / "red.png")
    with pytest.raises(ResultsError, match=r"differs in tasks\.mine\.image_files") as caught:
        vtbench.run(**settings, resume=True)
    assert "\n" not in str(caught.value)


def test_validate_names_rows_whose_target_is_no_choice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"o": ["a", "b"]}] * 20 + [{"o": ["b", "c"]}, {"o": ["a"], "image": "gone.png"}]
    assert status(["validate", write(folder, rows, "choices: o")]) == 2
    said = capsys.readouterr().err
    assert "row 21" in said
    assert "none of the choices" in said
    assert "1 more row" in said
    assert status(["validate", write(folder, rows[:20], "choices: o")]) == 0


def test_a_run_of_which_nothing_can_be_scored_says_so_and_fails(folder: Path) -> None:
    task = write(folder, [{}, {}])
    fields = {"model": "majority", "tasks": [task], "output": str(folder / "out")}
    result = vtbench.run(**fields, metrics=["rank_accuracy"])
    assert result.document["left_out"] == {"mine": {"rank_accuracy": "none of the samples has what it scores"}}
    assert result.exit_status == 1
    both = vtbench.run(**fields, metrics=["accuracy", "rank_accuracy"])
    assert both.exit_status == 0
    assert set(both.document["left_out"]["mine"]) == {"rank_accuracy"}
    assert set(both.scores["mine"]) == {"acc"}
