"""Where tokens stand in a picture: grids, tiles of grids and class tokens in, boxes (N, 4) out.

A box is left, top, right, bottom as fractions of the picture. Tokens of a grid come row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WHOLE = (0.0, 0.0, 1.0, 1.0)


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


def with_class(boxes: np.ndarray) -> np.ndarray:
    """Return the boxes with one in front that covers them all: a class token stands for all that its tower sees.

    >>> with_class(grid(1, 2)).shape, with_class(grid(1, 2))[0].tolist()
    ((3, 4), [0.0, 0.0, 1.0, 1.0])
    """
    return np.concatenate([[[*boxes[:, :2].min(0), *boxes[:, 2:].max(0)]], boxes])


def of_picture(boxes: np.ndarray, left: float, top: float, width: float, height: float) -> np.ndarray | None:
    """Return boxes of a canvas as boxes of the picture that lies on it, cut to the picture.

    Args:
        boxes: (N, 4), in the canvas's own unit.
        left: where the picture begins on the canvas.
        top: the same, downwards.
        width: of the picture on the canvas.
        height: the same, downwards.

    Returns:
        None where a token sees nothing of the picture: it stands for no part of it.

    >>> of_picture(np.array([[0, 0, 14, 14], [14, 0, 28, 14]]), 0, 0, 21, 14).tolist()
    [[0.0, 0.0, 0.6666666666666666, 1.0], [0.6666666666666666, 0.0, 1.0, 1.0]]
    """
    cut = ((boxes - [left, top, left, top]) / [width, height, width, height]).clip(0, 1)
    return cut if (cut[:, 2:] > cut[:, :2]).all() else None
