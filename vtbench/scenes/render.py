"""Renders a scene at any size, anti-aliased and exact to a fraction of a pixel.

An object's coverage of a pixel is its signed distance at the pixel's centre, clipped to half a pixel on either side.
Only the object's own bounding box is touched. Cut-outs are drawn by `cutout_drawing`, in the same boxes and axes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from vtbench.scenes.backgrounds import paint_background
from vtbench.scenes.cutout_drawing import covers, draw_cutout, extent
from vtbench.scenes.scene import CANVAS, RGB, Scene, SceneObject
from vtbench.scenes.shapes import CORNERS, PERIODS, SHAPE_DISTANCES, TEXTURE_COVERAGES, clip_unit

TINT = 0.8
"""Weight of white in a texture's second colour."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


@lru_cache(maxsize=16)
def _pixel_axis(size: int) -> np.ndarray:
    """Return 0, 1, ... size - 1 as float32."""
    return np.arange(size, dtype=np.float32)


@lru_cache(maxsize=1024)
def _orientation(shape: str, rotation: int) -> tuple[float, float, float, float, float, float]:
    """Return cosine and sine of a rotation, and the rotated shape's left, top, right and bottom in units of radius."""
    angle = math.radians(rotation)
    c, s = math.cos(angle), math.sin(angle)
    if shape not in CORNERS:
        return c, s, -1, -1, 1, 1
    xs, ys = zip(*((c * u + s * v, c * v - s * u) for u, v in CORNERS[shape]), strict=True)
    return c, s, min(xs), min(ys), max(xs), max(ys)


def _local_axes(obj: SceneObject, size: int, margin: int) -> tuple[Box, np.ndarray, np.ndarray, float] | None:
    """Return the box of pixels that an object may touch, their coordinates in its own axes, and its radius.

    Args:
        obj: the object.
        size: side of the image in pixels.
        margin: how far the box reaches beyond the shape, in pixels.
    """
    scale = size / CANVAS
    x, y, r = obj.cx * scale, obj.cy * scale, obj.diameter * scale / 2
    c, s, left, top, right, bottom = (
        _orientation(obj.shape, obj.rotation) if obj.cutout is None else extent(obj.cutout, obj.rotation)
    )
    x0, x1 = max(0, math.floor(x + left * r) - margin), min(size, math.ceil(x + right * r) + margin)
    y0, y1 = max(0, math.floor(y + top * r) - margin), min(size, math.ceil(y + bottom * r) + margin)
    if x0 >= x1 or y0 >= y1:
        return None
    axis = _pixel_axis(size)
    dx = axis[x0:x1] + (0.5 - x)
    dy = axis[y0:y1, None] + (0.5 - y)
    return (x0, y0, x1, y1), c * dx - s * dy, s * dx + c * dy, r


def render(scene: Scene, size: int) -> Image.Image:
    """Return the image, size x size pixels, RGB."""
    image = paint_background(scene.background, size)
    for obj in sorted(scene.objects, key=lambda o: o.z):
        for rgb, corner, mask in _layers(obj, size):
            image.paste(rgb, corner, mask)
    return image


@lru_cache(maxsize=16)  # the members of a minimal pair share objects, and are rendered one after the other
def _layers(obj: SceneObject, size: int) -> list[tuple[RGB | Image.Image, tuple[int, int], Image.Image]]:
    """Return what to paste for an object, in order: colour or image, upper left corner, and mask."""
    local = _local_axes(obj, size, margin=1)
    if local is None:
        return []
    (x0, y0, _, _), u, v, r = local
    if obj.cutout is not None:
        drawn, mask = draw_cutout(obj.cutout, obj.rgb, obj.texture, obj.rotation, u, v, r)
        return [(drawn, (x0, y0), mask)]
    coverage = clip_unit(0.5 - SHAPE_DISTANCES[obj.shape](u, v, r))
    if obj.texture not in TEXTURE_COVERAGES:
        return [(obj.rgb, (x0, y0), _paste_mask(coverage))]
    second = coverage * TEXTURE_COVERAGES[obj.texture](u, v, 2 * r / PERIODS)
    coverage -= second
    red, green, blue = (round(c + TINT * (255 - c)) for c in obj.rgb)
    # The first colour is pasted over the second one; the masks are chosen so that the pixel gets `second` of the
    # second colour and `coverage` of the first.
    return [
        ((red, green, blue), (x0, y0), _paste_mask(second / np.maximum(1 - coverage, 1e-6))),
        (obj.rgb, (x0, y0), _paste_mask(coverage)),
    ]


def _paste_mask(coverage: np.ndarray) -> Image.Image:
    levels = (coverage * 255 + 0.5).astype(np.uint8)
    return Image.frombuffer("L", levels.shape[::-1], levels, "raw", "L", 0, 1)


@dataclass(frozen=True, slots=True)
class Silhouette:
    """The pixels whose centre an object covers, hidden or not."""

    box: Box
    mask: np.ndarray
    """(bottom - top, right - left) bool."""

    def shared_area(self, other: Silhouette) -> int:
        """Return the number of pixels in both."""
        left, top = max(self.box[0], other.box[0]), max(self.box[1], other.box[1])
        right, bottom = min(self.box[2], other.box[2]), min(self.box[3], other.box[3])
        if left >= right or top >= bottom:
            return 0
        mine, its = (
            obj.mask[top - obj.box[1] : bottom - obj.box[1], left - obj.box[0] : right - obj.box[0]]
            for obj in (self, other)
        )
        return int(np.count_nonzero(mine & its))


def silhouette(obj: SceneObject, size: int) -> Silhouette:
    """Return the silhouette of an object in an image of size x size pixels."""
    local = _local_axes(obj, size, margin=0)
    if local is None:
        return Silhouette((0, 0, 0, 0), np.zeros((0, 0), dtype=bool))
    box, u, v, r = local
    if obj.cutout is not None:
        return Silhouette(box, covers(obj.cutout, u, v, r))
    return Silhouette(box, SHAPE_DISTANCES[obj.shape](u, v, r) < 0)


def id_mask(scene: Scene, size: int) -> np.ndarray:
    """Return the id of the top object at each pixel's centre, (size, size) int16; -1 for the background."""
    mask = np.full((size, size), -1, dtype=np.int16)
    for obj in sorted(scene.objects, key=lambda o: o.z):
        found = silhouette(obj, size)
        x0, y0, x1, y1 = found.box
        mask[y0:y1, x0:x1][found.mask] = obj.id
    return mask
