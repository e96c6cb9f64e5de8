"""Settings of scenes, as a task file gives them under `scene:` and `relations:`. Checked once, then frozen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)

from vtbench.errors import nearest
from vtbench.scenes.cast import Cast, as_cast
from vtbench.scenes.photographs import Photographs, as_photographs
from vtbench.scenes.scene import CANVAS, RGB, Cutout
from vtbench.scenes.tint import lab

Texture = Literal["solid", "striped", "checkered", "dotted"]

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring", "diamond", "crescent")
TEXTURES: tuple[Texture, ...] = ("solid", "striped", "checkered", "dotted")
COLOURS: dict[str, RGB] = {
    "red": (214, 34, 40),
    "green": (36, 150, 60),
    "blue": (40, 92, 214),
    "yellow": (246, 218, 50),
    "orange": (244, 132, 20),
    "purple": (150, 46, 158),
    "cyan": (84, 204, 224),
    "black": (28, 28, 32),
}
SIZES = {"small": 0.19, "large": 0.31}

LEAST_DIFFERENCE = 12
"""Distance in CIELAB of any two colours of a palette; those of the built-in one are 40 or more apart."""
LEAST_CONTRAST = 30
"""Distance in CIELAB of an object's colour from the mean colour of the photograph on which it lies."""

Channel = Annotated[int, Field(ge=0, le=255)]


def _unique(items: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(items)) != len(items):
        raise ValueError("names must differ")
    return items


