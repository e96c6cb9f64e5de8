"""The WebDataset format: shards that any tar reader reads, without time or owner."""

import io
import json
import tarfile

import pytest
from export_fakes import image_task, registry
from PIL import Image

from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_export import export


def members(path):
    with tarfile.open(path) as tar:
        return [(member, tar.extractfile(member).read()) for member in tar.getmembers()]


def test_a_sample_is_an_image_and_its_fields(tmp_path):
    export(["relational"], "webdataset", tmp_path / "out", limit=3, registry=registry())
    task = load_task(find_task_files()["relational"])
    found = members(tmp_path / "out" / "relational" / "000000.tar")
    assert [member.name for member, _ in found] == [f"{k:06}.{end}" for k in range(3) for end in ("png", "json")]
    for index in range(3):
        sample, (_, png), (_, fields) = task.sample(index, 112), found[2 * index], found[2 * index + 1]
        assert Image.open(io.BytesIO(png)).tobytes() == sample.images[0].tobytes()
        assert json.loads(fields)["prompt"] == sample.prompt
        assert json.loads(fields)["choices"] == list(sample.choices)


def test_a_shard_has_no_time_and_no_owner(tmp_path):
    export(["coarse"], "webdataset", tmp_path / "out", limit=2, registry=registry())
    for member, _ in members(tmp_path / "out" / "coarse" / "000000.tar"):
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_shards_share_no_sample(tmp_path):
    export(["coarse"], "webdataset", tmp_path / "out", limit=9, shard_bytes=10_000, registry=registry())
    files = sorted((tmp_path / "out" / "coarse").iterdir())
    assert [file.name for file in files] == [f"{k:06}.tar" for k in range(len(files))]
    keys = [[member.name.partition(".")[0] for member, _ in members(file)] for file in files]
    assert len(files) > 1
    assert [key for some in keys for key in some] == [f"{k:06}" for k in range(9) for _ in range(2)]
    assert all(some.count(key) == 2 for some in keys for key in some)


@pytest.mark.parametrize(
    ("row", "names"), [(["red"], ["000000.png"]), (["red", "blue"], ["000000.0.png", "000000.1.png"])]
)
def test_several_images_are_numbered(tmp_path, row, names):
    export([image_task(tmp_path, [row])], "webdataset", tmp_path / "out", registry=registry())
    found = members(tmp_path / "out" / "own" / "000000.tar")
    assert [member.name for member, _ in found] == [*names, "000000.json"]
