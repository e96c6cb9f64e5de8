"""`relational`: is the {colour shape} left of, above, in front of the {colour shape}; where is one seen from the other.

Items come as minimal pairs: the same objects with the two places (or the drawing order) swapped, the same question, the
opposite answer. A reader that does not see places has an even chance on each and never gets a pair right by habit.
"""

from __future__ import annotations

from dataclasses import replace

from vtbench.scenes.draws import Draws
from vtbench.scenes.families.plan import Draft, Member, Plan
from vtbench.scenes.place import Look, inside, make_background, make_thing, place_all, room
from vtbench.scenes.questions import ask_holds, ask_where
from vtbench.scenes.scene import CANVAS, INVERSE, Background, Scene, Thing
from vtbench.scenes.truth import AXES, direction_of, may_overlap

TRIES = 60


def looks_of(plan: Plan, draws: Draws, background: str, count: int) -> list[Look] | None:
    """Return `count` looks, no two with the same colour and shape, the first two those asked about.

    Later objects share a colour or a shape with one of the two, so neither word alone finds its object.
    """
    first = plan.pairs(asked=True, background=background)
    common = plan.pairs(asked=False, background=background)
    a = draws.choice(first)
    rest = [p for p in common if p[0] != a[0] and p[1] != a[1]]
    if not rest:
        return None
    chosen = [a, draws.choice(rest)]
    for i in range(count - 2):
        like = chosen[i % 2]
        near = [p for p in common if p not in chosen and (p[0] == like[0] or p[1] == like[1])]
        if not near:
            return None
        chosen.append(draws.choice(near))
    return [plan.look(draws, pair) for pair in chosen]


def swap_places(a: Thing, b: Thing) -> tuple[Thing, Thing]:
    """Return both things, each at the other's place."""
    return replace(a, cx=b.cx, cy=b.cy), replace(b, cx=a.cx, cy=a.cy)


def build(plan: Plan, draws: Draws, number: int) -> Draft | None:
    """Return a minimal pair."""
    kind, turn = plan.turn(number)
    background_word = draws.choice(tuple(plan.scene.colours))
    count = max(2, draws.between(plan.scene.min_objects, plan.scene.max_objects))
    looks = looks_of(plan, draws, background_word, count)
    if looks is None:
        return None
    things = [make_thing(draws, plan.scene, look, i) for i, look in enumerate(looks)]
    background = make_background(draws, plan.scene, background_word)
    pair = _overlapping if kind in ("front", "behind") else _beside
    return pair(plan, draws, kind, turn, things, background)


def _beside(
    plan: Plan, draws: Draws, kind: str, turn: int, things: list[Thing], background: Background
) -> Draft | None:
    word = AXES[turn % 4] if kind == "where" else (kind if turn % 2 == 0 else INVERSE[kind])
    both = _two_places(plan, draws, word, things[0], things[1])
    if both is None:
        return None
    a, b = both
    a2, b2 = swap_places(a, b)
    rest = place_all(draws, plan.scene, things[2:], [a, b, a2, b2])
    if rest is None:
        return None
    members = []
    for (first, second), holds in (((a, b), word), ((a2, b2), INVERSE[word])):
        scene = Scene(background, (first, second, *rest))
        asked = ask_where(first, second, holds) if kind == "where" else ask_holds(first, second, kind, holds == kind)
        members.append(Member(scene, asked))
    return tuple(members)


def _two_places(plan: Plan, draws: Draws, word: str, a: Thing, b: Thing) -> tuple[Thing, Thing] | None:
    """Return both things placed so that `a word b` holds, with room for each at the other's place."""
    low, high = max(room(a)[0], room(b)[0]), min(room(a)[1], room(b)[1])
    reach = (a.diameter + b.diameter) // 2 + round(plan.scene.gap * CANVAS)
    for _ in range(TRIES):
        ax, ay, bx, by = (draws.between(low, high) for _ in range(4))
        dx, dy = bx - ax, by - ay
        if dx * dx + dy * dy >= reach * reach and direction_of(dx, dy, plan.rules) == word:
            return replace(a, cx=ax, cy=ay), replace(b, cx=bx, cy=by)
    return None


def overlapping(plan: Plan, draws: Draws, a: Thing, b: Thing) -> tuple[Thing, Thing] | None:
    """Return both things overlapping so that either could lie in front and leave the other recognisable."""
    reach = (a.diameter + b.diameter) // 2
    for _ in range(TRIES):
        ax, ay = draws.between(*room(a)), draws.between(*room(a))
        bx, by = ax + draws.between(-reach, reach), ay + draws.between(-reach, reach)
        # Nearer than this one hides the other, farther they hardly meet: masks are drawn only for what may pass.
        distance = 100 * ((ax - bx) ** 2 + (ay - by) ** 2)
        if not inside(b, bx, by) or not 9 * reach * reach <= distance <= 64 * reach * reach:
            continue
        a, b = replace(a, cx=ax, cy=ay), replace(b, cx=bx, cy=by)
        if may_overlap(a, b, plan.rules):
            return a, b
    return None


def _overlapping(
    plan: Plan, draws: Draws, kind: str, turn: int, things: list[Thing], background: Background
) -> Draft | None:
    both = overlapping(plan, draws, things[0], things[1])
    if both is None:
        return None
    a, b = both
    rest = place_all(draws, plan.scene, things[2:], [a, b])
    if rest is None:
        return None
    members = []
    for step in range(2):
        a_in_front = (turn + step) % 2 == 0
        first, second = replace(a, z=int(a_in_front)), replace(b, z=int(not a_in_front))
        holds = a_in_front == (kind == "front")
        members.append(Member(Scene(background, (first, second, *rest)), ask_holds(first, second, kind, holds)))
    return tuple(members)
