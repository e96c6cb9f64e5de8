"""The same rows, wherever they stand on the disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from import_fakes import COLOURS, ROWS, loaded, parquet, png, recipe

from vtbench.errors import TaskError


def pictures(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in COLOURS:
        (folder / f"{name}.png").write_bytes(png(name))


def json_lines(home: Path) -> dict[str, Any]:
    pictures(home / "data")
    text = "".join(json.dumps({**row, "image": f"{row['answer']}.png"}) + "\n" for row in ROWS)
    (home / "data" / "rows.jsonl").write_text(text)
    return {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": ["data/rows.jsonl"]}}}


def json_field(home: Path) -> dict[str, Any]:
    pictures(home / "data")
    rows = [{**row, "image": f"{row['answer']}.png"} for row in ROWS]
    (home / "data" / "rows.json").write_text(json.dumps({"rows": rows}, indent=1))
    return {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "data/*.json"}, "field": "rows"}}


def csv(home: Path) -> dict[str, Any]:
    pictures(home)
    lines = ["image;question;answer;label"]
    lines += [f"{row['answer']}.png;{row['question']};{row['answer']};{row['label']}" for row in ROWS]
    (home / "rows.csv").write_text("\n".join(lines))
    return {"dataset_path": "csv", "dataset_kwargs": {"data_files": {"test": "rows.csv"}, "sep": ";"}}


def picture_folder(home: Path) -> dict[str, Any]:
    pictures(home / "pics" / "test")
    text = "".join(json.dumps({**row, "file_name": f"{row['answer']}.png"}) + "\n" for row in ROWS)
    (home / "pics" / "test" / "metadata.jsonl").write_text(text)
    return {"dataset_path": "imagefolder", "dataset_kwargs": {"data_dir": "pics"}}


def directory_of_files(home: Path) -> dict[str, Any]:
    (home / "repo" / "data").mkdir(parents=True)
    table = pyarrow.parquet.read_table(parquet(home))
    for n, part in enumerate((table.slice(0, 3), table.slice(3))):
        pyarrow.parquet.write_table(part, home / "repo" / "data" / f"test-0000{n}-of-00002.parquet")
    pyarrow.parquet.write_table(table.slice(0, 1), home / "repo" / "data" / "train-00000-of-00001.parquet")
    return {"dataset_path": "repo", "dataset_kwargs": None}


def saved_to_disk(home: Path) -> dict[str, Any]:
    table = pyarrow.parquet.read_table(parquet(home))
    part = home / "saved" / "test"
    part.mkdir(parents=True)
    with pa.ipc.new_stream(str(part / "data-00000-of-00001.arrow"), table.schema) as stream:
        stream.write_table(table, max_chunksize=3)
    (part / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    (home / "saved" / "dataset_dict.json").write_text(json.dumps({"splits": ["test"]}))
    return {"dataset_path": "saved", "dataset_kwargs": {"load_from_disk": True}}


@pytest.mark.parametrize(
    "store", [json_lines, json_field, csv, picture_folder, directory_of_files, saved_to_disk], ids=lambda f: f.__name__
)
def test_the_same_rows(store: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    task = loaded(recipe(tmp_path, **store(tmp_path)))
    assert len(task) == 4
    samples = [task.sample(index) for index in range(4)]
    assert [sample.target for sample in samples] == list(COLOURS)
    assert [sample.prompt for sample in samples] == [row["question"] for row in ROWS]
    assert [sample.images[0].getpixel((0, 0)) for sample in samples] == list(COLOURS.values())
    assert task.config()["data_sha256"] == loaded(tmp_path / "squares.yaml").config()["data_sha256"]


def test_changed_data_is_noticed(tmp_path: Path) -> None:
    path = recipe(tmp_path, **json_lines(tmp_path))
    before = loaded(path).config()["data_sha256"]
    rows = tmp_path / "data" / "rows.jsonl"
    rows.write_text(rows.read_text().replace("square 3", "square three"))
    assert loaded(path).config()["data_sha256"] != before


def test_a_folder_without_descriptions_has_labels(tmp_path: Path) -> None:
    for name in ("blue", "green"):
        (tmp_path / "pics" / name).mkdir(parents=True)
        (tmp_path / "pics" / name / "1.png").write_bytes(png(name))
    changes = {"dataset_path": "imagefolder", "dataset_kwargs": {"data_dir": "pics"}, "test_split": "train"}
    asked = {"doc_to_text": "What colour is it?", "doc_to_target": "label", "doc_to_choice": ["blue", "green"]}
    task = loaded(recipe(tmp_path, **changes, **asked))
    assert [task.sample(index).target for index in range(2)] == ["blue", "green"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rows.json", "[{}, 3]", "a row must be an object with keys, but is int"),
        ("rows.json", '{"a": 1}\n{"a"\n', r"rows.json, line 2: not valid JSON"),
        ("rows.json", b"\xff\xfe", "cannot be read"),
    ],
)
def test_broken_files_are_named(name: str, content: str | bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": name}}}
    with pytest.raises(TaskError, match=says):
        loaded(recipe(tmp_path, **data))


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    path = recipe(tmp_path)
    (tmp_path / "data" / "squares.parquet").write_bytes(b"no parquet")
    with pytest.raises(TaskError, match=r"squares.parquet: cannot be read as parquet"):
        loaded(path)
