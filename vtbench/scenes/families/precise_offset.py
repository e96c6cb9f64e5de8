"""`precise_offset`: on which side of one object is the other, for offsets from far to almost nothing.

Gives a psychometric curve. The objects stand well apart along the other axis, so nothing but the offset decides. The
two members of a pair have the same offset to either side.
"""

from __future__ import annotations

from dataclasses import replace

from vtbench.scenes.draws import Draws
from vtbench.scenes.families.plan import Draft, Member, Plan
from vtbench.scenes.families.relational import looks_of
from vtbench.scenes.place import EDGE, make_background, make_thing, place_all
from vtbench.scenes.questions import ask_offset
from vtbench.scenes.scene import CANVAS, Scene, Thing


def _at(thing: Thing, axis: str, along: int, across: int) -> Thing:
    return replace(thing, cx=along, cy=across) if axis == "x" else replace(thing, cx=across, cy=along)


def build(plan: Plan, draws: Draws, number: int) -> Draft | None:
    """Return a pair with the offsets +p and -p percent of the canvas."""
    kind, turn = plan.turn(number)
    axis = kind[-1]
    percent = plan.offsets[turn % len(plan.offsets)]
    background_word = draws.choice(tuple(plan.scene.colours))
    looks = looks_of(
        plan, draws, background_word, max(2, draws.between(plan.scene.min_objects, plan.scene.max_objects))
    )
    if looks is None:
        return None
    a, b, *others = (make_thing(draws, plan.scene, look, i) for i, look in enumerate(looks))
    step = round(percent / 100 * CANVAS)
    gap = round(plan.scene.gap * CANVAS)
    ra, rb = a.diameter // 2 + EDGE, b.diameter // 2 + EDGE
    # b stands where a fits on either side of it; across the axis they do not touch.
    low, high = max(rb, ra + step), CANVAS - max(rb, ra + step)
    distance = (a.diameter + b.diameter) // 2 + gap
    span = CANVAS - ra - rb - distance
    if low > high or span < 0:
        return None
    along, distance = draws.between(low, high), distance + draws.below(span + 1)
    start = draws.between(ra, CANVAS - rb - distance)
    across_a, across_b = (start, start + distance) if draws.below(2) else (CANVAS - start, CANVAS - start - distance)
    b = _at(b, axis, along, across_b)
    sides = [(sign, _at(a, axis, along + sign * step, across_a)) for sign in ((1, -1) if turn % 2 else (-1, 1))]
    rest = place_all(draws, plan.scene, others, [b, *(moved for _, moved in sides)])
    if rest is None:
        return None
    background = make_background(draws, plan.scene, background_word)
    positive = "right" if axis == "x" else "below"
    return tuple(
        Member(
            Scene(background, (moved, b, *rest)),
            ask_offset(moved, b, axis, positive=sign > 0),
            {"offset_percent": sign * percent, "positive": positive, "axis": axis},
        )
        for sign, moved in sides
    )
