"""The same rows from every kind of storage, read lazily, and errors that name the file."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet
import pytest
from import_fakes import COLOURS, ROWS, load, parquet, png, write_config
from PIL import Image

from vtbench.errors import SampleError, TaskError


def write_images(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in COLOURS:
        (folder / f"{name}.png").write_bytes(png(name))


def json_lines(home: Path) -> dict[str, Any]:
    write_images(home / "data")
    text = "".join(json.dumps({**row, "image": f"{row['answer']}.png"}) + "\n" for row in ROWS)
    (home / "data" / "rows.jsonl").write_text(text)
    return {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": ["data/rows.jsonl"]}}}


def json_field(home: Path) -> dict[str, Any]:
    write_images(home / "data")
    rows = [{**row, "image": f"{row['answer']}.png"} for row in ROWS]
    (home / "data" / "rows.json").write_text(json.dumps({"rows": rows}, indent=1))
    return {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "data/*.json"}, "field": "rows"}}


def csv(home: Path) -> dict[str, Any]:
    write_images(home)
    lines = ["image;question;answer;label"]
    lines += [f"{row['answer']}.png;{row['question']};{row['answer']};{row['label']}" for row in ROWS]
    (home / "rows.csv").write_text("\n".join(lines))
    return {"dataset_path": "csv", "dataset_kwargs": {"data_files": {"test": "rows.csv"}, "sep": ";"}}


def image_folder(home: Path) -> dict[str, Any]:
    write_images(home / "pics" / "test")
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
    rows = datasets.Dataset.from_parquet(str(parquet(home)))
    datasets.DatasetDict({"test": rows}).save_to_disk(home / "saved")
    return {"dataset_path": "saved", "dataset_kwargs": {"load_from_disk": True}}


def dataset_card(home: Path) -> dict[str, Any]:
    """A directory whose card says which file belongs to which split, against the files' names."""
    (home / "repo").mkdir()
    parquet(home).rename(home / "repo" / "train.parquet")
    card = "configs: [{config_name: squares, data_files: [{split: test, path: train.parquet}]}]"
    (home / "repo" / "README.md").write_text(f"---\n{card}\n---\n")
    return {"dataset_path": "repo", "dataset_name": "squares", "dataset_kwargs": None}


STORES = [json_lines, json_field, csv, image_folder, directory_of_files, saved_to_disk, dataset_card]


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
def test_the_same_rows(store: Callable[[Path], dict[str, Any]], tmp_path: Path) -> None:
    task = load(write_config(tmp_path, **store(tmp_path)))
    assert len(task) == 4
    samples = [task.sample(index) for index in range(4)]
    assert [sample.target for sample in samples] == list(COLOURS)
    assert [sample.prompt for sample in samples] == [row["question"] for row in ROWS]
    assert [sample.images[0].getpixel((0, 0)) for sample in samples] == list(COLOURS.values())
    assert task.config()["data_sha256"] == load(tmp_path / "squares.yaml").config()["data_sha256"]


def test_changed_data_is_noticed(tmp_path: Path) -> None:
    path = write_config(tmp_path, **json_lines(tmp_path))
    before = load(path).config()["data_sha256"]
    rows = tmp_path / "data" / "rows.jsonl"
    rows.write_text(rows.read_text().replace("square 3", "square three"))
    assert load(path).config()["data_sha256"] != before


def test_a_folder_without_descriptions_has_labels(tmp_path: Path) -> None:
    for name in ("blue", "green"):
        (tmp_path / "pics" / name).mkdir(parents=True)
        (tmp_path / "pics" / name / "1.png").write_bytes(png(name))
    changes = {"dataset_path": "imagefolder", "dataset_kwargs": {"data_dir": "pics"}, "test_split": "train"}
    asked = {"doc_to_text": "What colour is it?", "doc_to_target": "label", "doc_to_choice": ["blue", "green"]}
    task = load(write_config(tmp_path, **changes, **asked))
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
        load(write_config(tmp_path, **data))


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    (tmp_path / "data" / "squares.parquet").write_bytes(b"no parquet")
    with pytest.raises(TaskError, match=r"squares.parquet: cannot be read as parquet"):
        load(path)


