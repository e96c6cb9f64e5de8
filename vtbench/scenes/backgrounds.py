"""Draws a scene's background: a plain colour, or a gradient or pattern of one colour word in several lightnesses."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from vtbench.scenes.photographs import crop
from vtbench.scenes.rng import HashRng
from vtbench.scenes.scene import Background

CONTRAST = 0.22
"""Weight of white (for dark colours) or black (for light ones) in a pattern's second tone."""
GRADIENT_CONTRAST = 0.3
"""The same at the far end of a gradient; from 0.35 on, blue comes close to another colour of the palette."""
VARIED = ("plain", "plain", "gradient", "gradient", "waves", "cells")
"""Kinds of the setting `varied`, each as often as its share: a third flat, a third gradients, a third textured."""


def varied_kind(seed: int) -> str:
    """Return the kind of a background of the setting `varied`, a function of its seed.

    Nothing is drawn from the scene's own stream: the objects stay where they are on any background.
    """
    return HashRng("background", seed).choice(VARIED)


def paint_background(background: Background, size: int) -> Image.Image:
    """Return the canvas before any object is drawn, size x size pixels, RGB."""
    if background.photograph is not None:
        return crop(background.photograph, background.seed, size)
    if background.kind == "plain":
        return Image.new("RGB", (size, size), background.rgb)
    base = np.array(background.rgb, dtype=np.float32)
    contrast = GRADIENT_CONTRAST if background.kind == "gradient" else CONTRAST
    weight = _PATTERNS[background.kind](background.seed, size)
    extreme = np.float32(255 if base.mean() < 128 else 0)
    tones = base + (weight * np.float32(contrast))[..., None] * (extreme - base)
    return Image.fromarray((tones + 0.5).astype(np.uint8))


def _waves(seed: int, size: int) -> np.ndarray:
    """Sum of three plane waves, scaled to 0..1."""
    rng = HashRng("waves", seed)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    total = np.zeros((size, size), dtype=np.float32)
    for _ in range(3):
        angle, turns = rng.below(360), rng.between(4, 14)
        phase = rng.below(360)
        along = math.cos(math.radians(angle)) * axis + math.sin(math.radians(angle)) * axis[:, None]
        total += np.sin(2 * math.pi * turns * along + math.radians(phase), dtype=np.float32)
    return (total + 3) / 6


def _gradient(seed: int, size: int) -> np.ndarray:
    """Rise from 0 in one corner, or along one side, to 1 opposite."""
    angle = math.radians(HashRng("gradient", seed).below(360))
    c, s = math.cos(angle), math.sin(angle)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    return (c * axis + s * axis[:, None]) / (abs(c) + abs(s)) + 0.5


def _cells(seed: int, size: int) -> np.ndarray:
    """Random grey level per cell of a 14 x 14 grid, sharp edges."""
    rng = HashRng("cells", seed)
    levels = np.array([rng.below(256) for _ in range(14 * 14)], dtype=np.float32).reshape(14, 14) / 255
    cell = (np.arange(size) * 14) // size
    return levels[cell[:, None], cell]


_PATTERNS = {"gradient": _gradient, "waves": _waves, "cells": _cells}
