"""The Parquet format: the schema has the types that `datasets` needs, and no field of a sample is lost."""

import hashlib
import io
import json

import pyarrow.parquet as pq
import pytest
import yaml
from export_fakes import image_task, registry
from PIL import Image

from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_export import export, parquet_dataset

TASKS = ["relational", "scene_graph", "precise_offset"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    target = tmp_path_factory.mktemp("parquet") / "out"
    export(TASKS, "parquet", target, limit=6, registry=registry())
    return target


@pytest.mark.parametrize("name", TASKS)
def test_every_field_of_a_sample_is_there(directory, name):
    task = load_task(find_task_files()[name])
    rows = pq.read_table(directory / name / "test-00000-of-00001.parquet").to_pylist()
    assert len(rows) == 6
    for index, row in enumerate(rows):
        sample = task.sample(index, 112)
        for field in ("id", "index", "prompt", "target", "kind", "cluster", "scene_hash"):
            assert row[field] == getattr(sample, field)
        assert tuple(row["choices"]) == sample.choices
        assert json.loads(row["scene"]) == json.loads(json.dumps(sample.scene.canonical()))
        assert json.loads(row["meta"]) == json.loads(json.dumps(dict(sample.meta)))
        image = Image.open(io.BytesIO(row["image"]["bytes"]))
        assert image.format == "PNG"
        assert image.tobytes() == sample.images[0].tobytes()
        assert row["image_sha256"] == [hashlib.sha256(sample.images[0].tobytes()).hexdigest()]
        assert row["answer_type"] == ("graph" if name == "scene_graph" else "choice")


def test_the_schema_types_the_image_column(directory):
    schema = pq.read_schema(directory / "relational" / "test-00000-of-00001.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == schema.names
    assert features["image"] == {"_type": "Image"}


def test_the_card_names_the_files(directory):
    _, head, _ = (directory / "README.md").read_text().split("---\n", 2)
    configs = {config["config_name"]: config["data_files"] for config in yaml.safe_load(head)["configs"]}
    assert sorted(configs) == sorted(TASKS)
    for (data,) in configs.values():
        assert data["split"] == "test"
        assert len(list(directory.glob(data["path"]))) == 1


def test_croissant_names_the_files_and_their_columns(directory):
    document = json.loads((directory / "croissant.json").read_text())
    files = [node for node in document["distribution"] if node["@type"] == "cr:FileObject"]
    assert {file["contentUrl"] for file in files} == {f"{name}/test-00000-of-00001.parquet" for name in TASKS}
    for file in files:
        assert file["sha256"] == hashlib.sha256((directory / file["contentUrl"]).read_bytes()).hexdigest()
    for records in document["recordSet"]:
        schema = pq.read_schema(directory / records["@id"] / "test-00000-of-00001.parquet")
        assert [field["source"]["extract"]["column"] for field in records["field"]] == schema.names


def test_shards_hold_all_rows_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_dataset, "GROUP_ROWS", 3)
    export(["coarse"], "parquet", tmp_path / "out", limit=10, shard_bytes=10_000, registry=registry())
    files = sorted((tmp_path / "out" / "coarse").iterdir())
    assert len(files) > 1
    assert [file.name for file in files] == [f"test-{k:05}-of-{len(files):05}.parquet" for k in range(len(files))]
    assert [row["index"] for file in files for row in pq.read_table(file, columns=["index"]).to_pylist()] == list(
        range(10)
    )


def test_row_groups_have_a_limited_number_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_dataset, "GROUP_ROWS", 4)
    export(["coarse"], "parquet", tmp_path / "out", limit=10, registry=registry())
    facts = pq.ParquetFile(tmp_path / "out" / "coarse" / "test-00000-of-00001.parquet").metadata
    assert [facts.row_group(k).num_rows for k in range(facts.num_row_groups)] == [4, 4, 2]


def test_a_large_image_ends_a_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_dataset, "GROUP_BYTES", 1)
    export(["coarse"], "parquet", tmp_path / "out", limit=3, registry=registry())
    facts = pq.ParquetFile(tmp_path / "out" / "coarse" / "test-00000-of-00001.parquet").metadata
    assert facts.num_row_groups == 3


def test_samples_of_several_images_have_a_list(tmp_path):
    task = image_task(tmp_path, [["red"], ["green", "blue"]])
    export([task], "parquet", tmp_path / "out", registry=registry())
    (file,) = (tmp_path / "out" / "own").iterdir()
    rows = pq.read_table(file).to_pylist()
    colours = [[Image.open(io.BytesIO(p["bytes"])).getpixel((0, 0)) for p in row["images"]] for row in rows]
    assert colours == [[(255, 0, 0)], [(0, 128, 0), (0, 0, 255)]]
    assert [row["answer_type"] for row in rows] == ["text", "text"]
    assert [row["scene"] for row in rows] == [None, None]


def test_an_export_is_itself_a_task(tmp_path):
    export(["coarse"], "parquet", tmp_path / "out", limit=4, registry=registry())
    (tmp_path / "back.yaml").write_text(
        "task: back\ndata: {path: out/coarse/test-00000-of-00001.parquet, choices: choices, cluster: cluster}\n"
    )
    back, task = load_task(tmp_path / "back.yaml"), load_task(find_task_files()["coarse"])
    for index in range(4):
        ours, theirs = task.sample(index, 112), back.sample(index)
        assert (theirs.prompt, theirs.target, theirs.choices) == (ours.prompt, ours.target, ours.choices)
        assert theirs.images[0].tobytes() == ours.images[0].tobytes()
