"""Renders a scene at any size, anti-aliased and exact to a fraction of a pixel.

An object's coverage of a pixel is its signed distance at the pixel's centre, clipped to half a pixel on either side.
Only the object's own bounding box is touched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from vtbench.scenes.backgrounds import paint_background
from vtbench.scenes.scene import CANVAS, Scene, SceneObject
from vtbench.scenes.shapes import PERIODS, SHAPE_DISTANCES, TEXTURE_COVERAGES

TINT = 0.8
"""Weight of white in a texture's second colour."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


@lru_cache(maxsize=16)
def _pixel_axis(size: int) -> np.ndarray:
    """Return 0, 1, ... size - 1 as float32."""
    return np.arange(size, dtype=np.float32)


def _local_axes(obj: SceneObject, size: int) -> tuple[Box, np.ndarray, np.ndarray, float] | None:
    """Return the box of pixels that an object may touch, their coordinates in its own axes, and its radius."""
    scale = size / CANVAS
    x, y, r = obj.cx * scale, obj.cy * scale, obj.diameter * scale / 2
    x0, x1 = max(0, math.floor(x - r - 1)), min(size, math.ceil(x + r + 1))
    y0, y1 = max(0, math.floor(y - r - 1)), min(size, math.ceil(y + r + 1))
    if x0 >= x1 or y0 >= y1:
        return None
    axis = _pixel_axis(size)
    dx = axis[x0:x1] + np.float32(0.5 - x)
    dy = (axis[y0:y1] + np.float32(0.5 - y))[:, None]
    angle = math.radians(obj.rotation)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return (x0, y0, x1, y1), c * dx - s * dy, s * dx + c * dy, r


def render(scene: Scene, size: int) -> Image.Image:
    """Return the image, size x size pixels, RGB."""
    image = paint_background(scene.background, size)
    for obj in sorted(scene.objects, key=lambda o: o.z):
        local = _local_axes(obj, size)
        if local is None:
            continue
        (x0, y0, _, _), u, v, r = local
        coverage = np.clip(0.5 - SHAPE_DISTANCES[obj.shape](u, v, r), 0, 1)
        if obj.texture in TEXTURE_COVERAGES:
            second = coverage * TEXTURE_COVERAGES[obj.texture](u, v, 2 * r / PERIODS)
            coverage -= second
            # The first colour is pasted over the second: the masks are such that the pixel ends up with `second` of
            # the one and `coverage` of the other.
            tint = tuple(round(c + TINT * (255 - c)) for c in obj.rgb)
            image.paste(tint, (x0, y0), _paste_mask(second / np.maximum(1 - coverage, 1e-6)))
        image.paste(obj.rgb, (x0, y0), _paste_mask(coverage))
    return image


def _paste_mask(coverage: np.ndarray) -> Image.Image:
    return Image.fromarray((coverage * 255 + 0.5).astype(np.uint8))


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
    local = _local_axes(obj, size)
    if local is None:
        return Silhouette((0, 0, 0, 0), np.zeros((0, 0), dtype=bool))
    box, u, v, r = local
    return Silhouette(box, SHAPE_DISTANCES[obj.shape](u, v, r) < 0)


def id_mask(scene: Scene, size: int) -> np.ndarray:
    """Return the id of the top object at each pixel's centre, (size, size) int16; -1 for the background."""
    mask = np.full((size, size), -1, dtype=np.int16)
    for obj in sorted(scene.objects, key=lambda o: o.z):
        found = silhouette(obj, size)
        x0, y0, x1, y1 = found.box
        mask[y0:y1, x0:x1][found.mask] = obj.id
    return mask
