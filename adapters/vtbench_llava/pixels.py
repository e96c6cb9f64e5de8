"""Pictures of the model's own size in, pixel values as the processor gives them out, without a loop over pictures.

Also where the patches of a picture stand in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

_LEVELS = 256


@dataclass(frozen=True, slots=True)
class PixelTable:
    """The processor as a table of 256 values a channel: all that is left of it where nothing is resized."""

    size: int
    """Side of the pictures it takes, in pixels."""
    table: np.ndarray
    """(3, 256) float32."""

    @classmethod
    def of(cls, image_processor: Any, size: int | None) -> PixelTable | None:
        """Read the table off a processor; None where pictures of that size are more to it than their pixels' values."""
        if size is None or size * size < _LEVELS:
            return None
        ramp = np.arange(size * size).reshape(size, size) % _LEVELS
        values = _process(image_processor, Image.fromarray(np.repeat(ramp[..., None], 3, 2).astype(np.uint8)))
        if values.shape != (3, size, size):
            return None
        made = cls(size, np.ascontiguousarray(values.reshape(3, -1)[:, :_LEVELS], dtype=np.float32))
        noise = np.random.default_rng(0).integers(0, _LEVELS, (size, size, 3), dtype=np.uint8)
        picture = Image.fromarray(noise)
        return made if np.array_equal(made([picture])[0], _process(image_processor, picture)) else None

    def takes(self, picture: Image.Image) -> bool:
        """Whether the picture needs nothing but the table."""
        return picture.size == (self.size, self.size) and picture.mode == "RGB"

    def __call__(self, pictures: Sequence[Image.Image]) -> np.ndarray:
        """Return pixel values, (n, 3, size, size) float32, equal to the processor's."""
        levels_NHWC = np.stack([np.asarray(picture) for picture in pictures])
        values_NCHW = np.empty((len(pictures), 3, self.size, self.size), np.float32)
        for channel, table in enumerate(self.table):
            np.take(table, levels_NHWC[..., channel], out=values_NCHW[:, channel], mode="clip")
        return values_NCHW


def patch_boxes(
    image_processor: Any, picture: tuple[int, int], image_size: int | None, patch_size: int
) -> np.ndarray | None:
    """Return the patches' boxes row by row, (N, 4): left, top, right, bottom as fractions of the picture.

    Args:
        image_processor: what resizes and crops the picture.
        picture: its width and height in pixels.
        image_size: side of what the vision tower sees, in pixels; None where it sees pictures of any size.
        patch_size: in pixels.

    Returns:
        None where the picture is neither squeezed whole into the square nor cut out of its centre.
    """
    if not image_size:
        return None
    grid = image_size // patch_size
    edges = np.arange(grid + 1) * patch_size / image_size
    boxes = np.array([(x0, y0, x1, y1) for y0, y1 in _pairs(edges) for x0, x1 in _pairs(edges)])
    width, height = picture
    if width == height or not getattr(image_processor, "do_center_crop", False):
        size = getattr(image_processor, "size", None) or {}
        squeezed = width == height or ("height" in size and size["height"] == size["width"])
        return boxes if squeezed and not getattr(image_processor, "do_pad", False) else None
    # The shorter edge becomes `image_size`; of the longer one the middle is kept.
    kept_x, kept_y = min(width, height) / width, min(width, height) / height
    scale, shift = np.array([kept_x, kept_y] * 2), np.array([(1 - kept_x) / 2, (1 - kept_y) / 2] * 2)
    return boxes * scale + shift


def _pairs(edges: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _process(image_processor: Any, picture: Image.Image) -> np.ndarray:
    """Return the processor's pixel values of one picture."""
    return np.asarray(image_processor(images=[picture], return_tensors="np")["pixel_values"][0])
