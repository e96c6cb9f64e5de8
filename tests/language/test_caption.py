"""A caption holds all that the built-in families ask: it is read back by patterns alone, and the questions solved."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from vtbench.scenes.scene import CANVAS, Background, Scene, SceneObject
from vtbench.scoring.graph import parse_graph
from vtbench.task.loading import builtin_source
from vtbench_controls.question_solver import solve
from vtbench_language.caption import caption

FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
ITEMS = 500
OBJECT = re.compile(
    r"In the ([a-z ]+) there is an? (small|large) (\w+) (\w+) (\w+), its centre ([\d.]+)% from the left and"
    r" ([\d.]+)% from the top\."
)
COVERS = re.compile(r"The (\w+) (\w+) is in front of the (\w+) (\w+) and covers part of it\.")


def read(text: str) -> Scene:
    """Return the scene that a caption tells; each object's depth comes from the sentences on what covers what."""
    count, ground = re.findall(r"^The image shows (\w+) objects? on a plain (\w+) background\.", text)[0]
    found = OBJECT.findall(text)
    assert len(found) == ["no", "one", "two", "three", "four", "five", "six"].index(count)
    in_front = {((a, b), (c, d)) for a, b, c, d in COVERS.findall(text)}
    objects = []
    for number, (_, size, colour, texture, shape, x, y) in enumerate(found):
        depth = sum((colour, shape) == front for front, _ in in_front)
        place = (round(float(x) / 100 * CANVAS), round(float(y) / 100 * CANVAS))
        objects.append(SceneObject(number, shape, colour, texture, size, (0, 0, 0), 1, *place, 0, depth))
    rest = OBJECT.sub("", COVERS.sub("", text))
    assert re.fullmatch(r"The image shows [\w ]+\.\s*", rest), rest
    return Scene(Background(ground, (0, 0, 0)), tuple(objects))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_caption_suffices_to_answer(family: str) -> None:
    for item in map(builtin_source(family).item, range(ITEMS)):
        told = read(caption(item.scene))
        answer = solve(item.prompt, told)
        if item.question.answer_type == "graph":
            assert answer is not None
            assert graph_facts(answer) >= graph_facts(item.question.target)
        else:
            assert answer == item.question.target, (item.prompt, caption(item.scene))


def graph_facts(text: str) -> set[str]:
    """Return what a scene graph says, with each object's words in the place of its number."""
    objects, _, relations = text.partition(" | ")
    words = dict(thing.split(" ", 1) for thing in objects.split(" ; "))
    told = [relation.split(" ") for relation in relations.split(" ; ") if relation]
    return {*words.values(), *(f"{words[a]} {word} {words[b]}" for a, word, b in told)}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_caption_is_no_answer(family: str) -> None:
    """No sentence is a scene graph, and none has one of its relations."""
    for item in map(builtin_source(family).item, range(50)):
        text = caption(item.scene)
        assert not re.search(r"[|;]|\d (left|right|above|below) \d|\b(yes|no)\b", text)
        assert not parse_graph(text).well_formed


def thing(number: int, colour: str, shape: str, cx: float, cy: float, diameter: float = 0.1, z: int = 0) -> SceneObject:
    place = (round(cx * CANVAS), round(cy * CANVAS))
    return SceneObject(number, shape, colour, "solid", "large", (9, 9, 9), round(diameter * CANVAS), *place, 0, z)


def test_the_words_of_a_caption() -> None:
    scene = Scene(
        Background("orange", (244, 132, 20), "waves", 1),
        (
            thing(0, "red", "circle", 0.5, 0.7, 0.3, z=1),
            thing(1, "blue", "square", 0.125, 0.1),
            thing(2, "cyan", "ring", 0.55, 0.75, 0.3),
        ),
    )
    assert caption(scene) == (
        "The image shows three objects on an orange background with waves."
        " In the upper left there is a large blue solid square, its centre 12.5% from the left and 10% from the top."
        " In the lower centre there is a large red solid circle, its centre 50% from the left and 70% from the top."
        " In the lower centre there is a large cyan solid ring, its centre 55% from the left and 75% from the top."
        " The red circle is in front of the cyan ring and covers part of it."
    )


@pytest.mark.parametrize(
    ("kind", "words"),
    [("plain", "a plain blue background"), ("gradient", "a blue background with a gradient"), ("cells", "with cells")],
)
def test_the_background_in_words(kind: str, words: str) -> None:
    scene = Scene(Background("blue", (0, 0, 255), kind, 1), (thing(0, "red", "circle", 0.5, 0.5),))
    assert f"{words}. In the middle" in caption(scene)


def test_two_objects_that_would_be_called_alike_are_told_apart() -> None:
    one, other = thing(0, "red", "circle", 0.5, 0.5, 0.3, z=1), thing(1, "red", "circle", 0.55, 0.6, 0.3)
    text = caption(Scene(Background("blue", (0, 0, 255)), (one, other)))
    assert text.endswith("The first object is in front of the second object and covers part of it.")


def test_objects_come_in_reading_order() -> None:
    for item in map(builtin_source("scene_graph").item, range(100)):
        places = [(float(y), float(x)) for *_, x, y in OBJECT.findall(caption(item.scene))]
        assert all(above[0] <= below[0] for above, below in pairwise(places))


def test_the_smallest_offset_that_is_asked_can_be_read() -> None:
    """`precise_offset` goes down to half a percent of the canvas."""
    source = builtin_source("precise_offset")
    for item in map(source.item, range(200)):
        assert solve(item.prompt, read(caption(item.scene))) == item.question.target


def test_a_caption_does_not_depend_on_the_order_of_drawing() -> None:
    scene = builtin_source("scene_graph").item(3).scene
    assert caption(replace(scene, objects=scene.objects[::-1])) == caption(scene)
