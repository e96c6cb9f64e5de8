"""Signed distance functions of the shapes, and the textures.

All functions take arrays `u` (right) and `v` (down) in pixels from the shape's centre, already rotated into the shape's
own axes, and a radius `r` in pixels: that of the bounding circle. Distances are in pixels, negative inside. They are
exact, or a lower bound, near the edge, which is where anti-aliasing needs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Array = np.ndarray


def clip_unit(values: Array) -> Array:
    """Clip an array to [0, 1] in place, and return it."""
    # `np.clip` spends more time in Python than in an object's few thousand pixels.
    np.maximum(values, 0, out=values)
    return np.minimum(values, 1, out=values)


def _polygon(corners: list[tuple[float, float]]) -> Callable[[Array, Array, float], Array]:
    """Return the signed distance of a convex polygon with these corners (clockwise on screen, unit circle)."""
    sides = []
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = math.hypot(x1 - x0, y1 - y0)
        nx, ny = (y1 - y0) / length, -(x1 - x0) / length
        sides.append((nx, ny, nx * x0 + ny * y0))

    def distance(u: Array, v: Array, r: float) -> Array:
        nx, ny, d = sides[0]
        out = nx * u + ny * v - d * r
        for nx, ny, d in sides[1:]:
            np.maximum(out, nx * u + ny * v - d * r, out=out)
        return out

    return distance


def _circle(u: Array, v: Array, r: float) -> Array:
    return np.sqrt(u * u + v * v) - r


def _ring(u: Array, v: Array, r: float) -> Array:
    return np.abs(np.sqrt(u * u + v * v) - 0.72 * r) - 0.28 * r


def _crescent(u: Array, v: Array, r: float) -> Array:
    # A disc with a smaller disc cut out of its right side.
    w = u - 0.5 * r
    return np.maximum(np.sqrt(u * u + v * v) - r, 0.72 * r - np.sqrt(w * w + v * v))


def _cross(u: Array, v: Array, r: float) -> Array:
    a, b = np.abs(u), np.abs(v)
    long, wide = 0.95 * r, 0.31 * r
    return np.minimum(np.maximum(a - long, b - wide), np.maximum(a - wide, b - long))


def _square(u: Array, v: Array, r: float) -> Array:
    return np.maximum(np.abs(u), np.abs(v)) - math.sqrt(0.5) * r


def _diamond(u: Array, v: Array, r: float) -> Array:
    # Corners at (0, r) and (0.62 r, 0): one edge, mirrored.
    length = math.hypot(1, 0.62)
    return np.abs(u) / length + np.abs(v) * (0.62 / length) - 0.62 / length * r


def _star(u: Array, v: Array, r: float) -> Array:
    # Five points: mirror the plane into the half of one point, then one straight edge from its tip to its notch.
    kx, ky = math.cos(math.pi / 5), math.sin(math.pi / 5)
    x, y = np.abs(u), -v
    for sign in (1, -1):
        across = np.maximum(sign * kx * x - ky * y, 0) * 2
        x = x - across * (sign * kx)
        y = y + across * ky
    nx, ny = 0.42 * math.sin(math.pi / 5), 0.42 * math.cos(math.pi / 5)
    return (nx * (y - r) + (1 - ny) * np.abs(x)) / math.hypot(nx, 1 - ny)


def _regular(points: int) -> list[tuple[float, float]]:
    angles = [2 * math.pi * k / points for k in range(points)]
    return [(math.sin(a), -math.cos(a)) for a in angles]


SHAPE_DISTANCES: dict[str, Callable[[Array, Array, float], Array]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _polygon(_regular(3)),
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "diamond": _diamond,
    "crescent": _crescent,
}
"""Signed distance by shape."""

CORNERS: dict[str, list[tuple[float, float]]] = {
    "square": [(x, y) for x in (-math.sqrt(0.5), math.sqrt(0.5)) for y in (-math.sqrt(0.5), math.sqrt(0.5))],
    "triangle": _regular(3),
    "diamond": [(0.62, 0), (-0.62, 0), (0, 1), (0, -1)],
}
"""Corners on the unit circle of the shapes that fill little of it, to draw no more pixels than needed."""

PERIODS = 3.2
"""Periods of a texture across an object's diameter."""


def _wave(u: Array, period: float) -> Array:
    """Signed distance in pixels to the nearest edge of bands half a period wide, positive inside the second colour."""
    phase = u / period
    return (np.abs(phase - np.rint(phase)) - 0.25) * period


def _striped(u: Array, v: Array, period: float) -> Array:
    return clip_unit(_wave(u, period) + 0.5)


def _checkered(u: Array, v: Array, period: float) -> Array:
    a, b = clip_unit(_wave(u, period) + 0.5), clip_unit(_wave(v, period) + 0.5)
    return a + b - 2 * a * b


def _dotted(u: Array, v: Array, period: float) -> Array:
    x = u - np.rint(u / period) * period
    y = v - np.rint(v / period) * period
    return clip_unit(0.34 * period - np.sqrt(x * x + y * y) + 0.5)


TEXTURE_COVERAGES: dict[str, Callable[[Array, Array, float], Array]] = {
    "striped": _striped,
    "checkered": _checkered,
    "dotted": _dotted,
}
"""Coverage of the second colour, in [0, 1], by texture; a solid object has none."""
