"""Scene and size in, picture out: anti-aliased, exact to a fraction of a pixel, at any size.

An object covers a pixel by its signed distance there, clipped to half a pixel on either side; only the object's own
bounding box is touched.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from vtbench.scenes.backgrounds import paint_background
from vtbench.scenes.draw_shapes import PERIODS, SHAPES, TEXTURES
from vtbench.scenes.scene import CANVAS, Scene, Thing

TINT = 0.8
"""How far a texture's second colour goes towards white."""

Box = tuple[slice, slice]


def _local(thing: Thing, size: int) -> tuple[Box, np.ndarray, np.ndarray, float] | None:
    """Return the box of pixels a thing may touch, their coordinates in the thing's own axes, and its radius."""
    scale = size / CANVAS
    x, y, r = thing.cx * scale, thing.cy * scale, thing.diameter * scale / 2
    x0, x1 = max(0, math.floor(x - r - 1)), min(size, math.ceil(x + r + 1))
    y0, y1 = max(0, math.floor(y - r - 1)), min(size, math.ceil(y + r + 1))
    if x0 >= x1 or y0 >= y1:
        return None
    dx = np.arange(x0, x1, dtype=np.float32) + np.float32(0.5 - x)
    dy = (np.arange(y0, y1, dtype=np.float32) + np.float32(0.5 - y))[:, None]
    angle = math.radians(thing.rotation)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    return (slice(y0, y1), slice(x0, x1)), c * dx - s * dy, s * dx + c * dy, r


def render(scene: Scene, size: int) -> Image.Image:
    """Return the picture, size x size pixels, RGB."""
    picture = paint_background(scene.background, size)
    for thing in sorted(scene.things, key=lambda t: t.z):
        local = _local(thing, size)
        if local is None:
            continue
        (rows, columns), u, v, r = local
        corner = (columns.start, rows.start)
        cover = np.clip(0.5 - SHAPES[thing.shape](u, v, r), 0, 1)
        if thing.texture in TEXTURES:
            second = cover * TEXTURES[thing.texture](u, v, 2 * r / PERIODS)
            cover -= second
            # Pasted one over the other, the two colours are to end up with the shares `second` and `cover`.
            tint = tuple(round(c + TINT * (255 - c)) for c in thing.rgb)
            picture.paste(tint, corner, _mask(second / np.maximum(1 - cover, 1e-6)))
        picture.paste(thing.rgb, corner, _mask(cover))
    return picture


def _mask(share: np.ndarray) -> Image.Image:
    return Image.fromarray((share * 255 + 0.5).astype(np.uint8))


def id_mask(scene: Scene, size: int) -> np.ndarray:
    """Return which object is on top at each pixel's centre, (size, size) int16: its id, or -1 for the background."""
    mask = np.full((size, size), -1, dtype=np.int16)
    for thing in sorted(scene.things, key=lambda t: t.z):
        local = _local(thing, size)
        if local is not None:
            box, u, v, r = local
            mask[box][SHAPES[thing.shape](u, v, r) < 0] = thing.id
    return mask


def silhouette(thing: Thing, size: int) -> np.ndarray:
    """Return the pixels whose centre the thing covers, hidden or not, (size, size) bool."""
    mask = np.zeros((size, size), dtype=bool)
    local = _local(thing, size)
    if local is not None:
        box, u, v, r = local
        mask[box] = SHAPES[thing.shape](u, v, r) < 0
    return mask
