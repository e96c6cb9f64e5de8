"""Answers to questions about a scene, from its geometry and the question's words.

The solver is independent of the code that generates the questions: it parses the words of a question, and derives
relations from the objects' centres and drawing order. It returns None if the scene does not determine the answer, for
example because an object that the question names is not in the scene.
"""

from __future__ import annotations

import re

from vtbench.scenes.scene import Scene, SceneObject

PAIR_QUESTIONS: tuple[tuple[str, str], ...] = (
    (r"left\b.*\bright|right\b.*\bleft", "x"),
    (r"(?:above|higher)\b.*\b(?:below|lower)|(?:below|lower)\b.*\b(?:above|higher)", "y"),
    (r"where|which side", "where"),
    (r"in front|covers?\b|nearer", "front"),
    (r"behind|farther|further back", "behind"),
    (r"left", "left"),
    (r"right", "right"),
    (r"above|higher", "above"),
    (r"below|lower", "below"),
)
OBJECT_QUESTIONS: tuple[tuple[str, str], ...] = (
    (r"describe|scene graph|list the objects", "graph"),
    (r"background", "background"),
    (r"texture|pattern", "texture"),
    (r"colou?r", "colour"),
    (r"shape|kind of object", "shape"),
)


def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((what for pattern, what in patterns if re.search(rf"\b(?:{pattern})", text)), None)


def _find_words(text: str, words: str) -> int:
    """Return the position of `words` in the text, or -1."""
    match = re.search(rf"\b{re.escape(words.lower())}\b", text)
    return match.start() if match else -1


def named_pair(text: str, scene: Scene) -> tuple[SceneObject, SceneObject] | None:
    """Return the two objects that a question relates, the one it asks about first; None if it does not relate two."""
    found = sorted(
        (at, thing.id) for thing in scene.objects if (at := _find_words(text, f"{thing.colour} {thing.shape}")) >= 0
    )
    if len(found) != 2:
        return None
    things = {thing.id: thing for thing in scene.objects}
    first, second = (things[number] for _, number in found)
    return (second, first) if re.search(r"side of the", text) else (first, second)


def direction(a: SceneObject, b: SceneObject) -> str:
    """Return the side of b on which the centre of a lies, along the axis of their larger distance."""
    dx, dy = a.cx - b.cx, a.cy - b.cy
    if abs(dx) >= abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def _related(what: str, a: SceneObject, b: SceneObject) -> str:
    if what == "where":
        return direction(a, b)
    if what == "x":
        return "left" if a.cx < b.cx else "right"
    if what == "y":
        return "above" if a.cy < b.cy else "below"
    holds = {
        "front": a.z > b.z,
        "behind": a.z < b.z,
        "left": a.cx < b.cx,
        "right": a.cx > b.cx,
        "above": a.cy < b.cy,
        "below": a.cy > b.cy,
    }[what]
    return "yes" if holds else "no"


def scene_graph(scene: Scene, positions: bool = True) -> str:
    """Return the scene graph as one line: all objects, and with `positions` the direction of every pair."""
    things = sorted(scene.objects, key=lambda t: (t.cy, t.cx) if positions else (t.shape, t.colour, t.id))
    objects = [f"{i} {t.size} {t.colour} {t.texture} {t.shape}" for i, t in enumerate(things, 1)]
    relations = [
        f"{i + 1} {direction(things[i], things[j])} {j + 1}" for j in range(len(things)) for i in range(j) if positions
    ]
    return " ; ".join(objects) + (" | " + " ; ".join(relations) if relations else "")


def solve(prompt: str, scene: Scene, positions: bool = True) -> str | None:
    """Answer a question about a scene.

    Args:
        prompt: the question.
        scene: what it is about.
        positions: use the objects' positions and drawing order; without, only their appearance is known.

    Returns:
        The answer, or None if the scene does not determine it.
    """
    text = prompt.lower()
    pair = named_pair(text, scene)
    if pair:
        what = _first(PAIR_QUESTIONS, text)
        return _related(what, *pair) if what and positions else None
    what = _first(OBJECT_QUESTIONS, text)
    if what == "graph":
        return scene_graph(scene, positions)
    if what == "background":
        return scene.background.colour
    if what == "shape":
        return scene.objects[0].shape if len(scene.objects) == 1 else None
    named = [thing for thing in scene.objects if _find_words(text, thing.shape) >= 0]
    if what in ("colour", "texture") and len(named) == 1:
        return str(getattr(named[0], what))
    return None
