"""Tasks over what `datasets` reads: every storage gives the same samples, and each fault is one line."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from stored_data import COLOURS, dataset, image_folder, in_cache, parquet_folder, png, saved_folder, squares

import vtbench
from vtbench.errors import ResultsError, SampleError, TaskError
from vtbench.task.loading import load_task
from vtbench.task.own_data import DataTask

ASKED = {"prompt": "question", "target": "answer", "choices": "options"}
STORES: list[Callable[..., str]] = [saved_folder, parquet_folder, image_folder]


@pytest.fixture(autouse=True)
def hub_offline(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", Path(tmp_path_factory.mktemp("cache")))


def load(folder: Path, data: dict[str, Any], **top: Any) -> DataTask:
    (folder / "mine.yaml").write_text(yaml.safe_dump({"task": "mine", **top, "data": data}, sort_keys=False))
    task = load_task(folder / "mine.yaml")
    assert isinstance(task, DataTask)
    return task


def saved(folder: Path, **keys: Any) -> DataTask:
    return load(folder, {"path": saved_folder(folder, squares()), **ASKED, **keys})


@pytest.mark.parametrize("store", STORES, ids=lambda store: store.__name__)
def test_every_storage_gives_the_same_samples(store: Callable[..., str], tmp_path: Path) -> None:
    task = load(tmp_path, {"path": store(tmp_path, squares()), "split": "test", **ASKED})
    found = [task.sample(i) for i in range(len(task))]
    assert [s.target for s in found] == list(COLOURS)
    assert [s.images[0].getpixel((0, 0)) for s in found] == list(COLOURS.values())
    assert {s.choices for s in found} == {tuple(COLOURS)}
    assert found[2].id == "mine/2"
    assert re.fullmatch("[0-9a-f]{64}", task.config()["data_sha256"])


def test_a_table_is_a_file_without_splits(tmp_path: Path) -> None:
    (tmp_path / "red.png").write_bytes(png("red"))
    (tmp_path / "rows.csv").write_text("image,question,answer\nred.png,Which colour?,red\n")
    task = load(tmp_path, {"path": "rows.csv", "prompt": "question", "target": "answer"})
    assert (task.sample(0).target, task.sample(0).images[0].getpixel((0, 0))) == ("red", COLOURS["red"])
    files = task.config()["image_files"]
    (tmp_path / "red.png").write_bytes(png("blue"))
    changed = load_task(tmp_path / "mine.yaml")
    assert changed.config()["image_files"] != files


def test_several_splits_and_where_a_row_is_from(tmp_path: Path) -> None:
    parquet_folder(tmp_path, squares()[:2], "left")
    parquet_folder(tmp_path, squares()[2:], "right")
    origin = {"kind": "@split", "id": "{@split}-{index}"}
    task = load(tmp_path, {"path": "repo", "split": ["right", "left"], **origin, **ASKED})
    found = [task.sample(i) for i in range(4)]
    assert [(s.target, s.kind) for s in found] == [
        ("blue", "right"),
        ("grey", "right"),
        ("red", "left"),
        ("green", "left"),
    ]
    assert [s.id for s in found] == ["mine/right-2", "mine/right-3", "mine/left-0", "mine/left-1"]


def test_class_labels_are_names_unless_they_are_asked_for_as_numbers(tmp_path: Path) -> None:
    rows = dataset(squares()).cast_column("index", datasets.ClassLabel(names=["one", "two", "three", "four"]))
    rows.save_to_disk(tmp_path / "saved")
    asked = {"path": "saved", "prompt": "question", "target": "index"}
    assert [load(tmp_path, asked).sample(i).target for i in range(2)] == ["one", "two"]
    by_index = load(tmp_path, {**asked, "choices": "options", "target_as": "index"})
    assert [by_index.sample(i).target for i in range(2)] == ["red", "green"]


# Of the hub


def test_a_fetched_data_set_is_read_offline_and_its_commit_is_in_the_digest(tmp_path: Path) -> None:
    commit = in_cache(tmp_path, "org/squares", squares())
    task = load(tmp_path, {"hub": "org/squares", "revision": commit, "split": "test", **ASKED})
    assert [task.sample(i).target for i in range(4)] == list(COLOURS)
    config = task.config()
    assert (config["data_commit"], config["data"]["revision"]) == (commit, commit)
    assert "data_sha256" not in config
    other = "b" * 40
    with pytest.raises(TaskError, match=rf"mine.yaml, line 4: data.revision: the cache has commit a+, not {other}"):
        load(tmp_path, {"hub": "org/squares", "revision": other, "split": "test", **ASKED})


def test_without_a_network_the_cache_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise OSError("Name or service not known")

    in_cache(tmp_path, "org/squares", squares())
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setattr("vtbench.task.hub.split_reading.getproxies", dict)
    task = load(tmp_path, {"hub": "org/squares", "split": "test", **ASKED})
    assert task.sample(1).target == "green"
    assert datasets.config.HF_HUB_OFFLINE is False


def test_a_run_says_which_commit_it_read_and_is_not_resumed_on_another(tmp_path: Path) -> None:
    commit = in_cache(tmp_path, "org/squares", squares())
    load(tmp_path, {"hub": "org/squares", "split": "test", **ASKED})
    settings: dict[str, Any] = {"tasks": [str(tmp_path / "mine.yaml")], "output": str(tmp_path / "out")}
    given = {"model": "echo", "report": False, "metrics": ["accuracy"], **settings}
    result = vtbench.run(**given)
    assert result.document["configs"]["mine"]["data_commit"] == commit
    assert len((Path(result.path) / "samples.jsonl").read_text().splitlines()) == 4
    cached = next(Path(datasets.config.HF_DATASETS_CACHE).glob("org___squares/default/0.0.0/*"))
    cached.rename(cached.with_name("c" * 40))
    with pytest.raises(ResultsError, match=r"differs in tasks.mine.data_commit"):
        vtbench.run(**given, resume=True)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"hub": "org/squares"}, r"line 3: data.hub: .*datasets.load_dataset\('org/squares'\).*HF_HOME.*save_to_disk"),
        ({"hub": "lmms-lab/POPE"}, r"data.hub: 'lmms-lab/POPE' moved to 'lmms-lab-encoder/POPE': write that name"),
        ({"hub": "a/b/c"}, "data.hub: 'a/b/c' is no name of a hub data set"),
        ({"path": "nowhere/"}, r"must be a .jsonl|there is no"),
        ({"path": "nowhere.csv"}, r"line 3: data.path: there is no file .*nowhere.csv"),
        ({"path": "a.jsonl", "hub": "a/b"}, "needs a path .* or a hub .*, and not both"),
        ({}, "needs a path"),
        ({"path": "a.jsonl", "revision": "x"}, "data.revision: only a data set of the hub"),
        ({"path": "a.jsonl", "split": "test"}, r"data.split: a .jsonl file has none"),
    ],
    ids=str,
)
def test_a_source_that_is_not_there_is_one_line(data: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=says) as caught:
        load(tmp_path, {**data, **ASKED})
    assert "\n" not in str(caught.value)


def test_a_revision_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any, **options: Any) -> Any:
        raise datasets.exceptions.DatasetNotFoundError(f"Revision '{options['revision']}' doesn't exist")

    monkeypatch.setattr(datasets, "load_dataset_builder", gone)
    with pytest.raises(TaskError, match=r"data.revision: org/squares has no revision 'old'; https://.*/commits/main"):
        load(tmp_path, {"hub": "org/squares", "revision": "old", **ASKED})


def test_a_split_or_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    parquet_folder(tmp_path, squares()[:1], "left")
    parquet_folder(tmp_path, squares()[:1], "right")
    with pytest.raises(TaskError, match=r"data.split: name the split to read; the data has 'left', 'right'"):
        load(tmp_path, {"path": "repo", **ASKED})
    with pytest.raises(TaskError, match=r"line 4: data.split: no split 'up'; the data has 'left', 'right'"):
        load(tmp_path, {"path": "repo", "split": "up", **ASKED})


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved_folder(tmp_path, squares())
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(TaskError, match=r"data.path: reading data needs `datasets`: pip install .*\[data\]'"):
        load(tmp_path, {"path": "saved", **ASKED})


def test_a_column_that_is_not_there_lists_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"no row has a column 'qestion'; there are image, question, .*mean 'question'"):
        saved(tmp_path, prompt="{qestion|strip}")


# Images


def test_images_as_bytes_paths_and_objects(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "red.png").write_bytes(png("red"))
    forms: dict[str, Any] = {"bytes": png("red"), "path": "red.png", "object": {"bytes": png("red"), "path": None}}
    for name, cell in forms.items():
        row = {"image": cell, "question": "a", "answer": "b"}
        datasets.Dataset.from_list([row]).save_to_disk(tmp_path / name)
        data = {"path": name, "image_dir": "photos", "prompt": "question", "target": "answer"}
        assert load(tmp_path, data).sample(0).images[0].getpixel((0, 0)) == COLOURS["red"], name


def test_several_image_columns_without_the_empty_ones(tmp_path: Path) -> None:
    rows = [{**row, "second": row["image"] if row["index"] else None, "third": None} for row in squares()]
    names = ("image", "second", "third")
    saved_folder(tmp_path, rows, images=names)
    task = load(tmp_path, {"path": "saved", "images": list(names), **ASKED})
    assert [len(task.sample(i).images) for i in range(4)] == [1, 2, 2, 2]
    task = load(tmp_path, {"path": "saved", "images": ["third"], **ASKED})
    with pytest.raises(SampleError, match=r"row 1: no image in any of 'third'"):
        task.sample(0)


def test_urls_are_refused_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return png("blue")

    monkeypatch.setattr("vtbench.task.own_data.fetch_image", fetch)
    rows = [{**row, "image": "http://host/1.png"} for row in squares()]
    commit = in_cache(tmp_path, "org/urls", rows, images=())
    data = {"hub": "org/urls", "split": "test", "revision": commit, **ASKED}
    with pytest.raises(TaskError, match=r"org/urls: the column image has URLs; write `urls: true` under `data`"):
        load(tmp_path, data)
    (tmp_path / "rows.jsonl").write_text('{"image": "https://host/1.png", "prompt": "a", "target": "b"}')
    with pytest.raises(SampleError, match=r"row 1: the image https://host/1.png .*`urls: true`"):
        load(tmp_path, {"path": "rows.jsonl"}).sample(0)
    assert fetched == []
    assert load(tmp_path, {**data, "urls": True}).sample(0).images[0].getpixel((0, 0)) == COLOURS["blue"]
    assert fetched == ["http://host/1.png"]


# Few-shot examples


def test_examples_are_drawn_from_another_split(tmp_path: Path) -> None:
    parquet_folder(tmp_path, squares()[:1], "test")
    parquet_folder(tmp_path, squares()[1:], "more")
    load(tmp_path, {"path": "repo", "split": "test", "train": "more", **ASKED})
    train = load_task(tmp_path / "mine.yaml", split="train")
    assert [train.sample(i).target for i in range(3)] == ["green", "blue", "grey"]


def test_a_cluster_may_be_named_after_the_split_of_its_rows(tmp_path: Path) -> None:
    """A limit cuts the second group of the first split: its size is that of the data, and not what is left of it."""
    for split in ("left", "right"):
        parquet_folder(tmp_path, [{**row, "pair": i // 2} for i, row in enumerate(squares())], split)
    task = load(tmp_path, {"path": "repo", "split": ["right", "left"], "cluster": "{@split}/{pair}", **ASKED})
    found = [task.sample(i) for i in range(3)]
    assert [(s.cluster, s.meta["group_size"]) for s in found] == [("right/0", 2), ("right/0", 2), ("right/1", 2)]
    whole = load(tmp_path, {"path": "repo", "split": ["right", "left"], "cluster": "@split", **ASKED})
    assert whole.sample(0).meta["group_size"] == 4


def test_a_file_has_no_split_to_name(tmp_path: Path) -> None:
    dataset(squares()).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(TaskError, match=r"rows\.parquet: no row has a column '@split'; there are "):
        load(tmp_path, {"path": "rows.parquet", "cluster": "@split", **ASKED})
