"""Colours in CIELAB, and re-tinting: an object's light and shade kept, its colour set.

Lightness L* goes from 0 (black) to 100 (white); a* and b* are hue and chroma. Formulas: IEC 61966-2-1 (sRGB) and CIE 15
(CIELAB), under D65.
"""

from __future__ import annotations

import numpy as np

from vtbench.scenes.scene import RGB

_LINEAR = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.arange(256) / 255])
"""Linear light by 8-bit value of a channel."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_WHITE = (0.9505, 1.0, 1.089)
_TO_RGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
_THRESHOLD, _SLOPE = 216 / 24389, 24389 / 27


def lab(colour: RGB) -> tuple[float, float, float]:
    """Return L*, a*, b* of an sRGB colour."""
    red, green, blue = (
        (c / 12.92 if (c := channel / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for channel in colour
    )
    x, y, z = (
        t ** (1 / 3) if (t := value) > _THRESHOLD else (_SLOPE * t + 16) / 116
        for value in (
            (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
            0.2126 * red + 0.7152 * green + 0.0722 * blue,
            (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
        )
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def lightness(pixels: np.ndarray) -> np.ndarray:
    """Return L* of 8-bit sRGB pixels, (..., 3) -> (...)."""
    y = _LINEAR[pixels] @ _LUMINANCE
    return 116 * np.where(y > _THRESHOLD, np.cbrt(y), (_SLOPE * y + 16) / 116) - 16


def retint(pixels: np.ndarray, mean: float, colour: RGB) -> np.ndarray:
    """Return pixels in another colour, with their light and shade.

    A pixel as light as the object's mean gets the colour itself. Others are lighter or darker by as much as they were,
    or by less where black or white is nearer to the colour than to the mean; towards both the chroma falls to 0, as it
    does on a lit object.

    Args:
        pixels: (..., 3) uint8 sRGB.
        mean: the object's mean L*.
        colour: what the object shall be.
    """
    middle, a, b = lab(colour)
    light = lightness(pixels)
    below, above = min(1.0, middle / max(mean, 1e-6)), min(1.0, (100 - middle) / max(100 - mean, 1e-6))
    offset = light - mean
    level = np.clip(middle + offset * np.where(offset < 0, below, above), 0, 100)
    chroma = np.minimum(np.minimum(level / middle, (100 - level) / (100 - middle)), 1)
    return _srgb(level, a * chroma, b * chroma)


def _srgb(level: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return 8-bit sRGB of CIELAB; what no screen can show is clipped."""
    y = (level + 16) / 116
    xyz = []
    for t, white in zip((y + a / 500, y, y - b / 200), _WHITE, strict=True):
        xyz.append(np.where(t**3 > _THRESHOLD, t**3, (116 * t - 16) / _SLOPE) * white)
    linear = np.clip(np.stack(xyz, axis=-1) @ _TO_RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255 + 0.5).astype(np.uint8)
