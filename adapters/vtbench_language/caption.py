"""A scene told in sentences: what somebody who sees all of it might say to somebody who sees nothing.

A caption holds every fact that the built-in tasks ask for: each object's size, colour, texture, shape, and place in
tenths of a percent of the image's side, the background, and which of two objects covers the other. It says no more of a
relation than a look at the image does: which of two objects is further left follows from their places. It has nothing
of the grammar in which scene graphs are answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from vtbench.scenes.relations import overlap
from vtbench.scenes.scene import CANVAS, Scene, SceneObject

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
_COLUMNS, _ROWS = ("left", "centre", "right"), ("upper", "middle", "lower")


def caption(scene: Scene) -> str:
    """Return the caption of a scene: background, then the objects in reading order, then what covers what.

    Objects are named in the order of their centres, from top to bottom, and from left to right at one height.
    """
    things = sorted(scene.objects, key=lambda thing: (thing.cy, thing.cx, thing.id))
    sentences = [f"The image shows {_count(things)} on {_background(scene)}."]
    sentences += [_object(thing) for thing in things]
    names = dict(zip((thing.id for thing in things), _names(things), strict=True))
    for one, other in combinations(things, 2):
        if overlap(one, other) > 0:
            front, back = (one, other) if one.z > other.z else (other, one)
            sentences.append(f"The {names[front.id]} is in front of the {names[back.id]} and covers part of it.")
    return " ".join(sentences)


def _count(things: Sequence[SceneObject]) -> str:
    n = len(things)
    return f"{_NUMBERS[n] if n < len(_NUMBERS) else n} object{'' if n == 1 else 's'}"


def _background(scene: Scene) -> str:
    """Return the background with its article: `a plain blue background`, `a photograph of sand`."""
    ground = scene.background
    if ground.photograph is not None:
        return f"a photograph of {ground.colour}"
    if ground.kind == "plain":
        return f"a plain {ground.colour} background"
    pattern = "a gradient" if ground.kind == "gradient" else ground.kind
    return f"{_article(ground.colour)} {ground.colour} background with {pattern}"


def _object(thing: SceneObject) -> str:
    x, y = thing.cx / CANVAS, thing.cy / CANVAS
    row, column = _ROWS[_third(y)], _COLUMNS[_third(x)]
    place = "middle" if (row, column) == ("middle", "centre") else f"{row} {column}"
    looks = f"{thing.size} {thing.colour} {thing.texture} {thing.shape}"
    return (
        f"In the {place} there is {_article(looks)} {looks}, its centre {_percent(x)} from the left and"
        f" {_percent(y)} from the top."
    )


def _names(things: Sequence[SceneObject]) -> list[str]:
    """Return what each object is called: `red circle`; its place in the caption where two would be called alike."""
    names = [f"{thing.colour} {thing.shape}" for thing in things]
    if max(Counter(names).values(), default=0) <= 1:
        return names
    return [f"{_ORDINALS[i] if i < len(_ORDINALS) else f'{i + 1}th'} object" for i in range(len(things))]


def _third(share: float) -> int:
    return min(max(int(3 * share), 0), 2)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + "%"


def _article(words: str) -> str:
    return "an" if words[:1].lower() in "aeiou" else "a"
