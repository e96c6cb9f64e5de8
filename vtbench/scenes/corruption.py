"""The four image corruptions of the `noise` split, in five severities."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

KINDS = ("blur", "gaussian", "jpeg", "contrast")
SEVERITIES = 5
BLUR = (0.004, 0.008, 0.012, 0.018, 0.026)
"""Radius as a fraction of the image's side."""
GAUSSIAN = (0.04, 0.08, 0.12, 0.18, 0.26)
"""Standard deviation as a fraction of full scale."""
JPEG = (50, 30, 18, 10, 6)
CONTRAST = (0.6, 0.45, 0.3, 0.2, 0.12)
"""Factor on each pixel's distance from mid-grey."""


@dataclass(frozen=True, slots=True)
class Corruption:
    """A kind of corruption, its severity in 1..5, and the key that seeds its noise."""

    kind: str
    severity: int
    key: str


def corruption_of(number: int, seed: int) -> Corruption:
    """Return the corruption of cluster `number`: kinds and severities cycle."""
    return Corruption(KINDS[number % 4], 1 + number // 4 % SEVERITIES, f"{seed}/{number}")


def corrupt(image: Image.Image, corruption: Corruption) -> Image.Image:
    """Return the corrupted RGB image."""
    level = corruption.severity - 1
    if corruption.kind == "blur":
        return image.filter(ImageFilter.GaussianBlur(BLUR[level] * image.height))
    if corruption.kind == "jpeg":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=JPEG[level])
        return Image.open(file).convert("RGB")
    pixels = np.asarray(image, dtype=np.float32)
    if corruption.kind == "contrast":
        corrupted = 127.5 + CONTRAST[level] * (pixels - 127.5)
    else:
        corrupted = pixels + _normal(corruption.key, pixels.shape) * (GAUSSIAN[level] * 255)
    return Image.fromarray(np.clip(corrupted + 0.5, 0, 255).astype(np.uint8))


def _normal(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return approximately normal noise (sums of four bytes) from a hash, the same on every machine."""
    count = int(np.prod(shape))
    stream = np.frombuffer(hashlib.shake_128(key.encode()).digest(4 * count), dtype=np.uint8)
    total = stream.reshape(4, *shape).sum(axis=0, dtype=np.float32)
    return (total - 4 * 127.5) / np.float32(2 * np.sqrt((256**2 - 1) / 12))
