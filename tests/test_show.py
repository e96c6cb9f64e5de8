"""`vtbench show`: items as a model is asked them, the contact sheet, and one line for every mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from host_fakes import quiz, registry
from PIL import Image

from vtbench.cli import status
from vtbench.console.shown_items import CELL, LINE, MARGIN, contact_sheet
from vtbench.types import Sample

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def show(*arguments: object) -> int:
    return status(["show", *map(str, arguments)])


def test_an_item_is_what_a_model_is_asked(tmp_path: Path, capsys: Captured) -> None:
    assert show("relational", "--n", 2, "--format", "letters", "--fewshot", 2, "--system", "Be brief.") == 0
    out = capsys.readouterr().out
    first, second, last = out.strip().split("\n\n")
    assert first.startswith("[1] relational/test/0/0 · letters · 2-shot · system prompt\n  system:    Be brief.\n")
    assert second.startswith("[2] relational/test/0/1 · letters")
    assert first.count("<image>") == 3
    roles = re.findall(r"^  (\w+): +", first, re.M)
    asked = ["system", "user", "assistant", "user", "assistant", "user"]
    assert roles == [*asked, "choices", "answer", "target", "kind", "cluster", "by", "tokens"]
    letter, target = (re.search(rf"^  {name}: +(.*)$", first, re.M)[1] for name in ("answer", "target"))  # type: ignore[index]
    question = first[first.rindex("user:") :]
    assert f"{letter}. {target}\n" in question
    assert f"{letter}. {target}" in re.search(r"choices: +(.*)", first)[1].split(" | ")  # type: ignore[index]
    assert last == "written  contact-sheet.png"


def test_in_one_turn_examples_stand_with_the_question(capsys: Captured) -> None:
    assert show("relational", "--n", 1, "--fewshot", 1, "--no-fewshot-as-multiturn") == 0
    out = capsys.readouterr().out
    assert "assistant" not in out
    assert out.count("<image>") == 2


def test_instruct_is_the_default_and_plain_the_bare_question(capsys: Captured) -> None:
    assert show("coarse", "--n", 1) == 0
    assert show("coarse", "--n", 1, "--format", "plain") == 0
    instructed, plain = capsys.readouterr().out.split("contact-sheet.png\n")[:2]
    assert "Answer with one of" in instructed
    assert "coarse/test/0/0 · plain" in plain
    assert "Answer with one of" not in plain


def test_own_tasks_and_several_of_them(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path / "own", 3, metrics="[accuracy]")
    assert show(task, "--n", 8, "--output", tmp_path / "own.png") == 0
    assert capsys.readouterr().out.count("\n  answer:    ") == 3
    assert Image.open(tmp_path / "own.png").width == 3 * (CELL + MARGIN) + MARGIN
    assert show("[ac][to]*", "--n", 1, "--split", "val", "--seed", 3) == 0
    out = capsys.readouterr().out
    assert [line.split()[1] for line in out.splitlines() if line.startswith("[")] == [
        "attribute/val/3/0",
        "coarse/val/3/0",
    ]


def test_the_sheet_shows_every_image_of_an_item() -> None:
    red, blue = (Image.new("RGB", (40, 20), colour) for colour in ("red", "blue"))
    samples = [
        Sample(f"t/{i}", i, images, "?" * 2000, "yes") for i, images in enumerate([(red,), (red, blue), (blue, red)])
    ]
    sheet = contact_sheet(samples)
    colours = dict.fromkeys(((255, 0, 0), (0, 0, 255)), 0)
    for count, colour in sheet.getcolors(sheet.width * sheet.height):
        if colour in colours:
            colours[colour] = count
    one, half = 238 * 119, 118 * 59
    assert colours == {(255, 0, 0): one + 2 * half, (0, 0, 255): 2 * half}
    assert sheet.size == (3 * (CELL + MARGIN) + MARGIN, CELL + 7 * LINE + 2 * MARGIN)
    assert contact_sheet([]).width > 0


def test_a_hostile_text_reaches_neither_terminal_nor_sheet_raw(tmp_path: Path, capsys: Captured) -> None:
    task = quiz(tmp_path / "own", 1, metrics="[accuracy]")
    rows = tmp_path / "own" / "quiz.jsonl"
    row = json.loads(rows.read_text())
    rows.write_text(json.dumps(row | {"prompt": "a\x1b[31m\u202eb\ud800 " + "x" * 10_000}) + "\n")
    assert show(task) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "more characters]" in out
    assert len(out) < 6000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["relational", "--format", "letter"],
            "has no prompt format 'letter'. Did you mean 'letters'?",
        ),
        (["nosuch"], "no task, model, metric or other plugin is called 'nosuch'. `vtbench ls` lists the "),
        (["LLaVa"], "is called 'LLaVa'. Did you mean 'llava' or "),
        (["nosuch*"], "unknown task 'nosuch*'"),
        (["llava", "--kind", "metric"], "unknown metric 'llava'. `vtbench ls metrics` lists the "),
        ([""], "TASK is missing; `vtbench ls tasks`"),
        (["relational", "--n", "0"], "--n: must be greater than or equal to 1"),
        (["relational", "--n", "101"], "--n: must be less than or equal to 100"),
        (["relational", "--n", "few"], "--n: must be a valid integer"),
        (["relational", "--fewshot", "-1"], "--fewshot: must be greater than or equal to 0"),
        (["relational", "--fewshot", "1.5"], "--fewshot: must be a valid integer"),
        (["relational", "--seed", "x"], "--seed: must be a valid integer"),
        (["relational", "--split", "dev"], "split 'dev' does not suit"),
        (["relational", "--output", "sheet.jpg"], "a contact sheet is a PNG image"),
        (["relational", "--output", "none/sheet.png"], "none/sheet.png: No such file or directory"),
        (["none.yaml"], "none.yaml: no such task file"),
    ],
)
def test_a_mistake_is_one_line(capsys: Captured, arguments: list[str], message: str) -> None:
    assert status(["show", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert not list(Path.cwd().glob("*.png"))


def test_a_missing_image_is_named(tmp_path: Path, capsys: Captured) -> None:
    assert status(["show", str(quiz(tmp_path / "own", 2, missing=[1]))], registry()) == 2
    assert "gone.png" in capsys.readouterr().err


def test_a_model_is_shown_with_the_arguments_that_it_takes(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert show("llava") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("llava: model of the plugin llava, vtbench ")
    assert "  --model llava --model-args KEY=VALUE,..." in lines
    assert lines[lines.index("  trust_remote_code  [false]") + 1].startswith("      run code that comes with the check")
    assert max(map(len, lines)) < 80
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (["oracle"], ["--model oracle\n", "no settings"]),
        (["redundancy"], ["--metrics +redundancy:KEY=VALUE,...", "  protocol  [rs-v2]\n      `rs-v2`, or the earlier"]),
        (["merge"], ["--budget merge:KEY=VALUE,...", "  t  (needed)"]),
        (["ray"], ["--executor ray:KEY=VALUE,...", "  address\n      of the head node; default: RAY_ADDRESS"]),
        (["wandb"], ["--track wandb:KEY=VALUE,...", "  project\n      Project; by default"]),
        (["blind"], ["  model\n", "and others, which it checks itself"]),
        (["lmms"], ["lmms: model of the plugin lmms"]),
        (["lmms", "--kind", "format"], ["--tasks lmms:FILE\n"]),
        (["scene_graph", "--kind", "metric"], ["--metrics +scene_graph\n"]),
        (["coarse", "--kind", "scene family"], ["family: coarse in a task file\n"]),
    ],
)
def test_whatever_a_plugin_brings_is_shown(capsys: Captured, name: list[str], parts: list[str]) -> None:
    assert show(*name) == 0
    out = capsys.readouterr().out
    assert all(part in out for part in parts)
    assert "registry" not in out.partition("\n\n")[2]  # the host passes it


def test_a_task_stands_before_a_metric_of_its_name(capsys: Captured) -> None:
    assert show("scene_graph", "--n", 1) == 0
    assert capsys.readouterr().out.startswith("[1] scene_graph/test/0/0")
