"""Which spatial and depth relations hold in a scene, by what margin, and how much two objects overlap.

A relation is true, false, or indeterminate (None): between the thresholds it is neither, and is not asked.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from vtbench.scenes.render import silhouette
from vtbench.scenes.scene import CANVAS, INVERSE, Scene, SceneObject
from vtbench.scenes.scene_settings import RelationSettings

AXES = ("left", "right", "above", "below")
MASK_SIZE = 112
"""Side of the masks from which overlap is measured, in pixels."""
_SCALE = (224 / MASK_SIZE) ** 2
"""Pixels of a 224 x 224 image per mask pixel."""


def offset(a: SceneObject, b: SceneObject) -> tuple[float, float]:
    """Return how far b's centre lies right of and below a's, as fractions of the canvas."""
    return (b.cx - a.cx) / CANVAS, (b.cy - a.cy) / CANVAS


def spatial_relations(a: SceneObject, b: SceneObject, rules: RelationSettings) -> dict[str, bool | None]:
    """Return whether a is left of, right of, above, below b.

    True if b lies at least `offset` away along the axis, and at least `axis_ratio` times as far as along the other
    axis; false if b lies at least `offset` away on the opposite side; otherwise None.
    """
    return {word: _holds(along, across, rules) for word, (along, across) in _components(a, b).items()}


def _components(a: SceneObject, b: SceneObject) -> dict[str, tuple[float, float]]:
    """Return for each word b's signed offset from a in its direction, and its absolute offset across it."""
    dx, dy = offset(a, b)
    return {"left": (dx, abs(dy)), "right": (-dx, abs(dy)), "above": (dy, abs(dx)), "below": (-dy, abs(dx))}


def _holds(along: float, across: float, rules: RelationSettings) -> bool | None:
    if along >= rules.offset and along >= rules.axis_ratio * across:
        return True
    return False if along <= -rules.offset else None


def margin(a: SceneObject, b: SceneObject, word: str, rules: RelationSettings) -> float:
    """Return by how much `a word b` exceeds its thresholds, as a fraction of the canvas; negative if it does not."""
    along, across = _components(a, b)[word]
    return min(along - rules.offset, along - rules.axis_ratio * across)


def direction_of(dx: int, dy: int, rules: RelationSettings) -> str | None:
    """Return the one word that is true of a if b lies (dx, dy) canvas units to its right and below it, or None."""
    right, down = abs(dx), abs(dy)
    along, across, word = (
        (right, down, "left" if dx > 0 else "right") if right > down else (down, right, "above" if dy > 0 else "below")
    )
    return word if along >= rules.offset * CANVAS and along >= rules.axis_ratio * across else None


def direction(a: SceneObject, b: SceneObject, rules: RelationSettings) -> str | None:
    """Return the one word of left, right, above, below that is true of a and b, or None if none is."""
    return direction_of(b.cx - a.cx, b.cy - a.cy, rules)


def areas(a: SceneObject, b: SceneObject) -> tuple[int, int, int]:
    """Return the areas of two objects as drawn, and the area that they share, in mask pixels."""
    first, second = silhouette(a, MASK_SIZE), silhouette(b, MASK_SIZE)
    return int(np.count_nonzero(first.mask)), int(np.count_nonzero(second.mask)), first.shared_area(second)


def overlap(a: SceneObject, b: SceneObject) -> float:
    """Return the area that two objects share as drawn, as a fraction of the smaller one's area."""
    reach = (a.diameter + b.diameter) // 2
    if (a.cx - b.cx) ** 2 + (a.cy - b.cy) ** 2 >= reach * reach:
        return 0.0
    first, second, shared = areas(a, b)
    return shared / min(first, second) if shared else 0.0


def occludable(first: int, second: int, shared: int, rules: RelationSettings) -> bool:
    """Return whether two objects overlap enough to show an order, and little enough for either to lie in front.

    Args:
        first: area of the one object, in mask pixels.
        second: area of the other.
        shared: area that they share.
        rules: the thresholds.
    """
    smaller = min(first, second)
    visible = smaller - shared
    return (
        shared >= rules.overlap * smaller
        and visible >= rules.visible * smaller
        and visible * _SCALE >= rules.visible_pixels
    )


def depth_relations(a: SceneObject, b: SceneObject, rules: RelationSettings) -> dict[str, bool | None]:
    """Return whether a is in front of, behind b: None unless they overlap enough to see it."""
    if overlap(a, b) < rules.overlap:
        return {"front": None, "behind": None}
    return {"front": a.z > b.z, "behind": a.z < b.z}


def relations_of(a: SceneObject, b: SceneObject, rules: RelationSettings) -> dict[str, bool | None]:
    """Return every relation of the ordered pair (a, b)."""
    return {**spatial_relations(a, b, rules), **depth_relations(a, b, rules)}


def all_relations(scene: Scene, rules: RelationSettings) -> dict[tuple[int, int], dict[str, bool | None]]:
    """Return every relation of every ordered pair of the scene's objects, by object ids."""
    table: dict[tuple[int, int], dict[str, bool | None]] = {}
    for a, b in combinations(scene.objects, 2):
        table[a.id, b.id] = relations_of(a, b, rules)
        table[b.id, a.id] = {INVERSE[word]: holds for word, holds in table[a.id, b.id].items()}
    return table
