"""Makes objects from their appearance, and places them: inside the canvas, and apart from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtbench.scenes.backgrounds import varied_kind
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import CANVAS, Background, SceneObject
from vtbench.scenes.scene_settings import SceneSettings

EDGE = CANVAS // 100
"""Distance that an object keeps from the canvas edge."""
TRIES = 60


@dataclass(frozen=True, slots=True)
class Appearance:
    """The attributes of an object that has no position yet."""

    shape: str
    colour: str
    texture: str
    size: str


def _jittered(rng: HashRng, settings: SceneSettings, colour: str) -> tuple[int, int, int]:
    jitter = settings.colour_jitter
    red, green, blue = settings.colours[colour]
    return (
        min(255, max(0, red + rng.between(-jitter, jitter))),
        min(255, max(0, green + rng.between(-jitter, jitter))),
        min(255, max(0, blue + rng.between(-jitter, jitter))),
    )


def make_object(
    rng: HashRng, settings: SceneSettings, appearance: Appearance, number: int, cx: int = 0, cy: int = 0
) -> SceneObject:
    """Return an object with this appearance at (cx, cy), with random jitter of colour, size and rotation."""
    nominal = settings.diameter(appearance.size)
    jitter = round(nominal * settings.size_jitter)
    rgb = _jittered(rng, settings, appearance.colour)
    diameter = nominal + rng.between(-jitter, jitter)
    rotation = rng.between(-settings.rotation, settings.rotation)
    return SceneObject(
        number,
        appearance.shape,
        appearance.colour,
        appearance.texture,
        appearance.size,
        rgb,
        diameter,
        cx,
        cy,
        rotation,
        z=number,
        cutout=settings.cutout(appearance.shape),
    )


def make_background(rng: HashRng, settings: SceneSettings, colour: str) -> Background:
    """Return a background, with the pattern that the settings ask for.

    Args:
        rng: draws jitter, pattern and photograph.
        settings: of the scene.
        colour: one of `settings.background_words`: its colour word, or what its photograph shows.
    """
    if settings.backgrounds is not None:
        photograph, seed = rng.choice(settings.backgrounds.of(colour)), rng.below(1 << 31)
        return Background(colour, photograph.colour, "photograph", seed, photograph)
    # Drawn even where it is not used, so that the `background` split has the same scenes as `test`.
    pattern = rng.choice(("waves", "cells"))
    rgb, seed = _jittered(rng, settings, colour), rng.below(1 << 31)
    kinds = {"mixed": pattern, "varied": varied_kind(seed)}
    return Background(colour, rgb, kinds.get(settings.background, settings.background), seed)


def centre_range(obj: SceneObject) -> tuple[int, int]:
    """Return the smallest and the largest coordinate that the object's centre may have."""
    r = obj.diameter // 2 + EDGE
    return r, CANVAS - r


def is_apart(obj: SceneObject, cx: int, cy: int, others: Sequence[SceneObject], gap: int) -> bool:
    """Return whether the object, with its centre at (cx, cy), keeps at least `gap` from all others."""
    for other in others:
        reach = (obj.diameter + other.diameter) // 2 + gap
        if (cx - other.cx) ** 2 + (cy - other.cy) ** 2 < reach * reach:
            return False
    return True


def place_all(
    rng: HashRng, settings: SceneSettings, objects: Sequence[SceneObject], around: Sequence[SceneObject] = ()
) -> list[SceneObject] | None:
    """Return the objects at random positions, apart from each other and from `around`; None if they do not fit."""
    gap = round(settings.gap * CANVAS)
    placed: list[SceneObject] = []
    for obj in objects:
        low, high = centre_range(obj)
        for _ in range(TRIES):
            cx, cy = rng.between(low, high), rng.between(low, high)
            if is_apart(obj, cx, cy, placed, gap) and is_apart(obj, cx, cy, around, gap):
                placed.append(obj.at(cx, cy))
                break
        else:
            return None
    return placed
