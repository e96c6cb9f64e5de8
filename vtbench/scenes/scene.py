"""The scene model: the objects of an image and its background, in integers.

Lengths are integers in units of 1/256 pixel on an abstract canvas of 224 x 224 pixels (`CANVAS` units a side); a
scene is rendered at any size. x grows to the right, y downwards, angles are degrees counter-clockwise.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
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
class Cutout:
    """An object cut out of an image, which is drawn in the place of a shape (`vtbench.scenes.cast`)."""

    name: str
    path: str = field(compare=False)
    """A PNG file with alpha."""
    digest: str
    """sha256 of the file, as hexadecimal. A copy of the file elsewhere is the same cut-out."""
    box: tuple[int, int, int, int]
    """Left, top, right, bottom of the object in the file, in pixels."""
    colour: RGB
    """Mean colour of the object as it is in the file: its usual colour, which no scene shows on purpose."""


@dataclass(frozen=True, slots=True)
class Photograph:
    """An image that is drawn in the place of a background (`vtbench.scenes.photographs`)."""

    kind: str
    """What it shows, in a word or two: `grass`."""
    path: str = field(compare=False)
    digest: str
    """sha256 of the file, as hexadecimal."""
    colour: RGB
    """Its mean colour."""


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
    cutout: Cutout | None = None
    """What is drawn in the place of the shape, whose word is then the cut-out's name."""

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
            self.cutout,
        )


@dataclass(frozen=True, slots=True)
class Background:
    """The background of a scene. `kind` is `plain`, the name of a pattern, or `photograph`."""

    colour: str
    """Its colour word; of a photograph, the word for what it shows."""
    rgb: RGB
    kind: str = "plain"
    seed: int = 0
    """Seed of the pattern, or of the part of the photograph that is shown."""
    photograph: Photograph | None = None


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
    # What is only in scenes of cut-outs and photographs is no part of the hash of any other scene.
    values = {name: getattr(part, name) for name in part.__slots__}
    return {
        name: value.digest if isinstance(value, Cutout | Photograph) else value
        for name, value in values.items()
        if value is not None
    }
