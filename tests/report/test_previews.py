"""Previews: thumbnails that fit, stored ones read back whole, missing ones made again."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtbench.report.previews import (
    Preview,
    PreviewMaker,
    PreviewSource,
    PreviewWriter,
    cues,
    evenly_spaced,
    example_image,
    preview,
    previews_path,
    read_previews,
)
from vtbench.report.thumbnails import SIDES, Album, byte_limit, thumbnail
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench.types import Record, Sample

RELATIONAL = find_task_files()["relational"]


def decoded(uri: str) -> tuple[Image.Image, int]:
    data = base64.b64decode(uri.partition(",")[2])
    return Image.open(io.BytesIO(data)), len(data)


def hashes(sample: Sample) -> tuple[str, ...]:
    return tuple(hashlib.sha256(image.tobytes()).hexdigest() for image in sample.images)


def record_of(sample: Sample) -> Record:
    return Record(
        "relational", sample.id, sample.index, sample.prompt, sample.target, output="yes", image_sha256=hashes(sample)
    )


def run_in(path: Path) -> dict[str, object]:
    return {
        "path": str(path),
        "model": {"image_size": 64},
        "config": {"split": None, "seed": None},
        "tasks": {"relational": {"file": str(RELATIONAL)}},
    }


def test_thumbnails_keep_their_size_if_the_limit_allows() -> None:
    image = load_task(RELATIONAL).sample(0, 224).images[0]
    large, _ = decoded(thumbnail(image))
    assert large.size == (224, 224)
    small, size = decoded(thumbnail(image, 2_000))
    assert small.size == (112, 112)
    assert size <= 2_000
    difference = np.asarray(small.convert("RGB"), dtype=int) - np.asarray(image.reduce(2), dtype=int)
    assert np.abs(difference).mean() < 4


def test_photographs_shrink_until_they_fit() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 200, 3), dtype=np.uint8))
    image, size = decoded(thumbnail(noise, 3_000))
    assert size <= 3_000
    assert max(image.size) < SIDES[0]
    smallest, _ = decoded(thumbnail(noise, 1))
    assert max(smallest.size) <= SIDES[-1]


def test_tiny_images_keep_their_pixels() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 8, 3), dtype=np.uint8))
    image, _ = decoded(thumbnail(noise))
    assert np.array_equal(np.asarray(image), np.asarray(noise))


def test_an_album_holds_equal_images_once() -> None:
    album = Album()
    assert [album.add(sha256, uri) for sha256, uri in (("r", "a"), ("b", "b"), ("r", "a"))] == [0, 1, 0]
    assert album.uris == ["a", "b"]


def test_cues_are_those_of_the_scene() -> None:
    sample = load_task(RELATIONAL).sample(0)
    assert sample.scene is not None
    assert set(cues(sample)) == {
        (cue, getattr(obj, cue)) for obj in sample.scene.objects for cue in ("colour", "shape", "texture")
    }
    assert cues(replace(sample, scene=None)) == ()


def test_positions_are_evenly_spaced() -> None:
    assert list(evenly_spaced(7, 3)) == [0, 2, 4]
    assert list(evenly_spaced(3, 9)) == [0, 1, 2]
    assert list(evenly_spaced(0, 1)) == []


def test_previews_are_made_of_samples_that_the_report_shows() -> None:
    task = load_task(RELATIONAL)
    make = PreviewMaker({"relational": 6000, "other": 2000})
    made = {i: make("relational", s, hashes(s)) for i in range(8) for s in [task.sample(i, 32)]}
    assert [i for i, one in made.items() if one is not None] == [0, 4]
    few = PreviewMaker({"relational": 2})("relational", task.sample(1, 224), hashes(task.sample(1, 224)))
    assert few is not None
    assert decoded(few.images[0][1])[0].size == (224, 224)


def test_stored_previews_are_read_back_and_equal_images_are_written_once(tmp_path: Path) -> None:
    samples = [load_task(RELATIONAL).sample(i, 64) for i in range(3)]
    previews = [preview(sample, hashes(sample), byte_limit(2000)) for sample in samples]
    twin = Preview(3, previews[0].images, previews[0].cues)
    writer = PreviewWriter(tmp_path, "relational")
    writer.append(previews)
    writer.append([twin])
    writer.close()
    assert read_previews(tmp_path, "relational") == {0: previews[0], 1: previews[1], 2: previews[2], 3: twin}
    assert previews_path(tmp_path, "relational").read_text().count(previews[0].images[0][1]) == 1
    assert read_previews(tmp_path, "none") == {}


def test_a_torn_line_is_dropped_and_writing_goes_on(tmp_path: Path) -> None:
    one, two = (Preview(i, ((f"{i}", f"data:image/png;base64,{i}"),)) for i in range(2))
    writer = PreviewWriter(tmp_path, "t")
    writer.append([one, two])
    writer.close()
    path = previews_path(tmp_path, "t")
    path.write_bytes(path.read_bytes()[:-5])
    assert read_previews(tmp_path, "t") == {0: one}
    writer = PreviewWriter(tmp_path, "t")
    writer.append([two])
    writer.close()
    assert read_previews(tmp_path, "t") == {0: one, 1: two}


def test_only_images_can_be_stored_previews(tmp_path: Path) -> None:
    (tmp_path / "visual").mkdir()
    line = {"index": 0, "images": [["x", "javascript:alert(1)"]], "cues": []}
    previews_path(tmp_path, "t").write_text(json.dumps(line) + "\n")
    assert read_previews(tmp_path, "t") == {}


def test_a_stored_preview_is_shown_without_the_task(tmp_path: Path) -> None:
    sample = load_task(RELATIONAL).sample(0, 64)
    stored = preview(sample, hashes(sample))
    writer = PreviewWriter(tmp_path, "relational")
    writer.append([stored])
    writer.close()
    run = run_in(tmp_path) | {"tasks": {"relational": {"file": str(tmp_path / "gone.yaml")}}}
    source = PreviewSource(run, "relational")
    assert source.of(record_of(sample)) == stored
    assert source.note == ""
    other = replace(record_of(sample), index=1)
    assert source.of(other) == Preview(1)
    assert source.note.startswith("Without images, as the task cannot be loaded")


def test_a_missing_preview_is_made_again_if_the_image_is_the_same(tmp_path: Path) -> None:
    sample = load_task(RELATIONAL).sample(5, 64)
    source = PreviewSource(run_in(tmp_path), "relational")
    assert source.of(record_of(sample)) == preview(sample, hashes(sample))
    assert source.of(replace(record_of(sample), index=6)) == Preview(6)
    assert "changed since the run" in source.note
    assert source.of(replace(record_of(sample), image_sha256=())) == Preview(5)


def test_the_example_image_is_that_of_the_first_answered_sample(tmp_path: Path) -> None:
    records = [record_of(load_task(RELATIONAL).sample(i, 64)) for i in range(2)]
    failed = replace(records[0], error="broken")
    uri = example_image(run_in(tmp_path), "relational", [failed, records[1]])
    assert uri == preview(load_task(RELATIONAL).sample(1, 64), records[1].image_sha256).images[0][1]
    assert example_image(run_in(tmp_path), "relational", [failed]) is None


@pytest.mark.parametrize(("count", "limit"), [(0, 4_125_000), (2000, 2_062)])
def test_images_share_one_allowance(count: int, limit: int) -> None:
    assert byte_limit(count) == limit