class StrictModel(BaseModel):
    """Base of all settings in a task file: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


_DIRECTORY = WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]})
_DIGEST = PlainSerializer(lambda value: value and str(value))  # a copy in another directory is the same run


class SceneSettings(StrictModel):
    """What scenes are made of."""

    cast: Annotated[Cast | None, PlainValidator(as_cast), _DIGEST, _DIRECTORY] = None
    """A directory of cut-outs with a cast.json, relative to the task file: objects in the place of the shapes."""
    backgrounds: Annotated[Photographs | None, PlainValidator(as_photographs), _DIGEST, _DIRECTORY] = None
    """A directory of photographs, relative to the task file, in the place of coloured backgrounds."""
    shapes: Annotated[tuple[str, ...], AfterValidator(_unique)] = Field(SHAPES, min_length=2, validate_default=True)
    """Shapes that occur, at least two; with a cast the names of its objects, all of them by default."""
    textures: Annotated[tuple[Texture, ...], AfterValidator(_unique)] = Field(TEXTURES, min_length=1)
    """Textures that occur."""
    colours: dict[str, tuple[Channel, Channel, Channel]] = Field(default_factory=lambda: dict(COLOURS), min_length=3)
    """RGB by colour word, for objects and backgrounds."""
    sizes: dict[str, Annotated[float, Field(gt=0.02, lt=0.6)]] = Field(
        default_factory=lambda: dict(SIZES), min_length=1
    )
    """Diameter by size word, as a fraction of the canvas; words differ by a factor of 1.6 or more."""
    min_objects: int = Field(1, ge=1, le=6)
    """Fewest objects in a scene."""
    max_objects: int = Field(4, ge=1, le=6)
    """Most objects in a scene."""
    gap: float = Field(0.02, ge=0, lt=0.3)
    """Least distance between two objects' bounding circles, as a fraction of the canvas."""
    colour_jitter: int = Field(6, ge=0, le=20)
    """Largest change of an RGB channel from the palette's value."""
    size_jitter: float = Field(0.04, ge=0, le=0.2)
    """Largest relative change of a diameter."""
    rotation: int = Field(12, ge=0, le=20)
    """Largest turn in degrees; more would confuse a square with a diamond."""
    background: Literal["plain", "gradient", "waves", "cells", "mixed", "varied"] = "plain"
    """Pattern of the background; `mixed` takes `waves` or `cells` by item, `varied` a third each of plain ones,
    gradients, and `waves` or `cells`."""

    @field_validator("shapes")
    @classmethod
    def _known(cls, shapes: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        cast: Cast | None = info.data.get("cast")
        known = SHAPES if cast is None else cast.names
        if cast is not None and shapes == SHAPES:
            return known
        for shape in shapes:
            if shape not in known:
                what = "shape" if cast is None else "object of the cast"
                raise ValueError(f"there is no {what} {shape!r}.{nearest(shape, list(known))}")
        return shapes

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # The settings of a task of drawn shapes, and so the digest of its runs, are what they were before casts.
        found: dict[str, Any] = handler(self)
        return {name: value for name, value in found.items() if value is not None}

    @model_validator(mode="after")
    def _consistent(self) -> SceneSettings:
        if self.min_objects > self.max_objects:
            raise ValueError(f"min_objects {self.min_objects} is above max_objects {self.max_objects}")
        ordered = sorted(self.sizes.values())
        if any(b < 1.6 * a for a, b in pairwise(ordered)):
            raise ValueError("sizes: neighbouring diameters must differ by a factor of 1.6 or more")
        _check_words("colours", self.colours)
        _check_words("sizes", self.sizes)
        for shape in self.shapes:
            if found := sorted({*shape.split()} & {*self.colours, *self.sizes}):
                raise ValueError(f"shapes: {shape!r} has the word {found[0]!r}, which is an answer; leave it out")
        for (one, rgb), (other, other_rgb) in combinations(self.colours.items(), 2):
            if colour_difference(rgb, other_rgb) < LEAST_DIFFERENCE:
                raise ValueError(f"colours: {one} {list(rgb)} and {other} {list(other_rgb)} look alike; choose others")
        return self

    @property
    def background_words(self) -> tuple[str, ...]:
        """The words for backgrounds: colours, or what the photographs show."""
        return tuple(self.colours) if self.backgrounds is None else self.backgrounds.kinds

    def colours_like(self, background: str) -> set[str]:
        """Return the colours that an object on a background must not have.

        Args:
            background: one of `background_words`; of several photographs, none may be like the object.
        """
        if self.backgrounds is None:
            return {background}
        means = [photograph.colour for photograph in self.backgrounds.of(background)]
        return {
            word
            for word, rgb in self.colours.items()
            if any(colour_difference(rgb, mean) < LEAST_CONTRAST for mean in means)
        }

    def cutout(self, shape: str) -> Cutout | None:
        """Return what is drawn for an object of this name; None without a cast."""
        return None if self.cast is None else self.cast[shape]

    def diameter(self, size: str) -> int:
        """Return the nominal diameter of a size word in canvas units."""
        return round(self.sizes[size] * CANVAS)


def _check_words(key: str, words: Iterable[str]) -> None:
    """Refuse words that an answer cannot have, or that are the same word to whoever compares answers."""
    seen: dict[str, str] = {}
    for word in words:
        plain = " ".join(word.casefold().split())
        if not plain:
            raise ValueError(f"{key}: the word {word!r} is empty")
        if plain in seen:
            raise ValueError(f"{key}: {seen[plain]!r} and {word!r} are the same word")
        seen[plain] = word


def colour_difference(one: RGB, other: RGB) -> float:
    """Return the distance of two sRGB colours in CIELAB (CIE 1976); 2 is just noticeable beside each other.

    >>> round(colour_difference((0, 0, 0), (255, 255, 255)))
    100
    """
    return math.dist(lab(one), lab(other))


class RelationSettings(StrictModel):
    """When a spatial statement is true."""

    offset: float = Field(0.15, gt=0, lt=0.5)
    """A relation needs at least this offset along its axis, as a fraction of the canvas ..."""
    axis_ratio: float = Field(1.5, ge=1, le=10)
    """... and at least this many times the offset along the other axis."""
    overlap: float = Field(0.10, gt=0, lt=0.7)
    """`front` and `behind` need this share of the smaller object to be overlapped."""
    visible: float = Field(0.3, gt=0, lt=1)
    """An object that is partly hidden stays visible by at least this share ..."""
    visible_pixels: int = Field(60, ge=0)
    """... and by this many pixels of a 224 x 224 image."""
