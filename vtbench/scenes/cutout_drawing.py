"""Draws cut-outs: their silhouette, and their pixels in another colour.

Arrays `u` (right) and `v` (down) are in pixels of the scene's image from the object's centre, in the object's own axes,
and `r` is the radius of its bounding circle, as for shapes. The silhouette is found by arithmetic alone, so that which
scenes are made does not depend on how a library scales images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageOps

from vtbench.errors import TaskError
from vtbench.scenes.scene import RGB, Cutout
from vtbench.scenes.shapes import PERIODS, TEXTURE_COVERAGES
from vtbench.scenes.tint import lightness, retint

OPAQUE = 128
"""Alpha from which a pixel is part of the object's silhouette."""
TINT = 0.8
"""Weight of white in a texture's second colour, as for shapes."""


@dataclass(frozen=True)
class CutoutPixels:
    """A decoded cut-out, of its alpha box alone."""

    image: Image.Image
    """RGBA."""
    mask: np.ndarray
    """(h, w) bool: the silhouette. Holes are part of the background."""
    reach: float
    """Distance from the middle of the box to the farthest corner of a pixel of the silhouette, in the file's pixels."""
    mean_lightness: float
    """Mean L* of the silhouette."""


@lru_cache(maxsize=256)
def decoded(cutout: Cutout) -> CutoutPixels:
    """Read a cut-out.

    Raises:
        TaskError: its file is gone, has changed to something else, or is empty in its box.
    """
    try:
        with Image.open(cutout.path) as file:
            image = file.convert("RGBA").crop(cutout.box)
    except (OSError, Image.DecompressionBombError) as error:
        raise TaskError(f"{cutout.path}: cannot be read as an image ({error})") from None
    pixels = np.asarray(image)
    mask = pixels[..., 3] >= OPAQUE
    if not mask.any():
        raise TaskError(f"{cutout.path}: nothing of {cutout.name!r} is opaque: its mask is empty")
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    far = np.hypot(np.abs(columns + 0.5 - width / 2) + 0.5, np.abs(rows + 0.5 - height / 2) + 0.5)
    return CutoutPixels(image, mask, float(far.max()), float(lightness(pixels[mask][:, :3]).mean()))


@lru_cache(maxsize=4096)
def extent(cutout: Cutout, rotation: int) -> tuple[float, float, float, float, float, float]:
    """Return cosine and sine of a rotation, and the rotated box's left, top, right and bottom in units of radius."""
    found, angle = decoded(cutout), math.radians(rotation)
    c, s = math.cos(angle), math.sin(angle)
    half_width, half_height = found.image.width / 2 / found.reach, found.image.height / 2 / found.reach
    right, bottom = abs(c) * half_width + abs(s) * half_height, abs(s) * half_width + abs(c) * half_height
    return c, s, -right, -bottom, right, bottom


def covers(cutout: Cutout, u: np.ndarray, v: np.ndarray, r: float) -> np.ndarray:
    """Return which points lie in the silhouette, bool in the form of `u` and `v`."""
    found = decoded(cutout)
    height, width = found.mask.shape
    x, y = np.floor(u * (found.reach / r) + width / 2), np.floor(v * (found.reach / r) + height / 2)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    columns, rows = np.clip(x, 0, width - 1).astype(np.intp), np.clip(y, 0, height - 1).astype(np.intp)
    result: np.ndarray = found.mask[rows, columns] & inside
    return result


def draw_cutout(
    cutout: Cutout, colour: RGB, texture: str, rotation: int, u: np.ndarray, v: np.ndarray, r: float
) -> tuple[Image.Image, Image.Image]:
    """Return a cut-out in another colour, and the mask with which to paste it, for the pixels at `u` and `v`.

    Args:
        cutout: what is drawn.
        colour: what it is re-tinted to.
        texture: `solid`, or a pattern that is painted on it.
        rotation: in degrees.
        u: coordinates of the pixels, (h, w).
        v: likewise.
        r: radius in pixels.
    """
    found = decoded(cutout)
    scale = r / found.reach
    # First to the size at which it is drawn, which averages, then to its exact place and angle.
    width = max(1, round(found.image.width * min(scale, 1)))
    height = max(1, round(found.image.height * min(scale, 1)))
    small = found.image.resize((width, height), Image.Resampling.BOX, reducing_gap=None)
    pixels = np.array(small)
    pixels[..., :3] = retint(pixels[..., :3], found.mean_lightness, colour)
    if texture in TEXTURE_COVERAGES:
        x = ((np.arange(width) + 0.5) / width - 0.5) * found.image.width * scale
        y = ((np.arange(height) + 0.5) / height - 0.5) * found.image.height * scale
        across, down = np.meshgrid(x, y)
        second = TINT * TEXTURE_COVERAGES[texture](across, down, 2 * r / PERIODS)[..., None]
        pixels[..., :3] = (pixels[..., :3] + second * (255 - pixels[..., :3].astype(float)) + 0.5).astype(np.uint8)
    # A border, because the transform takes pixels at the very edge as they are, without a soft edge.
    bordered = ImageOps.expand(Image.fromarray(pixels, "RGBA"), 1, (0, 0, 0, 0))
    angle = math.radians(rotation)
    c, s = math.cos(angle), math.sin(angle)
    across_scale, down_scale = width / (found.image.width * scale), height / (found.image.height * scale)
    left, top = float(u[0, 0]), float(v[0, 0])
    # From the middle of output pixel (x, y), at (x + 0.5, y + 0.5), to the place in `bordered` that it shows.
    matrix = (
        across_scale * c,
        -across_scale * s,
        across_scale * (left - 0.5 * (c - s)) + width / 2 + 1,
        down_scale * s,
        down_scale * c,
        down_scale * (top - 0.5 * (s + c)) + height / 2 + 1,
    )
    drawn = bordered.transform(u.shape[::-1], Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return drawn.convert("RGB"), drawn.getchannel("A")