def test_of_several_files_the_broken_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("a,b\n1,2\n")
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n1,2,3\n")
    data = {"dataset_path": "csv", "dataset_kwargs": {"data_files": {"test": ["good.csv", "wrong.csv"]}}}
    with pytest.raises(TaskError, match=r"wrong.csv: cannot be read as csv: .*line 3"):
        load(write_config(tmp_path, **data))


def test_only_the_image_columns_that_are_used_are_decoded(tmp_path: Path) -> None:
    """The second image column is broken, which matters only to a task that reads it."""
    table = pyarrow.parquet.read_table(parquet(tmp_path))
    rows = datasets.Dataset(table).add_column("other_image", [{"bytes": b"no image", "path": None}] * len(table))
    path = write_config(tmp_path)
    rows.cast_column("other_image", datasets.Image()).to_parquet(tmp_path / "data" / "squares.parquet")
    assert load(path).sample(1).target == "green"
    path.write_text(path.read_text().replace("- image", "- other_image"))
    with pytest.raises(TaskError, match=r"the first row has no valid question: column 'other_image' cannot be read"):
        load(path)


def test_a_broken_image_names_row_and_column(tmp_path: Path) -> None:
    changes = image_folder(tmp_path)
    (tmp_path / "pics" / "test" / "blue.png").write_bytes(b"no image")
    task = load(write_config(tmp_path, **changes))
    assert task.sample(1).target == "green"
    with pytest.raises(SampleError, match=r"squares, row 3: column 'image' cannot be read: .*blue.png"):
        task.sample(2)


def test_an_image_is_turned_as_the_harness_sees_it(tmp_path: Path) -> None:
    changes = image_folder(tmp_path)
    image, exif = Image.new("RGB", (8, 4)), Image.Exif()
    exif[0x0112] = 6  # orientation: turned by 90 degrees
    image.save(tmp_path / "pics" / "test" / "red.png", exif=exif)
    assert load(write_config(tmp_path, **changes)).sample(0).images[0].size == (4, 8)


def test_images_are_opened_as_those_of_tasks(tmp_path: Path) -> None:
    """Upright, on a plain ground, 16 bits scaled: for the model, and for the columns that the task's code reads."""
    files = {}
    for name, image in {
        "clear": Image.new("RGBA", (8, 4), (0, 0, 0, 128)),
        "deep": Image.fromarray(np.full((4, 8), 100 * 257, np.uint16)),
    }.items():
        image.save(tmp_path / f"{name}.png")
        files[name] = (tmp_path / f"{name}.png").read_bytes()
    table = pyarrow.parquet.read_table(parquet(tmp_path))
    cells = [{"bytes": files[name], "path": None} for name in ("clear", "deep")]
    rows = datasets.Dataset(table).select(range(2)).remove_columns("image").add_column("image", cells)
    path = write_config(tmp_path)
    rows.cast_column("image", datasets.Image()).to_parquet(tmp_path / "data" / "squares.parquet")
    task = load(path)
    assert [task.sample(i).images[0].getpixel((0, 0)) for i in range(2)] == [(127,) * 3, (100,) * 3]
    assert [task.sample(i).meta["image_modes"] for i in range(2)] == [["RGBA"], ["I;16"]]


def test_eps_starts_no_other_program(tmp_path: Path) -> None:
    table = pyarrow.parquet.read_table(parquet(tmp_path))
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    cells = [table["image"][0].as_py(), {"bytes": content, "path": None}]
    rows = datasets.Dataset(table).select(range(2)).remove_columns("image").add_column("image", cells)
    path = write_config(tmp_path)
    rows.cast_column("image", datasets.Image()).to_parquet(tmp_path / "data" / "squares.parquet")
    with pytest.raises(SampleError, match=r"row 2: column 'image' cannot be read: .*it is EPS"):
        load(path).sample(1)


