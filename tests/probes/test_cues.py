"""What is asked of a scene: true, of an object that is singled out, and not given away by the hint."""

from __future__ import annotations

from collections import Counter

import pytest

from vtbench.scenes.scene import CANVAS, Background, Scene, SceneObject
from vtbench.task.catalog import find_task_files
from vtbench.task.loading import load_task
from vtbench_probes.cues import CUES, GRID, cell_of, cue_labels

CELL = CANVAS // GRID
TASKS = ("coarse", "attribute", "relational", "scene_graph", "precise_offset", "occlusion")


def thing(number: int, shape: str, colour: str, cx: float, cy: float, z: int = 0, diameter: float = 0.2) -> SceneObject:
    """An object with its centre at (cx, cy), as fractions of the image."""
    place = (round(cx * CANVAS), round(cy * CANVAS))
    return SceneObject(number, shape, colour, "solid", "small", (0, 0, 0), round(diameter * CANVAS), *place, 0, z)


def scene(*things: SceneObject) -> Scene:
    return Scene(Background("red", (255, 0, 0)), things)


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    tasks = {name: load_task(find_task_files()[name]) for name in TASKS}
    return {name: [task.sample(i, 8).scene for i in range(300)] for name, task in tasks.items()}


def test_one_object_is_asked_everything_but_its_order() -> None:
    asked = cue_labels(scene(thing(0, "star", "blue", 0.3, 0.3)))
    hint = str(2 * GRID + 2)
    assert {cue: (one.hint, one.label) for cue, one in asked.items()} == {
        "shape": (hint, "star"),
        "colour": (hint, "blue"),
        "texture": (hint, "solid"),
        "size": (hint, "small"),
        "count": ("", "1"),
        "position": ("star", "upper left"),
        "fine_offset": (hint, "upper left"),
        "binding": ("star", "blue"),
        "background": ("", "red"),
    }


def test_no_object_is_told_by_a_shape_or_a_place_that_two_have() -> None:
    stars = scene(thing(0, "star", "blue", 0.3, 0.3), thing(1, "star", "green", 0.7, 0.7))
    assert not {"position", "binding"} & cue_labels(stars).keys()
    near = scene(thing(0, "star", "blue", 0.26, 0.26), thing(1, "ring", "green", 0.36, 0.36, z=1))
    assert {"position", "binding", "count", "background"} == cue_labels(near).keys()


def test_order_is_asked_of_objects_that_overlap_one_other() -> None:
    pair = [thing(0, "square", "blue", 0.3, 0.3), thing(1, "square", "green", 0.42, 0.3, z=1)]
    hint = {str(cell_of(pair[0])): "behind", str(cell_of(pair[1])): "front"}
    asked = cue_labels(scene(*pair))["occlusion"]
    assert hint[asked.hint] == asked.label
    assert "occlusion" not in cue_labels(scene(pair[0], thing(1, "square", "green", 0.8, 0.3)))
    middle = thing(2, "square", "cyan", 0.54, 0.3, z=2)
    assert cue_labels(scene(*pair, middle))["occlusion"].hint != str(cell_of(pair[1]))


@pytest.mark.parametrize("task", TASKS)
def test_labels_are_true_of_the_object_that_is_told(task: str, scenes: dict[str, list[Scene]]) -> None:
    for one in scenes[task]:
        for cue, asked in cue_labels(one).items():
            if CUES[cue].hint == "nothing":
                continue
            name = {"place": lambda t: str(cell_of(t)), "shape": lambda t: t.shape}[CUES[cue].hint]
            (meant,) = [t for t in one.objects if name(t) == asked.hint]
            if cue in ("shape", "colour", "texture", "size"):
                assert asked.label == getattr(meant, cue)
            elif cue == "binding":
                assert asked.label == meant.colour
            elif cue in ("position", "fine_offset"):
                whole = CANVAS if cue == "position" else CELL
                down, right = meant.cy % whole >= whole // 2, meant.cx % whole >= whole // 2
                assert asked.label == f"{'lower' if down else 'upper'} {'right' if right else 'left'}"


def test_labels_are_flat_enough_and_the_told_place_is_no_hint(scenes: dict[str, list[Scene]]) -> None:
    for task in ("attribute", "scene_graph"):
        asked = [cue_labels(one) for one in scenes[task]]
        for cue in CUES:
            counts = Counter(one[cue].label for one in asked if cue in one)
            assert not counts or max(counts.values()) <= 2.6 * min(counts.values()), (task, cue)
            assert sum(counts.values()) > 200 or cue == "occlusion", (task, cue)
    for one in (one for some in scenes.values() for one in some):
        for cue, reach in (("size", 0.17), ("fine_offset", 0.25)):
            if asked_cue := cue_labels(one).get(cue):
                (meant,) = [t for t in one.objects if str(cell_of(t)) == asked_cue.hint]
                assert all(reach * CANVAS <= c <= (1 - reach) * CANVAS for c in (meant.cx, meant.cy))
