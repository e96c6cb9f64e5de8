"""Scenes of cut-outs on photographs: functions of the cast, re-tinted, with the silhouettes that are drawn."""

from __future__ import annotations

import json
import pickle
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from natural_fakes import disc, write_cast, write_photographs, write_task
from PIL import Image

from vtbench.errors import TaskError
from vtbench.scenes import cast
from vtbench.scenes.render import id_mask, render, silhouette
from vtbench.scenes.scene import CANVAS, Background, Scene, SceneObject
from vtbench.scenes.scene_settings import COLOURS, SHAPES, SceneSettings, colour_difference
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import builtin_source, load_task

GREY = Background("grey", (128, 128, 128))
SHIPPED = SceneSettings(cast=str(find_task_files()["natural_coarse"].parent / "natural/cast"))


def thing(name: str, colour: str = "red", settings: SceneSettings = SHIPPED, **changes: int) -> SceneObject:
    half = CANVAS // 2
    obj = SceneObject(
        0, name, colour, "solid", "large", COLOURS[colour], round(0.4 * CANVAS), half, half, 0, 0, settings.cutout(name)
    )
    return replace(obj, **changes)


def coverage(obj: SceneObject, size: int) -> np.ndarray:
    """Return how far each pixel's colour is from the background, relative to the farthest."""
    found = np.abs(np.asarray(render(Scene(GREY, (obj,)), size), dtype=float) - 128).sum(axis=2)
    return found / found.max()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_cast(tmp_path / "cast")
    write_photographs(tmp_path / "photographs")
    return tmp_path


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("name", ["apple", "bottle", "hat", "snail"])
def test_a_cut_out_has_the_colour_that_its_word_says(name: str, colour: str) -> None:
    obj = thing(name, colour)
    pixels = np.asarray(render(Scene(GREY, (obj,)), 112))[id_mask(Scene(GREY, (obj,)), 112) == 0]
    mean = tuple(int(value) for value in np.median(pixels, axis=0))
    assert min(COLOURS, key=lambda word: colour_difference(COLOURS[word], mean)) == colour  # type: ignore[arg-type]


def test_re_tinting_keeps_light_and_shade() -> None:
    drawn = {colour: np.asarray(render(Scene(GREY, (thing("apple", colour),)), 112).convert("L")) for colour in COLOURS}
    inside = id_mask(Scene(GREY, (thing("apple"),)), 112) == 0
    for colour in ("green", "blue", "purple", "orange"):
        assert np.corrcoef(drawn["red"][inside], drawn[colour][inside])[0, 1] > 0.9


