"""A question's text and a scene in, the answer out: by the scene's geometry, with nothing of how questions are made.

What is asked and about what is read off the words of the question; relations are read off centres and drawing order.
None stands for "cannot tell": an object that the question names is not in the scene, say.
"""

from __future__ import annotations

import re

from vtbench.scenes.scene import Scene, SceneObject

TWO_THINGS: tuple[tuple[str, str], ...] = (
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
ONE_THING: tuple[tuple[str, str], ...] = (
    (r"describe|scene graph|list the objects", "graph"),
    (r"background", "background"),
    (r"texture|pattern", "texture"),
    (r"colou?r", "colour"),
    (r"shape|kind of object", "shape"),
)


def _first(patterns: tuple[tuple[str, str], ...], text: str) -> str | None:
    return next((what for pattern, what in patterns if re.search(rf"\b(?:{pattern})", text)), None)


def _mentions(text: str, words: str) -> int:
    """Return where `words` stand in the text, or -1."""
    match = re.search(rf"\b{re.escape(words.lower())}\b", text)
    return match.start() if match else -1


def named_pair(text: str, scene: Scene) -> tuple[SceneObject, SceneObject] | None:
    """Return the two things that a question relates, the one it asks about first; None where it relates no two."""
    found = sorted(
        (at, thing.id) for thing in scene.objects if (at := _mentions(text, f"{thing.colour} {thing.shape}")) >= 0
    )
    if len(found) != 2:
        return None
    things = {thing.id: thing for thing in scene.objects}
    first, second = (things[number] for _, number in found)
    return (second, first) if re.search(r"side of the", text) else (first, second)


def towards(a: SceneObject, b: SceneObject) -> str:
    """Return on which side of b the centre of a lies, along the axis on which they are further apart."""
    dx, dy = a.cx - b.cx, a.cy - b.cy
    if abs(dx) >= abs(dy):
        return "left" if dx < 0 else "right"
    return "above" if dy < 0 else "below"


def _related(what: str, a: SceneObject, b: SceneObject) -> str:
    if what == "where":
        return towards(a, b)
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


def graph(scene: Scene, places: bool = True) -> str:
    """Return the scene as a line: every object, and for every pair (with `places`) on which side one lies."""
    things = sorted(scene.objects, key=lambda t: (t.cy, t.cx) if places else (t.shape, t.colour, t.id))
    objects = [f"{i} {t.size} {t.colour} {t.texture} {t.shape}" for i, t in enumerate(things, 1)]
    relations = [
        f"{i + 1} {towards(things[i], things[j])} {j + 1}" for j in range(len(things)) for i in range(j) if places
    ]
    return " ; ".join(objects) + (" | " + " ; ".join(relations) if relations else "")


def read(prompt: str, scene: Scene, places: bool = True) -> str | None:
    """Answer a question about a scene; with `places` off, from what the objects look like alone.

    Returns:
        The answer, or None where the scene does not tell it.
    """
    text = prompt.lower()
    pair = named_pair(text, scene)
    if pair:
        what = _first(TWO_THINGS, text)
        return _related(what, *pair) if what and places else None
    what = _first(ONE_THING, text)
    if what == "graph":
        return graph(scene, places)
    if what == "background":
        return scene.background.colour
    if what == "shape":
        return scene.objects[0].shape if len(scene.objects) == 1 else None
    named = [thing for thing in scene.objects if _mentions(text, thing.shape) >= 0]
    if what in ("colour", "texture") and len(named) == 1:
        return str(getattr(named[0], what))
    return None
