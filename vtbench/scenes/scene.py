"""The scene model: the objects of an image and its background, in integers.

Lengths are integers in units of 1/256 pixel on an abstract canvas of 224 x 224 pixels (`CANVAS` units a side); a
scene is rendered at any size. x grows to the right, y downwards, angles are degrees counter-clockwise.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

UNIT = 256
CANVAS = 224 * UNIT

RGB = tuple[int, int, int]
Predicate = Literal["left", "right", "above", "below", "front", "behind"]
INVERSE: dict[str, Predicate] = {
    "left": "right",
    "right": "left",
    "above": "below",
    "below": "above",
    "front": "behind",
    "behind": "front",
}


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object: words for the questions, numbers for the renderer."""

    id: int
    shape: str
    colour: str
    texture: str
    size: str
    rgb: RGB
    """The colour as drawn: that of the palette plus a small jitter."""
    diameter: int
    """Of the shape's bounding circle, in canvas units."""
    cx: int
    cy: int
    rotation: int
    z: int
    """Drawing order: higher is in front."""

    def at(self, cx: int, cy: int) -> SceneObject:
        """Return the object with its centre at (cx, cy)."""
        # Several times as fast as `dataclasses.replace`, and called for every object of every attempt.
        return SceneObject(
            self.id,
            self.shape,
            self.colour,
            self.texture,
            self.size,
            self.rgb,
            self.diameter,
            cx,
            cy,
            self.rotation,
            self.z,
        )


@dataclass(frozen=True, slots=True)
class Background:
    """The background of a scene. `kind` is `plain`, or the name of a pattern."""

    colour: str
    rgb: RGB
    kind: str = "plain"
    seed: int = 0
    """Seed of the pattern."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A background and its objects."""

    background: Background
    objects: tuple[SceneObject, ...]

    def canonical(self) -> dict[str, Any]:
        """Return the scene as JSON-able data: the same for equal scenes, on any machine."""
        # The key "things" is part of every published scene hash.
        return {"background": _plain(self.background), "things": [_plain(obj) for obj in self.objects]}

    @property
    def hash(self) -> str:
        """sha256 of the canonical JSON, as hexadecimal."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(part: SceneObject | Background) -> dict[str, Any]:
    # `dataclasses.asdict` copies deeply, which takes longer than drawing the object.
    return {name: getattr(part, name) for name in part.__slots__}