@pytest.mark.parametrize("turn", [-12, 0, 7])
@pytest.mark.parametrize("name", ["fish", "mug", "cactus"])
def test_what_is_drawn_is_the_silhouette(name: str, turn: int) -> None:
    obj = thing(name, "black", rotation=turn, cx=CANVAS // 3 + 77)
    drawn, mask = coverage(obj, 224) > 0.3, id_mask(Scene(GREY, (obj,)), 224) == 0
    assert (drawn & mask).sum() / (drawn | mask).sum() > 0.9
    rows, columns = np.nonzero(mask)
    distance = np.hypot(columns + 0.5 - obj.cx / 256, rows + 0.5 - obj.cy / 256)
    assert distance.max() <= obj.diameter / 512 + 0.01


def test_a_hole_shows_what_is_behind(folder: Path) -> None:
    obj = thing("plate", settings=SceneSettings(cast=str(folder / "cast")))
    middle = np.asarray(render(Scene(GREY, (obj,)), 112))[56, 56]
    assert middle.tolist() == [128, 128, 128]
    assert id_mask(Scene(GREY, (obj,)), 112)[56, 56] == -1
    box, mask = silhouette(obj, 112).box, silhouette(obj, 112).mask
    assert mask.shape == (box[3] - box[1], box[2] - box[0])


def test_a_move_by_less_than_a_pixel_is_drawn() -> None:
    centres = []
    for shift in (0, 64, 128):
        cover = coverage(thing("apple", "black", cx=CANVAS // 2 + shift), 224).clip(0, 1)
        centres.append((cover.sum(0) * np.arange(224)).sum() / cover.sum())
    assert np.diff(centres) == pytest.approx([0.25, 0.25], abs=0.03)


def test_items_are_functions_of_the_casts_content_and_not_of_its_place(folder: Path, tmp_path: Path) -> None:
    task = load_task(write_task(folder / "mine.yaml"))
    shutil.copytree(folder, tmp_path / "elsewhere")
    moved = load_task(tmp_path / "elsewhere/mine.yaml")
    assert moved.config() == task.config()
    assert "path" not in str(task.config()["scene"]["cast"])
    for i in range(4):
        one, other = task.sample(i, 48), moved.sample(i, 48)
        assert (one.scene_hash, one.prompt, one.images[0].tobytes()) == (
            other.scene_hash, other.prompt, other.images[0].tobytes(),
        )  # fmt: skip
        assert pickle.loads(pickle.dumps(one.scene)) == other.scene
    disc((10, 200, 10)).save(folder / "cast/owl.png")
    changed = load_task(folder / "mine.yaml")
    assert changed.config()["scene"]["cast"] != task.config()["scene"]["cast"]


def test_another_photograph_is_another_task(folder: Path) -> None:
    before = load_task(write_task(folder / "mine.yaml")).config()
    shutil.copy(folder / "photographs/sand_1.png", folder / "photographs/grass_1.png")
    after = load_task(folder / "mine.yaml").config()
    assert before["scene"]["cast"] == after["scene"]["cast"]
    assert before["scene"]["backgrounds"] != after["scene"]["backgrounds"]


def test_tasks_of_shapes_are_as_they_were() -> None:
    scene = load_task(find_task_files()["coarse"]).config()["scene"]
    assert not {"cast", "backgrounds"} & set(scene)
    assert tuple(scene["shapes"]) == SHAPES
    assert set(builtin_source("coarse").item(0).scene.canonical()["things"][0]) == {
        "id", "shape", "colour", "texture", "size", "rgb", "diameter", "cx", "cy", "rotation", "z",
    }  # fmt: skip


def test_minimal_pairs_swap_cut_outs_and_keep_the_photograph(folder: Path) -> None:
    task = load_task(write_task(folder / "mine.yaml", kinds={"left": 1}))
    for i in range(0, 8, 2):
        first, second = task.sample(i, 48), task.sample(i + 1, 48)
        assert first.prompt == second.prompt
        assert {first.target, second.target} == {"yes", "no"}
        assert first.scene.background == second.scene.background
        assert first.scene.background.photograph is not None


def test_no_object_has_the_colour_of_the_ground_on_which_it_lies() -> None:
    task = load_task(find_task_files()["natural_attribute"])
    for i in range(60):
        scene = task.source.item(i).scene  # type: ignore[attr-defined]
        for obj in scene.objects:
            assert colour_difference(COLOURS[obj.colour], scene.background.rgb) >= 30


def test_an_object_is_asked_about_in_all_colours() -> None:
    source = load_task(find_task_files()["natural_attribute"]).source  # type: ignore[attr-defined]
    items = [source.item(i) for i in range(640)]
    asked = [item.question for item in items if item.question.kind == "colour"]
    assert set(Counter(question.target for question in asked).values()) == {60}
    of_one = Counter(question.target for question in asked if question.slots["shape"] == "apple")
    assert len(of_one) == 7, "one colour of each object is kept for the split `comp`"


def test_a_large_cast_is_asked_about_in_fixed_parts_with_flat_answers(folder: Path) -> None:
    entries = []
    for number in range(20):
        name = "thing" + "abcdefghijklmnopqrst"[number]
        disc((200, 10 * number, 90)).save(folder / f"cast/{name}.png")
        entries.append({"name": name, "file": f"{name}.png", "box": [4, 4, 76, 76], "colour": [200, 10 * number, 90]})
    (folder / "cast/cast.json").write_text(json.dumps({"objects": entries}))
    source = load_task(write_task(folder / "mine.yaml", include="coarse")).source  # type: ignore[attr-defined]
    questions = [source.item(i).question for i in range(60)]
    assert Counter(question.choices for question in questions) == {
        question.choices: 30 for question in questions if len(set(question.choices)) == 10
    }
    assert set(Counter(question.choices.index(question.target) for question in questions).values()) == {6}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"owl": {"name": "lemon"}}, "'lemon': two objects have this name"),
        ({"owl": {"name": "red owl"}}, "its word 'red' is one of the benchmark's answers"),
        ({"owl": {"name": "snowy lemon"}}, "a question about 'lemon' would fit it too"),
        ({"owl": {"name": "Owl!"}}, "words in lower case"),
        ({"owl": {"file": "gone.png"}}, "gone.png: the image of 'owl' cannot be read (No such file"),
        ({"owl": {"file": "../owl.png"}}, "'../owl.png' is not beside it"),
        ({"owl": {"file": "cast.json"}}, "the image of 'owl' cannot be read (no image file)"),
        ({"owl": {"box": [4, 4, 300, 76]}}, "the box [4, 4, 300, 76] of 'owl' is not inside its 80 x 80 pixels"),
        ({"owl": {"box": [0, 0, 4, 20]}}, "nothing of 'owl' is opaque: its mask is empty"),
        ({"owl": {"box": [40, 40, 55, 50]}}, "owl.png: the box [40, 40, 55, 50] of 'owl' is below 16 pixels a side"),
        ({"owl": {"file": "lemon.png"}}, "'owl' has the same image as 'lemon'"),
        ({"owl": {"file": "o\0l.png"}}, "is not beside it"),
        ({"owl": {"colour": [0, 0, 256]}}, "objects.1.colour.2: Input should be less than or equal to 255"),
        ({"owl": {"weight": 3}}, "objects.1.weight: Extra inputs are not permitted"),
    ],
)
def test_a_bad_cast_is_one_line(changes: dict[str, dict[str, object]], wanted: str, folder: Path) -> None:
    write_cast(folder / "cast", **changes)
    with pytest.raises(TaskError) as caught:
        load_task(write_task(folder / "mine.yaml"))
    message = str(caught.value)
    assert wanted in message
    assert "\n" not in message
    assert "scene.cast: " in message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, "cast.json: cannot be read (No such file or directory)"),
        ("{", "cast.json: Invalid JSON"),
        ("[]", "cast.json: Input should be an object"),
        ('{"objects": []}', "cast.json: objects: Tuple should have at least 2 items"),
    ],
)
def test_a_broken_list_of_objects_is_one_line(text: str | None, wanted: str, folder: Path) -> None:
    path = folder / "cast/cast.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(TaskError) as caught:
        load_task(write_task(folder / "mine.yaml"))
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"scene": {"cast": 3}}, "scene.cast: must be the path of a directory"),
        ({"scene": {"shapes": ["lemon", "olw"]}}, "there is no object of the cast 'olw'. Did you mean 'owl'"),
        ({"scene": {"backgrounds": "gone"}}, "gone: no such directory of photographs"),
        ({"scene": {"backgrounds": "."}}, "mine.yaml"),
        ({"scene": {"sizes": {"owl": 0.2, "large": 0.4}}}, "'owl' has the word 'owl', which is an answer"),
        ({"scene": {"min_objects": 6, "max_objects": 6, "sizes": {"huge": 0.59}}}, "no scene fits these settings"),
    ],
)
def test_settings_that_do_not_suit_a_cast_are_one_line(keys: dict[str, object], wanted: str, folder: Path) -> None:
    if wanted == "mine.yaml":
        (folder / "123.png").write_bytes(b"no image")
        wanted = "123.png: its name does not say what it shows"
    with pytest.raises(TaskError) as caught:
        load_task(write_task(folder / "mine.yaml", **keys)).sample(0, 32)
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_object_larger_than_any_scene_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cast, "MOST_PIXELS", 79 * 80)
    with pytest.raises(TaskError, match=r"lemon\.png: 80 x 80 pixels are larger than any scene; 6320 are the most"):
        load_task(write_task(folder / "mine.yaml"))


