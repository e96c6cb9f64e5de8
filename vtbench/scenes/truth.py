"""Scene in, facts out: which spatial statements hold, by what margin, and how much of each object can be seen.

A statement is true, false, or indeterminate (None): between the thresholds it is neither, and is not asked.
"""

from __future__ import annotations

from itertools import combinations

from vtbench.scenes.render import id_mask, silhouette
from vtbench.scenes.scene import CANVAS, INVERSE, Scene, Thing
from vtbench.scenes.spec import RelationSpec

AXES = ("left", "right", "above", "below")
MASK_SIZE = 112
"""Side of the masks from which overlap and visibility are read."""


def offset(a: Thing, b: Thing) -> tuple[float, float]:
    """Return how far b's centre lies right of and below a's, in fractions of the canvas."""
    return (b.cx - a.cx) / CANVAS, (b.cy - a.cy) / CANVAS


def spatial(a: Thing, b: Thing, rules: RelationSpec) -> dict[str, bool | None]:
    """Return whether a is left of, right of, above, below b.

    True when b lies at least `offset` away along the axis and `axis_ratio` times as far as along the other axis; false
    when b lies at least `offset` away on the other side; otherwise None.
    """
    return {word: _holds(main, other, rules) for word, (main, other) in _along(a, b).items()}


def _along(a: Thing, b: Thing) -> dict[str, tuple[float, float]]:
    """Return for each word b's offset from a in its direction, and the size of the offset along the other axis."""
    dx, dy = offset(a, b)
    return {"left": (dx, abs(dy)), "right": (-dx, abs(dy)), "above": (dy, abs(dx)), "below": (-dy, abs(dx))}


def _holds(main: float, other: float, rules: RelationSpec) -> bool | None:
    if main >= rules.offset and main >= rules.axis_ratio * other:
        return True
    return False if main <= -rules.offset else None


def margin(a: Thing, b: Thing, word: str, rules: RelationSpec) -> float:
    """Return by how much `a word b` clears its thresholds, in fractions of the canvas; negative where it does not."""
    main, other = _along(a, b)[word]
    return min(main - rules.offset, main - rules.axis_ratio * other)


def direction_of(dx: int, dy: int, rules: RelationSpec) -> str | None:
    """Return the one word that is true of a when b lies (dx, dy) canvas units to its right and below it, or None."""
    across, down = abs(dx), abs(dy)
    main, other, word = (
        (across, down, "left" if dx > 0 else "right")
        if across > down
        else (down, across, "above" if dy > 0 else "below")
    )
    return word if main >= rules.offset * CANVAS and main >= rules.axis_ratio * other else None


def direction(a: Thing, b: Thing, rules: RelationSpec) -> str | None:
    """Return the one word of left, right, above, below that is true of a and b, or None where none is."""
    return direction_of(b.cx - a.cx, b.cy - a.cy, rules)


def areas(a: Thing, b: Thing) -> tuple[int, int, int]:
    """Return the areas of two things as drawn, and the area that they share, in mask pixels."""
    first, second = (silhouette(thing, MASK_SIZE) for thing in (a, b))
    return int(first.sum()), int(second.sum()), int((first & second).sum())


def overlap(a: Thing, b: Thing) -> float:
    """Return the area that two things share as drawn, over the smaller one's area."""
    reach = (a.diameter + b.diameter) // 2
    if (a.cx - b.cx) ** 2 + (a.cy - b.cy) ** 2 >= reach * reach:
        return 0.0
    first, second, shared = areas(a, b)
    return shared / min(first, second) if shared else 0.0


def may_overlap(a: Thing, b: Thing, rules: RelationSpec) -> bool:
    """Return whether two things overlap enough to show an order, and little enough for either to lie in front."""
    first, second, shared = areas(a, b)
    smaller = min(first, second)
    shown = smaller - shared
    pixels = (224 / MASK_SIZE) ** 2
    return (
        shared >= rules.overlap * smaller
        and shown >= rules.visible * smaller
        and shown * pixels >= rules.visible_pixels
    )


def depth(a: Thing, b: Thing, rules: RelationSpec) -> dict[str, bool | None]:
    """Return whether a is in front of, behind b: known only where they overlap enough to see it."""
    if overlap(a, b) < rules.overlap:
        return {"front": None, "behind": None}
    return {"front": a.z > b.z, "behind": a.z < b.z}


def relation(a: Thing, b: Thing, rules: RelationSpec) -> dict[str, bool | None]:
    """Return every predicate of the ordered pair (a, b)."""
    return {**spatial(a, b, rules), **depth(a, b, rules)}


def facts(scene: Scene, rules: RelationSpec) -> dict[tuple[int, int], dict[str, bool | None]]:
    """Return every predicate of every ordered pair of the scene, by object ids."""
    table: dict[tuple[int, int], dict[str, bool | None]] = {}
    for a, b in combinations(scene.things, 2):
        table[a.id, b.id] = relation(a, b, rules)
        table[b.id, a.id] = {INVERSE[word]: holds for word, holds in table[a.id, b.id].items()}
    return table


def visible(scene: Scene) -> dict[int, tuple[float, float]]:
    """Return for each object the share of it that can be seen, and its visible area in a 224 px picture."""
    top = id_mask(scene, MASK_SIZE)
    scale = (224 / MASK_SIZE) ** 2
    seen = {}
    for thing in scene.things:
        whole = int(silhouette(thing, MASK_SIZE).sum())
        shown = int((top == thing.id).sum())
        seen[thing.id] = (shown / whole if whole else 0.0, shown * scale)
    return seen
