"""The part of an image that each visual token stands for: boxes (N, 4) of grids, tiles and class tokens.

A box is left, top, right, bottom as fractions of the image. The tokens of a grid come row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The box of the whole image."""


def grid(rows: int, columns: int, window: Sequence[float] = WHOLE) -> np.ndarray:
    """Return the boxes of a grid of tokens that covers `window`.

    >>> grid(1, 2).tolist()
    [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    """
    left, top, right, bottom = window
    y, x = np.mgrid[:rows, :columns].reshape(2, -1)
    width, height = (right - left) / columns, (bottom - top) / rows
    return np.stack([left + x * width, top + y * height, left + (x + 1) * width, top + (y + 1) * height], 1)


def tiles(rows: int, columns: int, side: int) -> np.ndarray:
    """Return the boxes of a grid of tiles, each a grid of `side` x `side` tokens, tile by tile.

    >>> tiles(1, 2, 2)[[0, 1, 4]].tolist()
    [[0.0, 0.0, 0.25, 0.5], [0.25, 0.0, 0.5, 0.5], [0.5, 0.0, 0.75, 0.5]]
    """
    return np.concatenate([grid(side, side, window) for window in grid(rows, columns)])


def with_class_token(boxes: np.ndarray) -> np.ndarray:
    """Return the boxes with one before them that covers them all: that of the tower's class token.

    >>> with_class_token(grid(1, 2)).shape, with_class_token(grid(1, 2))[0].tolist()
    ((3, 4), [0.0, 0.0, 1.0, 1.0])
    """
    return np.concatenate([[[*boxes[:, :2].min(0), *boxes[:, 2:].max(0)]], boxes])


def crop_to_image(boxes: np.ndarray, left: float, top: float, width: float, height: float) -> np.ndarray | None:
    """Return boxes on a padded canvas as boxes of the image that was placed on it, clipped to the image.

    Args:
        boxes: (N, 4), in the canvas's unit.
        left: left edge of the image on the canvas.
        top: upper edge of the image on the canvas.
        width: of the image on the canvas.
        height: of the image on the canvas.

    Returns:
        None where a box has no part of the image: its token is of padding only.

    >>> crop_to_image(np.array([[0, 0, 14, 14], [14, 0, 28, 14]]), 0, 0, 21, 14).tolist()
    [[0.0, 0.0, 0.6666666666666666, 1.0], [0.6666666666666666, 0.0, 1.0, 1.0]]
    """
    cut = ((boxes - [left, top, left, top]) / [width, height, width, height]).clip(0, 1)
    return cut if (cut[:, 2:] > cut[:, :2]).all() else None


def patch_boxes(
    image_processor: Any, size: tuple[int, int], image_size: int | None, patch_size: int
) -> np.ndarray | None:
    """Return the boxes of a square tower's patches in an image that the processor resizes or center-crops.

    Args:
        image_processor: resizes, crops or pads the image.
        size: width and height of the image in pixels.
        image_size: side of the tower's input in pixels; None where the tower takes images of any size.
        patch_size: side of a patch in pixels.

    Returns:
        (N, 4), row by row; None where the processor neither resizes the whole image to the square nor center-crops it.
    """
    if not image_size:
        return None
    side = image_size // patch_size
    edges = np.arange(side + 1) * patch_size / image_size
    boxes = np.array([(x0, y0, x1, y1) for y0, y1 in _intervals(edges) for x0, x1 in _intervals(edges)])
    width, height = size
    if width == height or not getattr(image_processor, "do_center_crop", False):
        target = getattr(image_processor, "size", None) or {}
        resized = width == height or ("height" in target and target["height"] == target["width"])
        return boxes if resized and not getattr(image_processor, "do_pad", False) else None
    # The shorter edge is resized to `image_size`; the middle of the longer one is kept.
    kept_x, kept_y = min(width, height) / width, min(width, height) / height
    scale, shift = np.array([kept_x, kept_y] * 2), np.array([(1 - kept_x) / 2, (1 - kept_y) / 2] * 2)
    return boxes * scale + shift


def _intervals(edges: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
