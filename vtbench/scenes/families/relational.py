"""`relational`: is the {colour shape} left of, above, in front of the {colour shape}; where is it, seen from the other.

Items come as minimal pairs: the same objects with the two positions (or the drawing order) swapped, the same question,
the opposite answer. A model that does not see positions is at chance on each, and a constant answer never gets a whole
pair right.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from vtbench.scenes.family import BaseSceneFamily, Cluster, FamilySettings, Member
from vtbench.scenes.placement import Appearance, centre_range, make_background, make_object, place_all
from vtbench.scenes.questions import ask_holds, ask_where
from vtbench.scenes.relations import AXES, areas, direction_of, occludable
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import CANVAS, INVERSE, Background, Scene, SceneObject

TRIES = 60


def distinct_appearances(
    settings: FamilySettings, rng: HashRng, background: str, count: int
) -> list[Appearance] | None:
    """Return `count` appearances, no two with the same colour and shape, the first two those of the referents.

    Every distractor shares its colour or its shape with one of the two, so neither word alone singles out a referent.
    """
    common = settings.pairs(referent=False, background=background)
    a = rng.choice(settings.pairs(referent=True, background=background))
    different = [pair for pair in common if pair[0] != a[0] and pair[1] != a[1]]
    if not different:
        return None
    chosen = [a, rng.choice(different)]
    for i in range(count - 2):
        colour, shape = chosen[i % 2]
        similar = [pair for pair in common if pair not in chosen and (pair[0] == colour or pair[1] == shape)]
        if not similar:
            return None
        chosen.append(rng.choice(similar))
    return [settings.appearance(rng, pair) for pair in chosen]


def place_overlapping(
    settings: FamilySettings, rng: HashRng, a: SceneObject, b: SceneObject
) -> tuple[SceneObject, SceneObject, float] | None:
    """Place two objects so that either could lie in front and leave the other recognisable.

    Returns:
        both objects, and the fraction of the first that is visible if the second lies in front; None if they do not
        fit.
    """
    reach = (a.diameter + b.diameter) // 2
    # At smaller distances one object hides the other, at larger ones they hardly overlap: masks are computed between.
    nearest, farthest = 9 * reach * reach, 64 * reach * reach
    low_a, high_a = centre_range(a)
    low_b, high_b = centre_range(b)
    for _ in range(TRIES):
        ax, ay = rng.between(low_a, high_a), rng.between(low_a, high_a)
        dx, dy = rng.between(-reach, reach), rng.between(-reach, reach)
        bx, by = ax + dx, ay + dy
        apart = nearest <= 100 * (dx * dx + dy * dy) <= farthest
        if apart and low_b <= bx <= high_b and low_b <= by <= high_b:
            a, b = a.at(ax, ay), b.at(bx, by)
            first, second, shared = areas(a, b)
            if occludable(first, second, shared, settings.relations):
                return a, b, (first - shared) / first
    return None


class Relational(BaseSceneFamily):
    """Spatial or depth relation of two objects, in minimal pairs."""

    name = "relational"
    members = 2
    kinds = MappingProxyType({"left": 1, "above": 1, "where": 2, "right": 1, "below": 1, "front": 1})

    def build(self, settings: FamilySettings, rng: HashRng, number: int) -> Cluster | None:
        """Return a minimal pair."""
        kind, turn = settings.turn(number)
        colour = rng.choice(settings.scene.background_words)
        count = max(2, rng.between(settings.scene.min_objects, settings.scene.max_objects))
        appearances = distinct_appearances(settings, rng, colour, count)
        if appearances is None:
            return None
        objects = [make_object(rng, settings.scene, one, i) for i, one in enumerate(appearances)]
        background = make_background(rng, settings.scene, colour)
        pair = _depth_pair if kind in ("front", "behind") else _spatial_pair
        return pair(settings, rng, kind, turn, objects, background)


def _spatial_pair(
    settings: FamilySettings,
    rng: HashRng,
    kind: str,
    turn: int,
    objects: list[SceneObject],
    background: Background,
) -> Cluster | None:
    word = AXES[turn % 4] if kind == "where" else (kind if turn % 2 == 0 else INVERSE[kind])
    placed = _place_related(settings, rng, word, objects[0], objects[1])
    if placed is None:
        return None
    a, b = placed
    swapped_a, swapped_b = a.at(b.cx, b.cy), b.at(a.cx, a.cy)
    rest = place_all(rng, settings.scene, objects[2:], [a, b, swapped_a, swapped_b])
    if rest is None:
        return None
    members = []
    for (first, second), holds in (((a, b), word), ((swapped_a, swapped_b), INVERSE[word])):
        scene = Scene(background, (first, second, *rest))
        asked = ask_where(first, second, holds) if kind == "where" else ask_holds(first, second, kind, holds == kind)
        members.append(Member(scene, asked))
    return tuple(members)


def _place_related(
    settings: FamilySettings, rng: HashRng, word: str, a: SceneObject, b: SceneObject
) -> tuple[SceneObject, SceneObject] | None:
    """Return both objects placed so that `a word b` holds, and each fits at the other's position."""
    low, high = max(centre_range(a)[0], centre_range(b)[0]), min(centre_range(a)[1], centre_range(b)[1])
    reach = (a.diameter + b.diameter) // 2 + round(settings.scene.gap * CANVAS)
    for _ in range(TRIES):
        ax, ay = rng.between(low, high), rng.between(low, high)
        bx, by = rng.between(low, high), rng.between(low, high)
        dx, dy = bx - ax, by - ay
        if dx * dx + dy * dy >= reach * reach and direction_of(dx, dy, settings.relations) == word:
            return a.at(ax, ay), b.at(bx, by)
    return None


def _depth_pair(
    settings: FamilySettings,
    rng: HashRng,
    kind: str,
    turn: int,
    objects: list[SceneObject],
    background: Background,
) -> Cluster | None:
    placed = place_overlapping(settings, rng, objects[0], objects[1])
    if placed is None:
        return None
    a, b, _ = placed
    rest = place_all(rng, settings.scene, objects[2:], [a, b])
    if rest is None:
        return None
    members = []
    for step in range(2):
        a_in_front = (turn + step) % 2 == 0
        first, second = replace(a, z=int(a_in_front)), replace(b, z=int(not a_in_front))
        holds = a_in_front == (kind == "front")
        members.append(Member(Scene(background, (first, second, *rest)), ask_holds(first, second, kind, holds)))
    return tuple(members)
