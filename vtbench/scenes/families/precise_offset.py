"""`precise_offset`: on which side of one object another lies, for offsets from large to tiny.

Gives a psychometric curve. The objects are well separated along the other axis, so only the offset decides. The two
members of a pair have the same offset to either side.
"""

from __future__ import annotations

from types import MappingProxyType

from vtbench.scenes.families.relational import distinct_appearances
from vtbench.scenes.family import BaseSceneFamily, Cluster, FamilySettings, Member
from vtbench.scenes.placement import EDGE, make_background, make_object, place_all
from vtbench.scenes.questions import ask_offset
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import CANVAS, Scene, SceneObject


def _at(obj: SceneObject, axis: str, along: int, across: int) -> SceneObject:
    return obj.at(along, across) if axis == "x" else obj.at(across, along)


class PreciseOffset(BaseSceneFamily):
    """On which side of one object another lies, for offsets from large to tiny."""

    name = "precise_offset"
    members = 2
    kinds = MappingProxyType({"offset_x": 1, "offset_y": 1})

    def build(self, settings: FamilySettings, rng: HashRng, number: int) -> Cluster | None:
        """Return a pair with the offsets +p and -p percent of the canvas."""
        kind, turn = settings.turn(number)
        axis = kind[-1]
        percent = settings.offsets[turn % len(settings.offsets)]
        colour = rng.choice(settings.scene.background_words)
        count = max(2, rng.between(settings.scene.min_objects, settings.scene.max_objects))
        appearances = distinct_appearances(settings, rng, colour, count)
        if appearances is None:
            return None
        a, b, *others = (make_object(rng, settings.scene, one, i) for i, one in enumerate(appearances))
        step = round(percent / 100 * CANVAS)
        gap = round(settings.scene.gap * CANVAS)
        radius_a, radius_b = a.diameter // 2 + EDGE, b.diameter // 2 + EDGE
        # b lies where a fits on either side of it; across the axis they do not touch.
        low, high = max(radius_b, radius_a + step), CANVAS - max(radius_b, radius_a + step)
        distance = (a.diameter + b.diameter) // 2 + gap
        span = CANVAS - radius_a - radius_b - distance
        if low > high or span < 0:
            return None
        along, distance = rng.between(low, high), distance + rng.below(span + 1)
        start = rng.between(radius_a, CANVAS - radius_b - distance)
        across_a, across_b = (start, start + distance) if rng.below(2) else (CANVAS - start, CANVAS - start - distance)
        b = _at(b, axis, along, across_b)
        sides = [(sign, _at(a, axis, along + sign * step, across_a)) for sign in ((1, -1) if turn % 2 else (-1, 1))]
        rest = place_all(rng, settings.scene, others, [b, *(moved for _, moved in sides)])
        if rest is None:
            return None
        background = make_background(rng, settings.scene, colour)
        positive = "right" if axis == "x" else "below"
        return tuple(
            Member(
                Scene(background, (moved, b, *rest)),
                ask_offset(moved, b, axis, positive=sign > 0),
                {"offset_percent": sign * percent, "positive": positive, "axis": axis},
            )
            for sign, moved in sides
        )
