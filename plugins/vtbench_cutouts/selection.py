"""Which candidates suit a cast: whole objects, large and full enough to be recognised when they are drawn small."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

OPAQUE = 128
"""Alpha from which a pixel is part of the object."""
LEAST_SIDE = 64
"""Of the longer side of the object's box, in pixels."""
LEAST_FULL = 0.12
"""Share of the bounding circle that the object covers: of a thinner one hardly anything is seen."""
MOST_CONTACT = 0.25
"""Share of a side of the box along which an object in a tight frame may touch it: more is a cut."""
MOST_FLAT = 0.5
"""Share of neighbouring pixels with one colour, above which an object is drawn: photographs have grain."""


def image_problem(image: Image.Image, framed: bool, photographed: bool) -> str | None:
    """Return why an object does not suit a cast; None if it does.

    Args:
        image: the object in its frame, RGBA.
        framed: whether the frame is that of a photograph.
        photographed: whether a drawing does not suit.
    """
    pixels = np.asarray(image)
    mask = pixels[..., 3] >= OPAQUE
    if not mask.any():
        return "its mask is empty"
    if mask.all():
        return "nothing around it is transparent"
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)
    if max(height, width) < LEAST_SIDE:
        return f"too small: {width} x {height} pixels, {LEAST_SIDE} are the least of the longer side"
    if (full := mask.sum() / (math.pi / 4 * (height**2 + width**2))) < LEAST_FULL:
        return f"too thin: it covers {full:.0%} of its bounding circle, {LEAST_FULL:.0%} are the least"
    contact = max(mask[0].sum() / width, mask[-1].sum() / width, mask[:, 0].sum() / height, mask[:, -1].sum() / height)
    if contact > (0 if framed else MOST_CONTACT):
        return f"touches its frame: along {contact:.0%} of a side, so it may be cut off"
    if photographed and (flat := _flatness(pixels[..., :3], mask)) > MOST_FLAT:
        return f"drawn, not photographed: {flat:.0%} of its neighbouring pixels have one colour"
    return None


def _flatness(rgb: np.ndarray, mask: np.ndarray) -> float:
    """Return the share of horizontal neighbours inside the mask that have the same colour."""
    both = mask[:, 1:] & mask[:, :-1]
    same = (rgb[:, 1:] == rgb[:, :-1]).all(axis=-1)
    return float(same[both].mean()) if both.any() else 0.0
