"""`vtbench cutouts`: what is kept, what is dropped and why, and that the cast makes scenes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from natural_fakes import disc
from PIL import Image

from vtbench.errors import VtbenchError
from vtbench.scenes.cast import read_cast
from vtbench_cutouts.cast_writer import make_cast
from vtbench_cutouts.cli import cutouts
from vtbench_cutouts.coco import coco_candidates, mask_of_runs
from vtbench_cutouts.errors import CutoutError
from vtbench_cutouts.image_folders import has_captions, png_candidates, stamp_candidates
from vtbench_cutouts.selection import image_problem


def grain(image: Image.Image, seed: int = 0) -> Image.Image:
    """Return an image with the grain of a photograph."""
    pixels = np.array(image).astype(int)
    pixels[..., :3] += np.random.default_rng(seed).integers(-9, 10, pixels[..., :3].shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    for seed, (group, name) in enumerate(
        (("food", "lemon_1"), ("food", "lemon_2"), ("food", "Cherry"), ("animals", "polar_bear"))
    ):
        (source / group).mkdir(parents=True, exist_ok=True)
        grain(disc((200, 180, 90), side=140), seed).save(source / group / f"{name}.png")
    return source


def dropped(result: Any) -> dict[str, str]:
    return {Path(one.where).name: one.reason for one in result.dropped}


def test_a_directory_of_files_becomes_a_cast(folder: Path, tmp_path: Path) -> None:
    result = make_cast(png_candidates(folder, "CC0"), tmp_path / "cast")
    cast = read_cast(tmp_path / "cast")
    assert cast.digest == result.digest
    facts = {one.name: (one.article, one.plural, one.group, one.licence) for one in cast.objects}
    assert facts == {
        "cherry": ("a", "cherries", "food", "CC0"),
        "lemon": ("a", "lemons", "food", "CC0"),
        "polar bear": ("a", "polar bears", "animals", "CC0"),
    }
    assert dropped(result) == {"lemon_2.png": "two objects have this name"}
    assert json.loads((tmp_path / "cast/dropped.json").read_text())[0]["name"] == "lemon"
    with Image.open(tmp_path / "cast/contact_sheet.png") as sheet:
        assert sheet.width > 1000
    lemon = cast["lemon"]
    whole = np.asarray(Image.open(folder / "food/lemon_1.png"))
    assert lemon.colour == tuple(whole[whole[..., 3] > 0][:, :3].mean(axis=0).round())
    assert max(lemon.box[2] - lemon.box[0], lemon.box[3] - lemon.box[1]) <= 140


def test_whoever_may_read_new_files_may_read_the_cast(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cast").mkdir()
    make_cast(png_candidates(folder), tmp_path / "cast")
    (tmp_path / "other").mkdir()
    assert (tmp_path / "cast").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_one_image_under_two_names_is_one_object(folder: Path, tmp_path: Path) -> None:
    (folder / "food" / "plum.png").write_bytes((folder / "food" / "Cherry.png").read_bytes())
    assert dropped(make_cast(png_candidates(folder), tmp_path / "cast"))["plum.png"] == "its image is that of 'cherry'"


def test_large_files_are_made_smaller(tmp_path: Path) -> None:
    for name, hole in (("drum", False), ("kettle", True)):
        disc((90, 90, 160), hole, side=900).save(tmp_path / f"{name}.png")
    make_cast(png_candidates(tmp_path), tmp_path / "cast")
    with Image.open(tmp_path / "cast/drum.png") as image:
        assert max(image.size) == 256


def stripe(box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (200, 200))
    image.paste((120, 90, 60, 255), box)
    return image


@pytest.mark.parametrize(
    ("image", "framed", "wanted"),
    [
        (stripe((20, 20, 60, 70)), False, "too small: 40 x 50 pixels"),
        (stripe((20, 90, 180, 100)), False, "too thin: it covers 8%"),
        (stripe((0, 50, 100, 150)), False, "touches its frame: along 100% of a side"),
        (stripe((40, 40, 40, 40)), False, "its mask is empty"),
        (stripe((0, 0, 200, 200)), False, "nothing around it is transparent"),
        (stripe((40, 40, 160, 160)), False, None),
        (disc((200, 100, 0), side=140).crop((5, 0, 135, 140)), False, None),
        (disc((200, 100, 0), side=140).crop((5, 0, 135, 140)), True, "touches its frame"),
    ],
)
def test_what_does_not_suit_says_why(image: Image.Image, framed: bool, wanted: str | None) -> None:
    problem = image_problem(image, framed, photographed=False)
    assert (problem or "").startswith(wanted or "")
    assert (problem is None) == (wanted is None)


def test_a_drawing_is_told_from_a_photograph() -> None:
    drawn = disc((200, 100, 0), side=140)
    assert str(image_problem(drawn, False, photographed=True)).startswith("drawn, not photographed")
    assert image_problem(grain(drawn), False, photographed=True) is None


def test_stamps_are_called_by_their_captions(folder: Path, tmp_path: Path) -> None:
    captions = {
        "food/lemon_1": "A lemon.",
        "food/lemon_2": "An unripe lemon, cut.",
        "food/Cherry": "Eat your cherries!",
        "animals/polar_bear": "A polar bear.",
    }
    for name, text in captions.items():
        (folder / f"{name}.txt").write_text(f"{text}\nde.utf8=Eine Zitrone.\n", encoding="utf-8")
    assert has_captions(folder)
    result = make_cast(stamp_candidates(folder), tmp_path / "cast")
    assert [(one.name, one.group, one.licence) for one in result.objects] == [
        ("lemon", "food", "GPL-2.0"),
        ("polar bear", "animals", "GPL-2.0"),
    ]
    assert set(result.reasons) == {"no name"}


def coco(folder: Path, segmentations: dict[str, Any], **changes: Any) -> Path:
    """Write a file in the format of COCO with one annotation a category, and its one image."""
    image = grain(Image.new("RGBA", (200, 160), (90, 140, 200, 255))).convert("RGB")
    image.save(folder / "scene.png")
    content = {
        "licenses": [{"id": 4, "name": "CC BY 2.0"}],
        "images": [{"id": 7, "file_name": "scene.png", "license": 4}],
        "categories": [{"id": i, "name": name, "supercategory": "toys"} for i, name in enumerate(segmentations)],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": i, "area": 100, "segmentation": one}
            for i, one in enumerate(segmentations.values())
        ],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_polygons_and_run_lengths_of_coco(tmp_path: Path) -> None:
    masks = pytest.importorskip("pycocotools.mask")
    mask = np.zeros((160, 200), dtype=np.uint8, order="F")
    mask[40:120, 50:140] = 1
    compressed = masks.encode(np.asfortranarray(np.roll(mask, 3, axis=1)))
    compressed["counts"] = compressed["counts"].decode()
    flat = np.roll(mask, 6, axis=1).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges.tolist(), flat.size]).tolist()
    kinds = {
        "kite": [[50, 40, 140, 40, 140, 120, 50, 120]],
        "frisbee": compressed,
        "skateboard": {"size": [160, 200], "counts": runs},
        "sports ball": [[0, 40, 90, 40, 90, 120, 0, 120]],
        "bat": [[50, 40]],
        "drone": None,
    }
    result = make_cast(coco_candidates(coco(tmp_path, kinds), tmp_path), tmp_path / "cast")
    assert [one.name for one in result.objects] == ["kite", "frisbee", "skateboard"]
    assert {one.licence for one in result.objects} == {"CC BY 2.0"}
    sizes = {tuple(np.subtract(one.box[2:], one.box[:2])) for one in result.objects}
    assert all(abs(width - 90) <= 3 and abs(height - 80) <= 3 for width, height in sizes)
    reasons = {one.name: one.reason for one in result.dropped}
    assert reasons["sports ball"].startswith("touches its frame")
    assert "neither polygons nor a mask" in reasons["bat"]
    assert "neither polygons nor a mask" in reasons["drone"]


def test_run_lengths_are_those_of_pycocotools() -> None:
    """Which would read beyond runs that end early, and end the process at a size that memory does not have."""
    masks = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.98, 0, 1):
        mask = np.asfortranarray(rng.random((31, 47)) < share, dtype=np.uint8)
        coded = masks.encode(mask)
        assert (mask_of_runs({"size": [31, 47], "counts": coded["counts"].decode()}, 31, 47) == mask).all()


@pytest.mark.parametrize(
    ("mask", "wanted"),
    [
        ({"size": [10, 20], "counts": [50, 100]}, "do not add up to its 10 x 20 pixels"),
        ({"size": [10, 20], "counts": [-50, 250]}, "do not add up"),
        ({"size": [10, 20], "counts": []}, "do not add up"),
        ({"size": [10**6, 10**6], "counts": [10**12]}, "says the size [1000000, 1000000]"),
        ({"size": [20, 10], "counts": [200]}, "says the size [20, 10]"),
        ({"counts": [200]}, "says the size None"),
        ({"size": [10, 20]}, "do not add up"),
        ({"size": [10, 20], "counts": [1.5]}, "broken run lengths"),
        ({"size": [10, 20], "counts": "zz%%"}, "broken run lengths"),
        ({"size": [10, 20], "counts": "P" * 40}, "broken run lengths"),
        ({"size": [10, 20], "counts": "\u00fc"}, "broken run lengths"),
    ],
)
def test_broken_masks_say_why(mask: dict[str, Any], wanted: str) -> None:
    with pytest.raises(CutoutError, match=re.escape(wanted)):
        mask_of_runs(mask, 10, 20)


def test_a_category_without_a_name_and_a_box_of_words_cost_their_object_alone(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools.mask")
    square = [[50, 40, 140, 40, 140, 120, 50, 120]]
    further = [[40, 30, 130, 30, 130, 120, 40, 120]]
    path = coco(tmp_path, {"kite": square, "frisbee": further, "none": square})
    content = json.loads(path.read_text())
    content["categories"][2]["name"] = None
    content["annotations"][0] |= {"area": None, "bbox": ["a", "b", "c", "d"]}
    path.write_text(json.dumps(content))
    assert [one.name for one in make_cast(coco_candidates(path, tmp_path), tmp_path / "cast").objects] == [
        "kite",
        "frisbee",
    ]


def test_without_pycocotools_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    path = coco(tmp_path, {"kite": [[50, 40, 140, 40, 140, 120]]})
    with pytest.raises(VtbenchError, match=r"pip install .*\[coco\]'"):
        make_cast(coco_candidates(path, tmp_path), tmp_path / "cast")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["gone"], "gone: no such file or directory"),
        (["{folder}", "--format", "voc"], "--format voc: there are coco, png, stamps"),
        (["{folder}", "--groups", "food", "--leave-out", "lemon"], "a cast needs two objects, and 1 suit"),
        (["{folder}", "--groups", "foods"], "--groups foods: there are animals, food"),
        (["{folder}/food", "--leave-out", "lemon"], "and 1 suit (lemon: left out by name"),
        (["{folder}", "--output", "{folder}"], "there is something already; choose another --output"),
        (["{folder}/bad.json"], "bad.json: is no file in the format of COCO (KeyError: 'images')"),
        (["{folder}/food/Cherry.png", "--format", "png"], "Cherry.png: is a file"),
        (["{folder}/empty"], "empty: no PNG files in it"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], wanted: str, folder: Path, tmp_path: Path) -> None:
    (folder / "bad.json").write_text("{}")
    (folder / "empty").mkdir()
    given = [argument.format(folder=folder) for argument in arguments]
    output = [] if "--output" in given else ["--output", str(tmp_path / "cast")]
    result = CliRunner().invoke(cutouts, [*given, *output])
    assert isinstance(result.exception, VtbenchError)
    assert wanted in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "cast").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_name_that_is_not_there_is_not_left_out_silently(folder: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        cutouts, [str(folder), "--output", str(tmp_path / "cast"), "--leave-out", "lemmon,cherry"]
    )
    assert "--leave-out names what is not there: lemmon" in result.output


def test_the_command_says_what_it_did(folder: Path, tmp_path: Path) -> None:
    options = ["--output", str(tmp_path / "cast"), "--limit", "2", "--json"]
    result = CliRunner().invoke(cutouts, [str(folder), *options])
    document = json.loads(result.output)
    assert [one["name"] for one in document["objects"]] == ["cherry", "lemon"]
    assert document["dropped"] == {"two objects have this name": 1, "the cast has as many objects as --limit allows": 1}
