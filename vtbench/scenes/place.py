"""Draws in, objects with places out: every object inside the canvas, none touching another unless asked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vtbench.scenes.draws import Draws
from vtbench.scenes.scene import CANVAS, Background, Thing
from vtbench.scenes.spec import SceneSpec

EDGE = CANVAS // 100
"""Distance that an object keeps from the picture's edge."""
TRIES = 60


@dataclass(frozen=True, slots=True)
class Look:
    """What an object is, before it has a place."""

    shape: str
    colour: str
    texture: str
    size: str


def _jittered(draws: Draws, spec: SceneSpec, colour: str) -> tuple[int, int, int]:
    j = spec.colour_jitter
    red, green, blue = (min(255, max(0, c + draws.between(-j, j))) for c in spec.colours[colour])
    return red, green, blue


def make_thing(draws: Draws, spec: SceneSpec, look: Look, number: int, cx: int = 0, cy: int = 0) -> Thing:
    """Return an object of this look: jittered, turned, at (cx, cy)."""
    nominal = spec.diameter(look.size)
    spread = round(nominal * spec.size_jitter)
    return Thing(
        id=number,
        shape=look.shape,
        colour=look.colour,
        texture=look.texture,
        size=look.size,
        rgb=_jittered(draws, spec, look.colour),
        diameter=nominal + draws.between(-spread, spread),
        cx=cx,
        cy=cy,
        rotation=draws.between(-spec.rotation, spec.rotation),
        z=number,
    )


def make_background(draws: Draws, spec: SceneSpec, colour: str) -> Background:
    """Return a background of this colour word, with the pattern that the settings ask for."""
    # Drawn even where it is not used, so that the `background` split has the very scenes of `test`.
    pattern = draws.choice(("waves", "cells"))
    kind = pattern if spec.background == "mixed" else spec.background
    return Background(colour, _jittered(draws, spec, colour), kind, draws.below(1 << 31))


def room(thing: Thing) -> tuple[int, int]:
    """Return the least and the greatest coordinate that the thing's centre may have."""
    r = thing.diameter // 2 + EDGE
    return r, CANVAS - r


def inside(thing: Thing, cx: int, cy: int) -> bool:
    """Return whether the whole thing lies on the canvas with its centre at (cx, cy)."""
    low, high = room(thing)
    return low <= cx <= high and low <= cy <= high


def apart(thing: Thing, cx: int, cy: int, others: Sequence[Thing], gap: int) -> bool:
    """Return whether the thing, with its centre at (cx, cy), keeps its distance from all others."""
    for other in others:
        reach = (thing.diameter + other.diameter) // 2 + gap
        if (cx - other.cx) ** 2 + (cy - other.cy) ** 2 < reach * reach:
            return False
    return True


def place_all(
    draws: Draws, spec: SceneSpec, things: Sequence[Thing], around: Sequence[Thing] = ()
) -> list[Thing] | None:
    """Return the things at random places apart from each other and from `around`; None where they did not fit."""
    gap = round(spec.gap * CANVAS)
    placed: list[Thing] = []
    for thing in things:
        low, high = room(thing)
        for _ in range(TRIES):
            cx, cy = draws.between(low, high), draws.between(low, high)
            if apart(thing, cx, cy, placed, gap) and apart(thing, cx, cy, around, gap):
                placed.append(replace(thing, cx=cx, cy=cy))
                break
        else:
            return None
    return placed
