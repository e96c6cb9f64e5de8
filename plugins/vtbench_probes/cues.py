"""The cues: properties of a scene, each with a label that follows from the scene.

A scene has several objects, so most cues are of one object, which a hint to the probe singles out: by its place (the
cell of an 8 x 8 grid that holds its centre, and no other object's) or by its shape (no other object has it).

| cue         | hint  | label                                              | defined for                              |
|-------------|-------|----------------------------------------------------|------------------------------------------|
| shape       | place | the object's shape                                 | any object                               |
| colour      | place | the object's colour                                | any object                               |
| texture     | place | the object's texture                               | any object                               |
| size        | place | the object's size                                  | objects where either size has room       |
| count       |       | how many objects there are                         | the image                              |
| position    | shape | the quarter of the image that holds its centre   | any object                               |
| fine_offset | place | the quarter of the hint cell that holds its centre | objects in the 4 x 4 cells in the middle |
| occlusion   | place | whether it lies in front of or behind another      | objects that overlap exactly one         |
| binding     | shape | the object's colour                                | any object                               |
| background  |       | the background's colour                            | the image                              |

A cue that a scene does not define (no such object) has no label. Of several objects one is drawn by the scene's hash,
so that labels are as uniform as the task's scenes make them; accuracy is balanced over labels for the rest. Sizes and
offsets are defined only where the hint place does not reveal them: large objects keep off the edges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from vtbench.scenes.placement import EDGE
from vtbench.scenes.relations import depth_relations
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import CANVAS, Scene, SceneObject
from vtbench.scenes.scene_settings import SIZES, RelationSettings

GRID = 8
"""Cells a side of the grid of places."""
_CELL = CANVAS // GRID
_LARGE = round(0.52 * max(SIZES.values()) * CANVAS) + EDGE
"""Least distance of the largest object's centre from the edge: half its diameter, jitter included."""

Hint = Literal["nothing", "place", "shape"]


@dataclass(frozen=True, slots=True)
class CueLabel:
    """The label of a cue in one scene, and the hint that singles out its object."""

    hint: str
    """The cell's number or the shape; empty where the cue is of the whole image."""
    label: str


def cell_of(thing: SceneObject) -> int:
    """Return the number of the cell that holds the object's centre, row by row from the top left."""
    return min(thing.cy // _CELL, GRID - 1) * GRID + min(thing.cx // _CELL, GRID - 1)


def quarter(x: int, y: int, middle_x: int, middle_y: int) -> str:
    """Name the quarter around a middle in which a point lies.

    >>> quarter(10, 90, 50, 50)
    'lower left'
    """
    return f"{'upper' if y < middle_y else 'lower'} {'left' if x < middle_x else 'right'}"


def _central(thing: SceneObject) -> bool:
    edge = CANVAS // 4
    return edge <= thing.cx < CANVAS - edge and edge <= thing.cy < CANVAS - edge


def _roomy(thing: SceneObject) -> bool:
    return all(_LARGE <= centre <= CANVAS - _LARGE for centre in (thing.cx, thing.cy))


def _offset(thing: SceneObject) -> str:
    return quarter(thing.cx % _CELL, thing.cy % _CELL, _CELL // 2, _CELL // 2)


def _orders(scene: Scene) -> dict[int, str]:
    """Return `front` or `behind` by id, for objects that overlap exactly one other."""
    orders: dict[int, list[str]] = {thing.id: [] for thing in scene.objects}
    for a, b in combinations(scene.objects, 2):
        in_front = depth_relations(a, b, RelationSettings())["front"]
        if in_front is not None:
            orders[a.id].append("front" if in_front else "behind")
            orders[b.id].append("behind" if in_front else "front")
    return {number: found[0] for number, found in orders.items() if len(found) == 1}


_IMAGE = -1
"""Key of the whole image among labels by object id."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A property of scenes, and the kind of hint that singles out the object that is meant."""

    hint: Hint
    labels: Callable[[Scene], Mapping[int, str]]
    """Labels by object id, of the objects for which the cue is defined; or one of the whole image, at `_IMAGE`."""


def _of_objects(
    hint: Hint, label: Callable[[SceneObject], str], where: Callable[[SceneObject], bool] = lambda _: True
) -> Cue:
    return Cue(hint, lambda scene: {thing.id: label(thing) for thing in scene.objects if where(thing)})


def _of_image(label: Callable[[Scene], str]) -> Cue:
    return Cue("nothing", lambda scene: {_IMAGE: label(scene)})


CUES: dict[str, Cue] = {
    "shape": _of_objects("place", lambda thing: thing.shape),
    "colour": _of_objects("place", lambda thing: thing.colour),
    "texture": _of_objects("place", lambda thing: thing.texture),
    "size": _of_objects("place", lambda thing: thing.size, _roomy),
    "count": _of_image(lambda scene: str(len(scene.objects))),
    "position": _of_objects("shape", lambda thing: quarter(thing.cx, thing.cy, CANVAS // 2, CANVAS // 2)),
    "fine_offset": _of_objects("place", _offset, _central),
    "occlusion": Cue("place", _orders),
    "binding": _of_objects("shape", lambda thing: thing.colour),
    "background": _of_image(lambda scene: scene.background.colour),
}
_NAMES: dict[Hint, Callable[[SceneObject], str]] = {
    "place": lambda thing: str(cell_of(thing)),
    "shape": lambda thing: thing.shape,
}


def cue_labels(scene: Scene) -> dict[str, CueLabel]:
    """Return the label of every cue that the scene defines."""
    found = {}
    digest = scene.hash
    single = {hint: _singled_out(scene.objects, name) for hint, name in _NAMES.items()}
    for name, cue in CUES.items():
        labels = cue.labels(scene)
        if cue.hint == "nothing":
            found[name] = CueLabel("", labels[_IMAGE])
        elif candidates := [thing for thing in single[cue.hint] if thing.id in labels]:
            thing = HashRng("cue", name, digest).choice(candidates)
            found[name] = CueLabel(_NAMES[cue.hint](thing), labels[thing.id])
    return found


def _singled_out(things: Sequence[SceneObject], name: Callable[[SceneObject], str]) -> list[SceneObject]:
    """Return the objects whose name is theirs alone."""
    uses = Counter(map(name, things))
    return [thing for thing in things if uses[name(thing)] == 1]