def test_a_single_kind_of_background_is_not_asked_about(folder: Path) -> None:
    write_photographs(folder / "lawn", ("grass",))
    keys = {"scene": {"backgrounds": "lawn"}, "kinds": {"background": 1}}
    with pytest.raises(TaskError, match="every photograph shows grass, so there is nothing to ask"):
        load_task(write_task(folder / "mine.yaml", include="attribute", **keys))


def test_photographs_of_all_colours_leave_none_to_an_object(folder: Path) -> None:
    for number, rgb in enumerate(COLOURS.values(), 5):
        Image.new("RGB", (70, 70), rgb).save(folder / "photographs" / f"grass_{number}.png")
    with pytest.raises(TaskError, match="on the photographs of grass no two colours stand out"):
        load_task(write_task(folder / "mine.yaml"))


def test_a_colour_that_stands_out_nowhere_is_not_asked_about(folder: Path) -> None:
    for path in (folder / "photographs").glob("*.png"):
        Image.new("RGB", (70, 70), COLOURS["green"]).save(path)
    load_task(write_task(folder / "mine.yaml"))
    with pytest.raises(TaskError, match="green stands out on no kind of photograph"):
        load_task(write_task(folder / "mine.yaml", "natural_attribute", kinds={"colour": 1}))


def test_a_mix_hands_its_cast_to_its_tasks(folder: Path) -> None:
    task = {"task": "mixed", "mix": ["coarse", "relational"], "items": 8, "scene": {"cast": "cast"}}
    (folder / "mixed.yaml").write_text(json.dumps(task))
    mixed = load_task(folder / "mixed.yaml")
    names = {obj.shape for i in range(8) for obj in mixed.sample(i, 32).scene.objects}
    assert names <= {"lemon", "owl", "kettle", "plate"}
