"""What can be asked about a scene, and the true answer: facts in, `Question` out. Wording is the task file's.

A question's `slots` fill the placeholders of its template: `{shape}`, `{a}`, `{b}`. Answers are single words, or for
`graph` one line: objects from top to bottom, then their relations, e.g.
`1 large red striped circle ; 2 small blue solid square | 1 left 2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from vtbench.scenes.scene import Scene, Thing
from vtbench.scenes.spec import RelationSpec, SceneSpec
from vtbench.scenes.truth import AXES, direction

YES_NO = ("yes", "no")
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
    """A kind of question with its referents and its true answer, not yet worded."""

    kind: str
    target: str
    choices: tuple[str, ...] = ()
    slots: Mapping[str, str] = field(default_factory=dict)


def name(thing: Thing) -> str:
    """Return the words that single a thing out: `red circle`."""
    return f"{thing.colour} {thing.shape}"


def ask_shape(thing: Thing, spec: SceneSpec) -> Question:
    """Which kind of object is it?"""
    return Question("shape", thing.shape, spec.shapes)


def ask_colour(thing: Thing, spec: SceneSpec) -> Question:
    """Which colour has the {shape}? The shape must be the only one of its kind."""
    return Question("colour", thing.colour, tuple(spec.colours), {"shape": thing.shape})


def ask_texture(thing: Thing, spec: SceneSpec) -> Question:
    """Which texture has the {shape}? The shape must be the only one of its kind."""
    return Question("texture", thing.texture, spec.textures, {"shape": thing.shape})


def ask_background(scene: Scene, spec: SceneSpec) -> Question:
    """Which colour has the background?"""
    return Question("background", scene.background.colour, tuple(spec.colours))


def ask_holds(a: Thing, b: Thing, word: str, holds: bool) -> Question:
    """Is a {left of, above, in front of, ...} b?"""
    return Question(word, "yes" if holds else "no", YES_NO, {"a": name(a), "b": name(b)})


def ask_where(a: Thing, b: Thing, word: str) -> Question:
    """Where is a, seen from b?"""
    return Question("where", word, AXES, {"a": name(a), "b": name(b)})


def ask_offset(a: Thing, b: Thing, axis: str, positive: bool) -> Question:
    """On which side of b is a, along one axis, however little?"""
    choices = ("left", "right") if axis == "x" else ("above", "below")
    return Question(f"offset_{axis}", choices[positive], choices, {"a": name(a), "b": name(b)})


@dataclass(frozen=True, slots=True)
class Graph:
    """A scene in the words of the answer grammar, objects numbered from 1."""

    text: str
    indeterminate: tuple[tuple[int, int], ...]
    """Pairs of numbers with no true spatial word: what a reader says of them is neither right nor wrong."""


def describe(scene: Scene, rules: RelationSpec) -> Graph:
    """Return the scene graph of a scene."""
    ordered = sorted(scene.things, key=lambda t: (t.cy, t.cx, t.id))
    objects = " ; ".join(f"{i} {t.size} {t.colour} {t.texture} {t.shape}" for i, t in enumerate(ordered, 1))
    relations, open_pairs = [], []
    for (i, a), (j, b) in combinations(enumerate(ordered, 1), 2):
        word = direction(a, b, rules)
        if word:
            relations.append(f"{i} {word} {j}")
        else:
            open_pairs.append((i, j))
    text = f"{objects} | {' ; '.join(relations)}" if relations else objects
    return Graph(text, tuple(open_pairs))
