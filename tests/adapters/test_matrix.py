"""The committed matrix of model types: complete, with reasons, and what the command and the page show."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from tiny_checkpoints import MODEL_TYPES, NOT_BUILT, build, mapped_types
from tiny_checkpoints.__main__ import main
from transformers import AutoModelForImageTextToText

from vtbench.cli import status
from vtbench_hf import matrix

PAGE = Path(__file__).parents[2] / "docs" / "architectures.md"
ROWS = matrix.read()


def test_every_model_type_of_transformers_has_a_row():
    assert [row.model_type for row in ROWS] == mapped_types(), "a new type needs a recipe or a reason; `make matrix`"


def test_every_model_type_has_a_recipe_or_a_reason():
    assert sorted({*MODEL_TYPES, *NOT_BUILT}) == mapped_types()
    assert not {*MODEL_TYPES} & {*NOT_BUILT}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
def test_what_a_type_lacks_has_a_reason(row):
    given = {part.partition(":")[0] for part in row.why.split("; ")}
    lacks = {name for name in matrix.TRIED if getattr(row, name) == matrix.NO}
    assert lacks == (given - {""} if row.loads == "yes" else {*matrix.TRIED})
    assert row.loads == "yes" or given & {"loads", "no checkpoint"}


def test_shares_are_of_all_types():
    row = matrix.Row("one", "hf", loads="yes", tokens="16")
    found = matrix.shares([row, replace(row, tokens="no")])
    assert (found["loads"], found["tokens"], found["trains"]) == (100, 50, 0)


def test_a_reason_that_columns_share_is_given_once():
    row = matrix.Row("one", "hf", why="layers: none; boxes: none; trains: no parts")
    assert matrix.cells(row)[-1] == "layers, boxes: none; trains: no parts"


def test_rows_are_read_as_they_were_written(tmp_path):
    matrix.write(reversed(ROWS), tmp_path / "matrix.csv")
    assert matrix.read(tmp_path / "matrix.csv") == ROWS


def test_the_page_has_the_table():
    page = PAGE.read_text(encoding="utf-8")
    assert matrix.with_table(page, ROWS) == page, "`make matrix` writes it anew"
    assert page.count("\n| llava | ") == 1


def test_the_command_prints_every_row_and_the_totals(capsys):
    assert status(["ls", "models", "--matrix"]) == 0
    head, below, *lines, totals = capsys.readouterr().out.splitlines()
    assert [*head.split(), below.strip()] == [*matrix.COLUMNS]
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [row.model_type for row in ROWS]
    assert totals == matrix.totals(ROWS)


def test_the_command_prints_json(capsys):
    assert status(["ls", "models", "--matrix", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["model_type"] for one in found] == [row.model_type for row in ROWS]
    assert {*found[0]} == {*matrix.COLUMNS}


def test_a_tiny_checkpoint_is_written_from_the_command_line(tmp_path):
    done = CliRunner().invoke(main, ["build", "llava", str(tmp_path)])
    assert done.stdout.strip() == str(tmp_path)
    written = AutoModelForImageTextToText.from_pretrained(tmp_path).state_dict()
    expected = build("llava")[0].state_dict()
    assert written.keys() == expected.keys()
    assert all(torch.equal(written[name], weight) for name, weight in expected.items())
