"""The kinds of question about a scene, and their true answers. The task file has their texts.

A question's `slots` fill the placeholders of its template: `{shape}`, `{a}`, `{b}`. Answers are single words, or for
`graph` one line: objects from top to bottom, then their relations, e.g.
`1 large red striped circle ; 2 small blue solid square | 1 left 2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from vtbench.scenes.relations import AXES, direction
from vtbench.scenes.scene import Scene, SceneObject
from vtbench.scenes.scene_settings import RelationSettings, SceneSettings
from vtbench.types import AnswerType

YES_NO = ("yes", "no")
MOST_CHOICES = 12
"""Of a question about the kind of object."""
SLOTS: dict[str, tuple[str, ...]] = {
    "shape": (),
    "colour": ("shape",),
    "texture": ("shape",),
    "background": (),
    "left": ("a", "b"),
    "right": ("a", "b"),
    "above": ("a", "b"),
    "below": ("a", "b"),
    "front": ("a", "b"),
    "behind": ("a", "b"),
    "where": ("a", "b"),
    "offset_x": ("a", "b"),
    "offset_y": ("a", "b"),
    "graph": (),
}
"""Every kind of question, with the placeholders that its templates must contain."""


@dataclass(frozen=True, slots=True)
class Question:
    """A kind of question with its referents and its true answer, without its text."""

    kind: str
    target: str
    choices: tuple[str, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)
    answer_type: AnswerType | None = None
    """As in `Sample`: None is `choice` with choices, else `text`."""


def name(obj: SceneObject) -> str:
    """Return the referring expression of an object: `red circle`."""
    return f"{obj.colour} {obj.shape}"


def asked_about(question: Question, scene: Scene) -> SceneObject | None:
    """Return the object that a question is about: the first that it names, or the only one; None if there is none."""
    named = question.slots.get("a") or question.slots.get("shape")
    found = [obj for obj in scene.objects if named is None or named in (name(obj), obj.shape)]
    alone = question.kind == "shape" or named is not None
    return found[0] if alone and len(found) == 1 else None


def ask_shape(obj: SceneObject, settings: SceneSettings) -> Question:
    """Which kind of object is it? The choices are all shapes; of a large cast, a part of it that is always the same.

    Fixed parts keep the answers flat given the choices, so that chance and the most frequent answer mean something.
    """
    parts = -(-len(settings.shapes) // MOST_CHOICES)
    return Question("shape", obj.shape, settings.shapes[settings.shapes.index(obj.shape) % parts :: parts])


def ask_colour(obj: SceneObject, settings: SceneSettings) -> Question:
    """Which colour has the {shape}? The shape must be the only one of its kind."""
    return Question("colour", obj.colour, tuple(settings.colours), {"shape": obj.shape})


def ask_texture(obj: SceneObject, settings: SceneSettings) -> Question:
    """Which texture has the {shape}? The shape must be the only one of its kind."""
    return Question("texture", obj.texture, settings.textures, {"shape": obj.shape})


def ask_background(scene: Scene, settings: SceneSettings) -> Question:
    """Which colour has the background, or what does its photograph show?"""
    return Question("background", scene.background.colour, settings.background_words)


def ask_holds(a: SceneObject, b: SceneObject, word: str, holds: bool) -> Question:
    """Is a {left of, above, in front of, ...} b?"""
    return Question(word, "yes" if holds else "no", YES_NO, {"a": name(a), "b": name(b)})


def ask_where(a: SceneObject, b: SceneObject, word: str) -> Question:
    """Where is a, seen from b?"""
    return Question("where", word, AXES, {"a": name(a), "b": name(b)})


def ask_offset(a: SceneObject, b: SceneObject, axis: str, positive: bool) -> Question:
    """On which side of b is a, along one axis, however little?"""
    choices = ("left", "right") if axis == "x" else ("above", "below")
    return Question(f"offset_{axis}", choices[positive], choices, {"a": name(a), "b": name(b)})


@dataclass(frozen=True, slots=True)
class Graph:
    """A scene graph as text in the answer grammar, objects numbered from 1."""

    text: str
    indeterminate: tuple[tuple[int, int], ...]
    """Pairs of numbers with no true spatial word: an answer about them counts as neither right nor wrong."""


def describe(scene: Scene, rules: RelationSettings) -> Graph:
    """Return the scene graph of a scene."""
    ordered = sorted(scene.objects, key=lambda t: (t.cy, t.cx, t.id))
    objects = " ; ".join(f"{i} {t.size} {t.colour} {t.texture} {t.shape}" for i, t in enumerate(ordered, 1))
    relations, indeterminate = [], []
    for (i, a), (j, b) in combinations(enumerate(ordered, 1), 2):
        word = direction(a, b, rules)
        if word:
            relations.append(f"{i} {word} {j}")
        else:
            indeterminate.append((i, j))
    text = f"{objects} | {' ; '.join(relations)}" if relations else objects
    return Graph(text, tuple(indeterminate))