def test_changed_images_of_a_folder_change_the_config(tmp_path: Path) -> None:
    path = write_config(tmp_path, **image_folder(tmp_path))
    before = load(path).config()
    assert load(path).config() == before
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "pics" / "test" / "red.png")
    assert load(path).config()["data_sha256"] != before["data_sha256"]


def test_changed_images_that_rows_name_change_the_config(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows = []
    for row in ROWS[:2]:
        Image.new("RGB", (8, 8), COLOURS[row["answer"]]).save(tmp_path / "data" / f"{row['answer']}.png")
        rows.append({**row, "image": f"{row['answer']}.png"})
    (tmp_path / "data" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "data/rows.jsonl"}}}
    path = write_config(tmp_path, **data)
    before = load(path).config()
    assert before["image_files"].startswith("2 files")
    Image.new("RGB", (8, 8), (1, 2, 3)).save(tmp_path / "data" / "green.png")
    assert load(path).config()["image_files"] != before["image_files"]


def test_other_splits_are_not_read(tmp_path: Path) -> None:
    changes = directory_of_files(tmp_path)
    (tmp_path / "repo" / "data" / "train-00000-of-00001.parquet").write_bytes(b"no parquet")
    assert len(load(write_config(tmp_path, **changes))) == 4


def test_a_hub_data_set_has_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commit that the hub gives is what tells two versions of the data apart."""
    local, asked = str(parquet(tmp_path)), []
    original = datasets.load_dataset_builder

    def builder(path: str, name: str | None = None, **options: Any) -> Any:
        asked.append((path, name, options))
        found = original("parquet", data_files={"test": local})
        found.hash = "a" * 40
        return found

    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    hub = {"dataset_path": "org/squares", "dataset_name": "easy", "dataset_kwargs": {"revision": "a" * 40}}
    task = load(write_config(tmp_path, **hub))
    assert asked == [("org/squares", "easy", {"revision": "a" * 40})]
    assert (len(task), task.config()["data_sha256"]) == (4, "a" * 40)
    hub["dataset_kwargs"] = {"revision": "b" * 40}
    with pytest.raises(TaskError, match=r"dataset_kwargs.revision: the cache has commit a+, not b+"):
        load(write_config(tmp_path, **hub))


def test_a_cached_hub_data_set_is_read_offline(tmp_path: Path) -> None:
    local = tmp_path / "squares"
    local.mkdir()
    parquet(tmp_path).rename(local / "test.parquet")
    builder = datasets.load_dataset_builder(str(local))
    builder.download_and_prepare()
    cached = Path(datasets.config.HF_DATASETS_CACHE) / "org___squares" / "default" / "0.0.0" / ("a" * 40)
    cached.parent.mkdir(parents=True)
    Path(builder.cache_dir).rename(cached)
    path = write_config(tmp_path, dataset_path="org/squares", dataset_kwargs=None)
    assert [load(path).sample(index).target for index in range(4)] == list(COLOURS)
    assert load(path).config()["data_sha256"] == "a" * 40


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TaskError, match=r"reading data needs `datasets`: pip install .*\[data\]'"):
        load(write_config(tmp_path))


def test_datasets_is_imported_for_data_only(tmp_path: Path) -> None:
    path = write_config(tmp_path, doc_to_txt="x")  # refused before any data is read
    program = (
        "import sys, vtbench_import\n"
        f"try: vtbench_import.lm_eval({str(path)!r})\n"
        "except Exception as error: assert 'doc_to_txt' in str(error), error\n"
        "assert 'datasets' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_reading_local_data_is_silent_and_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("network access")

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for store in STORES:
        (home := tmp_path / store.__name__).mkdir()
        path = write_config(home, **store(home))
        capfd.readouterr()  # of writing the data
        assert len(load(path)) == 4
        assert capfd.readouterr().err == ""
