"""Which part of an image each visual token stands for, measured where no family says it.

The image is a field of noise. One cell of 8 x 8 after another is painted with other noise, and the tokens that change
tell where they look. Tokens of a grid in reading order show themselves: the centres of what moves them lie on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from vtbench_hf.token_boxes import grid

CELLS = 8
"""Cells on each side of the image."""
NEAR = 0.04
"""Most that the centres may be off a grid's on average, as a fraction of the image."""
LOCAL = 0.08
"""Least share of a token's change that must come from its strongest cell: a token that reads the whole image evenly (a
resampler's query) has 1/64 to .03 of it, a patch at least .1."""


def measured_boxes(tokens_of: Callable[[list[Image.Image]], np.ndarray], size: tuple[int, int]) -> np.ndarray | None:
    """Return the boxes of an image's tokens, (N, 4); None where they look at no place, or not in the order of a grid.

    Args:
        tokens_of: returns the tokens (images, N, d) of images of one size.
        size: width and height of the image in pixels.
    """
    effect_CN = cell_effects(tokens_of, size)
    share_CN = effect_CN / effect_CN.sum(0, keepdims=True).clip(1e-12)
    if np.median(share_CN.max(0)) < LOCAL:
        return None
    centres_N2 = _centres(effect_CN)
    return grid_through(centres_N2)


def cell_effects(tokens_of: Callable[[list[Image.Image]], np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Return how much each token (N) changes with each cell of the image, row by row: (cells, N), squared distance."""
    width, height = size
    rng = np.random.default_rng(0)
    base, other = rng.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    rows, columns = np.arange(height) * CELLS // height, np.arange(width) * CELLS // width
    plain_Nd = tokens_of([Image.fromarray(base)])[0]
    effects = []
    for row in range(CELLS):
        inside = [(rows == row)[:, None] & (columns == column) for column in range(CELLS)]
        painted_CNd = tokens_of([Image.fromarray(np.where(cell[..., None], other, base)) for cell in inside])
        effects.append(((painted_CNd - plain_Nd) ** 2).sum(-1))
    return np.concatenate(effects)


def _centres(effect_CN: np.ndarray) -> np.ndarray:
    """Return the centre (x, y) of each token's cells, weighted by their effect beyond what reaches every token."""
    # Attention spreads a little of each cell to every token; what is common says nothing of the place.
    own_CN = (effect_CN - np.median(effect_CN, 0, keepdims=True)).clip(0)
    y, x = (np.mgrid[:CELLS, :CELLS].reshape(2, -1) + 0.5) / CELLS
    weight_CN = own_CN**2
    total_N = weight_CN.sum(0).clip(1e-12)
    return np.stack([x @ weight_CN / total_N, y @ weight_CN / total_N], 1)


def grid_through(centres_N2: np.ndarray) -> np.ndarray | None:
    """Return the boxes of the grid of rows and columns whose centres are nearest; None where no grid is near.

    >>> grid_through(np.array([[.25, .5], [.75, .5]])).tolist()
    [[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]
    """
    count = len(centres_N2)
    found = []
    for rows in (rows for rows in range(1, count + 1) if count % rows == 0):
        boxes = grid(rows, count // rows)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        found.append((float(np.abs(middle - centres_N2).mean()), rows))
    error, rows = min(found)
    return grid(rows, count // rows) if error <= NEAR else None


def stated_grid(inputs: Any, count: int) -> tuple[int, int] | None:
    """Return the rows and columns of one image's tokens, from the grid of patches that the processor states.

    Args:
        inputs: of the model, of one image.
        count: its visual tokens.
    """
    stated = inputs.get("image_grid_thw")
    if not torch.is_tensor(stated) or len(stated) != 1:
        return None
    frames, rows, columns = (int(side) for side in stated[0])
    if frames != 1 or rows * columns % count:
        return None
    side = round((rows * columns / count) ** 0.5)
    if side * side * count != rows * columns or rows % side or columns % side:
        return None
    return rows // side, columns // side
