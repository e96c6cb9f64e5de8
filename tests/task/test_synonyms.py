"""Synonyms of a task: a user's words for an answer count as it, in closed and open questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vtbench.errors import TaskError
from vtbench.scoring.answers import exact_match, given_choice, right_answers, true_choices
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.task.prepared import in_format
from vtbench.types import Sample

WORDS = "synonyms: {yes: [ja, oui, 是], no: [nein, non, no]}\n"


def write(folder: Path, rows: list[dict[str, Any]], more: str = WORDS, columns: str = ", choices: c") -> Path:
    Image.new("RGB", (8, 8)).save(folder / "i.png")
    (folder / "q.jsonl").write_text(
        "".join(json.dumps({"image": "i.png", "prompt": "?", **row}) + "\n" for row in rows)
    )
    (folder / "q.yaml").write_text(f"task: q\ndata: {{path: q.jsonl{columns}}}\n{more}", encoding="utf-8")
    return folder / "q.yaml"


def test_words_of_another_language_count_in_closed_questions(tmp_path: Path) -> None:
    task = load_task(write(tmp_path, [{"target": "oui", "c": ["yes", "no"]}]))
    sample = task.sample(0)
    assert sample.synonyms == {"yes": ("ja", "oui", "是"), "no": ("nein", "non", "no")}
    assert true_choices(sample) == ("yes",)  # the target may be such a word too
    said = {"Ja, klar.": "yes", "是": "yes", "Nein": "no", "no": "no", "Yes": "yes", "ja oder nein": None, "si": None}
    assert {text: given_choice(text, sample) for text in said} == said


def test_words_count_with_letters_and_in_open_questions(tmp_path: Path) -> None:
    text = WORDS + 'formats: {letters: {prompt: "{question}\\n{options}", answer: letter, shuffle: false}}\n'
    lettered = in_format(load_task(write(tmp_path, [{"target": "no", "c": ["yes", "no"]}], text)), "letters").sample(0)
    assert lettered.labels == ("A", "B")
    assert [exact_match(said, lettered)[1] for said in ("B", "nein", "B. no", "ja", "A")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    sample = load_task(write(tmp_path, [{"target": "ja"}], columns="")).sample(0)
    assert right_answers(sample) == {"yes", "ja", "oui", "是"}
    assert [exact_match(said, sample)[1] for said in ("Yes", "Antwort: oui", "nein")] == [True, True, False]


def test_words_count_in_a_variant_of_a_family(tmp_path: Path) -> None:
    (tmp_path / "links.yaml").write_text(
        "task: links\ninclude: relational\nkinds: {left: 1}\n" + WORDS, encoding="utf-8"
    )
    sample = load_task(tmp_path / "links.yaml").sample(0, 16)
    assert given_choice("Oui", sample) == "yes"
    assert given_choice("Nein, rechts davon.", sample) == "no"


def test_synonyms_are_part_of_the_digest_and_only_where_there_are_any(tmp_path: Path) -> None:
    rows = [{"target": "yes", "c": ["yes", "no"]}]
    assert load_task(write(tmp_path, rows)).config()["synonyms"]["yes"] == ["ja", "oui", "是"]
    assert "synonyms" not in load_task(write(tmp_path, rows, "")).config()
    assert "synonyms" not in load_task(find_task_files()["coarse"]).config()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("{yes: [ja], no: [Ja.]}", r"line 3: synonyms\.no: 'Ja\.' is already a word for 'yes'"),
        ("{yes: [no], no: [nein]}", r"synonyms\.yes: 'no' is already a word for 'no'"),
        ("{yes: []}", r"line 3: synonyms\.yes: "),
        ("{yes: ['']}", r"synonyms\.yes: '' has no word in it"),
        ("{yes: ja}", r"line 3: synonyms\.yes: "),
        ("[ja]", r"line 3: synonyms: "),
    ],
)
def test_words_that_cannot_be_are_refused(tmp_path: Path, words: str, problem: str) -> None:
    with pytest.raises(TaskError, match=problem):
        load_task(write(tmp_path, [{"target": "yes", "c": ["yes", "no"]}], f"synonyms: {words}\n"))


def test_a_mix_has_no_synonyms_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text("task: m\nmix: [coarse, relational]\n" + WORDS, encoding="utf-8")
    with pytest.raises(TaskError, match="synonyms: the tasks of a mix have their own"):
        load_task(tmp_path / "m.yaml")


def test_a_word_that_is_a_choice_is_that_choice() -> None:
    sample = Sample("t/0", 0, (), "", "yes", ("yes", "no", "si"), synonyms={"yes": ("si", "ja"), "maybe": ("eh",)})
    assert [given_choice(text, sample) for text in ("si", "ja", "eh")] == ["si", "yes", None]
